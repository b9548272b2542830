"""Every block that a reader would type works: those of the manual, of the README and of the agents' page.

Each document is played in an empty folder, in order, against the sandbox. What a block needs beyond that (a real cloud,
the network) is marked there, and then its commands are only looked up.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
import yaml

from envagent.cloud.adapter import connect
from envagent.errors import EnvagentError
from tests.cli.conftest import Cli
from tests.kit.git import make_repository
from tests.kit.manual import Block, blocks
from tests.unit.test_errors import defined
from tests.unit.test_published_files import exists

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "manual"
PAGES = (
    "quickstart",
    "servers",
    "set-up",
    "batch",
    "workers",
    "web-page",
    "journals",
    "credentials",
    "python",
    "sandbox-tests",
    "configuration",
    "exit-codes",
    "agents",
    "pictures",
    "troubleshooting",
)
FILES = {"requirements.txt": "torch==2.1\n", "README.md": "# toy\n\nNeeds a GPU with 16 GB.\n"}


def play(cli: Cli, text: str) -> int:
    """Type the blocks of a document; return how many commands were run."""
    played = 0
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(text):
        if block.kind == "commands":
            for command in block.commands:
                if block.run:
                    type_in(cli, command)
                    played += 1
                    continue
                for part in command.split(" && "):  # what a line installs first, every environment of the tests has
                    if part.startswith(".venv/bin/envagent "):
                        type_in(cli, part.removeprefix(".venv/bin/"))
                        played += 1
                    elif part.startswith("envagent "):
                        assert exists(part), part
        elif block.run and block.kind == "file":
            (cli.work / block.name).parent.mkdir(parents=True, exist_ok=True)
            (cli.work / block.name).write_text(block.body)
        elif block.run and block.kind == "python":
            exec(compile(block.body, "<manual>", "exec"), names)
            played += 1
        else:
            compiles(block)
    return played


def type_in(cli: Cli, command: str) -> None:
    """Run a command: of envagent in this process, anything else in a shell."""
    if command.startswith("envagent ") and not re.search(r"^envagent (ssh|open) |[|<>$;&*]", command):
        ended = cli(*shlex.split(command)[1:])
        assert ended.code == 0, f"{command}\n{ended.err}"
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def compiles(block: Block) -> None:
    if block.kind == "python":
        compile(block.body, "<manual>", "exec")


@pytest.mark.scenario
def test_the_page_for_agents(cli: Cli) -> None:
    make_repository(cli.work / "my-repo", FILES)
    page = cli("skill").out
    assert page.startswith("---\nname: envagent\n")
    assert play(cli, page) == 8
    assert {int(code) for code in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for code in code.split(",")} == {
        0,
        129,
        130,
        143,
        *(code for _, code in defined(EnvagentError).values()),
    }


@pytest.mark.scenario
def test_the_manual(cli: Cli) -> None:
    """The pages in the order in which they are read; they share a folder, as the reader does."""
    commands = {page: play(cli, (MANUAL / f"{page}.md").read_text("utf-8")) for page in PAGES}
    assert {page.stem for page in MANUAL.glob("*.md")} == {*commands, "index"}
    assert {page for page, played in commands.items() if not played} == {"credentials", "troubleshooting", "workers"}


def test_the_credentials_that_the_manual_shows_can_be_used(tmp_path: Path) -> None:
    shown = [block for block in blocks((MANUAL / "credentials.md").read_text("utf-8")) if block.name == "clouds.yaml"]
    for block in shown:
        (tmp_path / "clouds.yaml").write_text(block.body)
        [name] = yaml.safe_load(block.body)["clouds"]
        connect(
            name, clouds_yaml=tmp_path / "clouds.yaml", variables={}, folder=None, timeout=1, write_timeout=1
        ).close()
    assert len(shown) == 2


def test_the_messages_that_the_manual_explains_exist() -> None:
    source = "\n".join(
        path.read_text("utf-8") for room in ("envagent", "steps") for path in (ROOT / room).rglob("*.py")
    )
    explained = re.findall(r"^### `(.+)`$", (MANUAL / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    assert len(explained) > 15
    pieces = {piece.strip() for message in explained for piece in message.split("…")} - {"", ", which", "after"}
    assert {piece for piece in pieces if piece not in source} == set()


def test_the_readme(cli: Cli) -> None:
    assert play(cli, (ROOT / "README.md").read_text("utf-8")) > 0


@pytest.mark.scenario
def test_the_notebook(cli: Cli) -> None:
    """It is executed by a kernel, and shows the progress as a table."""
    read: Any = nbformat.read
    notebook = read(MANUAL / "envagent.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(cli.work)}})
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    tables = [one["data"]["text/html"] for one in shown if "text/html" in one.get("data", {})]
    assert any("launch_server" in table and "✓" in table for table in tables)
    [run] = [table for table in tables if "(succeeded)" in table]
    assert "ssh -" in run
    assert notebook.cells[-1].outputs[-1]["data"]["text/plain"] == "'torn_down'"
