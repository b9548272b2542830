"""Every hint that an error can carry works when pasted: its commands are run, its options exist."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main

from envagent.cli.main import app
from envagent.cli.render.hint_text import hint_text
from envagent.hints import THIS_RUN, Command, Hint, Option, Part, Shell, resume, teardown
from tests.cli.conftest import Cli
from tests.unit.test_house import modules

SAMPLES: dict[str, str | float] = {"max_su": 100000.0}
"""What stands for a value that is known only when the error is raised."""

ON_A_RUN = ("resume", "teardown", "status")
PROGRAMS = {
    *("apt", "timedatectl"),
    *("cd", "chmod", "cp", "git", "grep", "ls", "mv", "openstack"),
    *("perl", "pip", "puttygen", "rm", "ssh-add", "ssh-keygen", "unset"),
}


@cache
def named_calls() -> tuple[tuple[str, str, ast.Call], ...]:
    """List the calls of what modules import from `envagent.hints`: its name there, the place, the call."""
    found = []
    for path, tree in modules():
        nodes = list(ast.walk(tree))
        ours = {
            alias.asname or alias.name: alias.name
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module == "envagent.hints"
            for alias in node.names
        }
        found += [
            (ours[node.func.id], f"{path}:{node.lineno}", node)
            for node in nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ours
        ]
    return tuple(found)


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """List the calls of one of these names."""
    return ((where, call) for one, where, call in named_calls() if one == name)


def options(where: str, call: ast.Call) -> Iterator[tuple[str, str | float | bool]]:
    for keyword in call.keywords:
        assert keyword.arg is not None, f"{where}: name each option"
        value = keyword.value
        known = value.value if isinstance(value, ast.Constant) else SAMPLES.get(keyword.arg)
        assert isinstance(known, (str, float, bool)), f"{where}: no sample for {keyword.arg}"
        yield keyword.arg, known


@cache
def commands() -> dict[Command, str]:
    """Return each command of envagent that a hint in the product names, with a place where it does."""
    found: dict[Command, str] = {}
    for name in ON_A_RUN:
        for where, call in calls(name):
            found[Command(name, (THIS_RUN,), tuple(options(where, call)))] = where
    for where, call in calls("command"):
        words = [one.value if isinstance(one, ast.Constant) else "last" for one in call.args]
        assert all(isinstance(one, str) for one in words), where
        found[Command(str(words[0]), tuple(map(str, words[1:])), tuple(options(where, call)))] = where
    assert not [where for where, _ in calls("Command") if not where.startswith(("errors.py", "cli/"))]
    return found


def test_the_commands_are_found() -> None:
    assert {resume(), teardown()} < commands().keys()


def test_each_option_exists() -> None:
    known = {
        parameter.name
        for command in typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
    }
    options = [(where, one.args[0]) for where, one in calls("Option")]
    unnamed = [where for where, one in options if not isinstance(one, ast.Constant)]
    assert [where.partition(":")[0] for where in unnamed] == ["cli/inputs.py"]  # the flag that has a bad name
    named = {one.value: where for where, one in options if isinstance(one, ast.Constant)}
    assert len(named) >= 5 and named.keys() <= known, {name: named[name] for name in named.keys() - known}


def test_each_other_program_is_one_that_users_have() -> None:
    named = {call.args[0].value: where for where, call in calls("Shell") if isinstance(call.args[0], ast.Constant)}
    assert named.keys() <= PROGRAMS, named


def test_no_hint_spells_a_command_itself() -> None:
    """Words are words: only the command line knows how its commands and options are written."""
    wrong = []
    for where, call in calls("Hint"):
        words = [part for part in call.args if isinstance(part, (ast.Constant, ast.JoinedStr))]
        texts = [str(part.value) for word in words for part in ast.walk(word) if isinstance(part, ast.Constant)]
        wrong += [f"{where}: {text}" for text in texts if re.search(r"envagent |RUN_ID|--[a-z]", text)]
    for path, tree in modules():
        given = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "hint"]
        bare = [one for one in given if isinstance(one, (ast.Constant, ast.JoinedStr)) and ast.unparse(one) != "None"]
        wrong += [f"{path}:{one.lineno}: {ast.unparse(one)}" for one in bare]
    assert wrong == []


@pytest.mark.scenario
def test_each_command_runs(cli: Cli, repository: Path) -> None:
    """None is refused as wrong usage, on a run that has succeeded."""
    run_id = str(cli.run(repository)["run_id"])
    hinted = commands()
    for command in sorted(hinted, key=lambda one: (one.name in ("teardown", "sandbox"), one.name)):
        if command == teardown():
            run_id = str(cli.run(repository, "--new")["run_id"])
        words = [str(repository) if word == "URL" else word for word in shlex.split(hint_text(Hint(command), run_id))]
        asks_cloud = command.name in ("run", "plan", "doctor") or "--orphans" in words
        ended = cli(*words[1:], *(("--cloud", "sandbox") if asks_cloud else ()))
        of_a_fleet = command.name == "limits" and "workers need a journal in PostgreSQL" in ended.err
        assert ended.code in (0, 10) or of_a_fleet, (hinted[command], words, ended.err)
        assert "Traceback" not in ended.err and "Usage:" not in ended.err


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        (("wait, then:", resume()), "wait, then: envagent resume k3j9"),
        (
            ("to try again:", resume(), "; to remove it:", teardown()),
            "to try again: envagent resume k3j9; to remove it: envagent teardown k3j9",
        ),
        ((resume(max_su=8.0, yes=True),), "envagent resume k3j9 --max-su 8 --yes"),
        (("choose another", Option("node_type"), ", or wait"), "choose another --node-type, or wait"),
        (("look for damage:", Shell("git", "-C", "/a b", "fsck")), "look for damage: git -C '/a b' fsck"),
        (("near names:", Option("image", "a; rm -rf b")), "near names: --image 'a; rm -rf b'"),
    ],
)
def test_a_hint_is_rendered_ready_to_paste(parts: tuple[Part, ...], shown: str) -> None:
    assert hint_text(Hint(*parts), "k3j9") == shown
    assert hint_text(Hint.load(Hint(*parts).dump()) or Hint(), "k3j9") == shown


def test_where_there_is_no_run_the_command_in_hand_is_named() -> None:
    assert hint_text(Hint("wait, then:", resume()), again="envagent teardown --orphans").endswith(
        "envagent teardown --orphans"
    )


def test_a_run_that_is_being_torn_down_is_not_resumed() -> None:
    assert (
        hint_text(Hint("wait, then:", resume(max_su=2.0)), "k3j9", removing=True)
        == "wait, then: envagent teardown k3j9"
    )


def test_what_an_earlier_version_stored_as_text_is_read() -> None:
    stored = "envagent resume RUN_ID tries again; envagent teardown RUN_ID removes everything"
    hint = Hint.load(stored)
    assert hint is not None
    assert hint_text(hint, "k3j9") == stored.replace("RUN_ID", "k3j9")
