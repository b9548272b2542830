"""What a public host reads, and the commands that documents name: each exists, and each command has one wording."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from envagent.cli.main import app

ROOT = Path(__file__).parents[2]
HOST = ROOT / ".github"
WORKFLOWS = sorted(HOST.glob("workflows/*.yml"))
FORMS = sorted(path for path in HOST.glob("ISSUE_TEMPLATE/*.yml") if path.name != "config.yml")
SOURCES = ("README.md", "CONTRIBUTING.md", ".ci/run")
NAMING = [*FORMS, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]


def loaded(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in loaded(path)["jobs"].values():
        yield from job["steps"]


def commands(path: Path) -> Iterator[str]:
    """Yield what a workflow runs, once for each command that a matrix names."""
    for job in loaded(path)["jobs"].values():
        named = job.get("strategy", {}).get("matrix", {}).get("command", [])
        for step in job["steps"]:
            command = step.get("run", "").strip()
            if "${{ matrix.command }}" in command:
                yield from (command.replace("${{ matrix.command }}", one) for one in named)
            elif command:
                yield command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_the_commands_that_the_documents_name(path: Path) -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in SOURCES]
    run = list(commands(path))
    assert run
    assert [one for one in run if not any(one.removeprefix(".venv/bin/") in text for text in texts)] == []
    scripts = [word for one in run for word in shlex.split(one) if word.startswith("scripts/")]
    assert [one for one in scripts if not (ROOT / one).is_file()] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read(path: Path) -> None:
    workflow = loaded(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    assert "secrets" not in path.read_text("utf-8")
    assert "pull_request_target" not in path.read_text("utf-8")
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@(v\d+|[0-9a-f]{40})", one) for one in used)


def test_the_workflow_tries_every_python_that_the_package_names() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert loaded(HOST / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == named


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_can_be_filled_in(path: Path) -> None:
    form = loaded(path)
    assert {"name", "description", "body"} <= form.keys()
    assert not form.keys() - {"name", "description", "body", "labels"}
    fields = [one for one in form["body"] if one["type"] != "markdown"]
    assert {one["type"] for one in fields} <= {"textarea", "input", "dropdown"}
    assert all(one["attributes"]["label"] for one in fields)
    assert len({one["id"] for one in fields}) == len(fields)
    assert any(one.get("validations", {}).get("required") for one in fields)


@pytest.mark.parametrize("path", NAMING, ids=lambda path: path.name)
def test_every_command_that_is_namedexists(path: Path) -> None:
    spans = re.findall(r"`(envagent [^`]+)`", path.read_text("utf-8"))
    assert spans or path.name == "CONTRIBUTING.md"
    assert [span for span in spans if not exists(span)] == []


def exists(span: str) -> bool:
    """Return whether the command and its options are there; README writes `[OPTIONAL]` and `one|another`."""
    known: Any = typer.main.get_command(app)
    words = re.sub(r"[][]", "", span).replace("\\|", "|").split()[1:]
    while words and hasattr(known, "commands") and not words[0].startswith("-"):
        names = words.pop(0).split("|")
        if not set(names) <= known.commands.keys():
            return False
        known = known.commands[names[0]]
    options = {one for parameter in known.params for one in parameter.opts} | {"--help"}
    return {word for word in words if word.startswith("--")} <= options
