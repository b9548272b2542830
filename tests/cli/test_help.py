"""Help that can be read and pasted: a verb sentence, two examples, suggestions, completion."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from envagent import __version__
from tests.cli.conftest import ROOT, Cli
from tests.unit.test_errors import drawn

COMMANDS = [
    "run",
    "resume",
    "status",
    "teardown",
    "plan",
    "extend",
    "analyze",
    "demo",
    "nodes",
    "ssh",
    "setup",
    "pack",
    "share",
    "open",
    "explain",
    "logs",
    "archive",
    "export",
    "import",
    "migrate",
    "init",
    "doctor",
    "help",
    "config",
    "config show",
    "diagram",
    "skill",
    "worker",
    "cancel",
    "limits",
    "serve",
    "serve token",
    "sandbox",
    "sandbox serve",
    "sandbox log",
    "sandbox reset",
]

VERBS = {
    "Leave",
    "Let",
    *[
        "Carry",
        "Continue",
        "Draw",
        "Extend",
        "Go",
        "List",
        "Log",
        "Move",
        "Open",
        "Remove",
        "Reserve",
        "Serve",
        "Serve,",
        "Set",
        "Show",
        "Stop",
        "Upgrade",
        "Write",
    ],
}


def examples(text: str) -> list[str]:
    return [line.strip() for line in text.partition("Examples:\n")[2].splitlines() if line.strip()]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_begins_with_a_verb_and_ends_with_two_examples(cli: Cli, command: str) -> None:
    ended = cli(*command.split(), "--help")
    assert ended.code == 0
    assert cli(*command.split(), "-h").out == ended.out
    usage, first, *_ = [line for line in ended.out.splitlines() if line]
    assert usage.startswith(f"Usage: envagent {command}".rstrip())
    assert first.split()[0] in VERBS
    assert len(examples(ended.out)) == 2
    assert all(one.startswith("envagent ") for one in examples(ended.out))
    assert max(map(len, ended.out.partition("Examples:")[0].splitlines())) <= 80


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_examples_are_commands_that_exist(cli: Cli, command: str) -> None:
    for example in examples(cli(*command.split(), "--help").out):
        for one in example.split(" && "):
            words = shlex.split(one.partition(" -- ")[0])[1:]
            name = words[: 2 if words[0] in ("config", "sandbox") or words[:2] == ["serve", "token"] else 1]
            known = set(re.findall(r"(?<!\w)(--?[a-z][a-z-]*)", cli(*name, "--help").out))
            assert {word for word in words if word.startswith("-")} <= known


def test_the_interface_has_these_options_and_no_other(cli: Cli) -> None:
    interface = {
        "run": "--cloud --yes --json --json-stream --plan --from --node-type --image --hours --max-su --key-name "
        "--public-key --network --server-name --no-floating-ip --no-ai --ref --also --submit --start "
        "--wait-for-capacity --site --name --new --on-failure --setup --no-repair --speed --file --parallel "
        "--max-su-total --csv",
        "resume": "--yes --json --json-stream --max-su --file --parallel --max-su-total --csv",
        "status": "--json --refresh --limit --state --repo --cloud --site --all --archived",
        "teardown": "--yes --json --json-stream --orphans --all --dry-run --cloud --delete-key --file",
        "extend": "--until --yes --json --max-su",
        "plan": "--output --show-setup --cloud --json --node-type --image --hours --max-su --network --server-name "
        "--no-floating-ip --no-ai --ref --also --start --wait-for-capacity --site --speed",
        "analyze": "--json --no-ai --ref --also",
        "demo": "--kill-at --setup --keep",
        "nodes": "--gpu --cloud --site --hours --json",
        "ssh": "--setup",
        "setup": "--no-repair --json --json-stream",
        "pack": "--output --json",
        "share": "--key --remove --json",
        "open": "--editor --folder",
        "explain": "--json",
        "cancel": "--json",
        "limits": "--site --builds --lease-requests --owner --su --json",
        "archive": "--older-than --undo --json",
        "export": "--output --with-key --copy --json",
        "import": "--json",
        "migrate": "--dry-run --json",
        "logs": "--follow --setup --step --json",
        "init": "--cloud --hours --max-su --ai --public-key --output --force --yes",
        "doctor": "--cloud --json",
        "help": "",
        "config show": "--origin --json",
        "diagram": "--format --output",
        "skill": "",
        "worker": "--concurrency",
        "serve": "--host --port --url",
        "serve token": "--operator --days --revoke",
        "sandbox serve": "--speed --port --faults --profile",
        "sandbox log": "--json",
        "sandbox reset": "",
    }
    for command, options in interface.items():
        shown = cli(*command.split(), "--help").out.partition("Options:")[2].partition("Examples:")[0]
        found = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", shown, re.MULTILINE)
        assert {*found} == {*options.split(), "--config", "--color", "--verbose", "--help"}, command


@pytest.mark.parametrize(("typo", "meant"), [("rnu", "run"), ("stauts", "status"), ("tear-down", "teardown")])
def test_a_typo_is_answered_with_what_was_meant(cli: Cli, typo: str, meant: str) -> None:
    ended = cli(typo)
    assert ended.code == 2
    assert f"Did you mean '{meant}'?" in ended.err


def test_the_version(cli: Cli) -> None:
    ended = cli("--version")
    assert (ended.code, ended.out) == (0, f"envagent {__version__}\n")


def test_run_ids_are_completed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("abcdefghjk", "abzzzzzzzz", "zyxwvutsrq"):
        (cli.home / "runs" / name).mkdir(parents=True, exist_ok=True)
    try:
        for command in ("resume", "status", "teardown", "ssh", "open", "logs", "explain", "archive"):
            for begun, wanted in (("ab", {"abcdefghjk", "abzzzzzzzz"}), ("zy", {"zyxwvutsrq"}), ("la", {"last"})):
                monkeypatch.setenv("_ENVAGENT_COMPLETE", "complete_bash")
                monkeypatch.setenv("COMP_WORDS", f"envagent {command} {begun}")
                monkeypatch.setenv("COMP_CWORD", "2")
                assert set(cli().out.split()) == wanted
    finally:
        for name in ("abcdefghjk", "abzzzzzzzz", "zyxwvutsrq"):
            (cli.home / "runs" / name).rmdir()


def test_help_loads_nothing_heavy(cli: Cli, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['envagent', '--help']\n"
        "from envagent.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic_settings', 'sqlmodel', 'sqlalchemy', 'openstack', 'openai', 'rich.console', 'alembic'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_status_loads_no_step_and_no_client(cli: Cli) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['envagent', 'status', '--json']\n"
        "from envagent.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'envagent.steps', 'envagent.cloud', 'openstack', 'openai', 'keystoneauth1', 'starlette', 'alembic'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_help_shows_a_command_or_a_topic(cli: Cli) -> None:
    assert cli("help", "run").out == cli("run", "--help").out
    assert cli("help", "sandbox", "log").out == cli("sandbox", "log", "--help").out
    assert cli("help").out == cli("--help").out
    wrong = cli("help", "enviroment")
    assert (wrong.code, "did you mean environment?" in wrong.err) == (2, True)
    assert str(cli.home / "journal.db") in cli("help", "files").out
    assert "--node-type" in cli("help", "batch").out


def test_every_error_is_among_the_exit_codes(cli: Cli) -> None:
    rows = [line.split() for line in cli("help", "exit-codes").out.splitlines()]
    shown = {row[1]: int(row[0]) for row in rows if len(row) > 2 and row[0].isdigit()}
    assert {name: code for name, (_, code) in drawn().items() if name != "EnvagentError"}.items() <= shown.items()
    assert {row[0] for row in rows if row} >= {"0", "1", "129", "130", "143"}


def test_every_variable_that_is_read_is_listed(cli: Cli) -> None:
    """All that the product looks up by name, and each setting's."""
    read = re.compile(r'os\.(?:environ\.get|getenv)\("((?:ENVAGENT|OPENAI|NO|FORCE)_\w+)"')
    named = {name for path in (ROOT / "envagent").rglob("*.py") for name in read.findall(path.read_text("utf-8"))}
    listed = {line.split()[0] for line in cli("help", "environment").out.splitlines() if line}
    assert {"ENVAGENT_NO_PROMPT", "ENVAGENT_DEBUG"} <= named <= listed
    assert {"ENVAGENT_HOME", "ENVAGENT_LEASE__MAX_SU"} <= listed


def test_clouds_and_node_types_are_completed(cli: Cli, real_cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_ENVAGENT_COMPLETE", "complete_bash")
    monkeypatch.setattr(socket, "socket", None)  # nothing may be sent
    for words, wanted in (
        (f"run x --cloud {real_cloud[:2]}", {real_cloud}),
        ("nodes --cloud sandbox-t", {"sandbox-tacc"}),
        ("run x --node-type gpu_a100", {"gpu_a100_nvlink", "gpu_a100_pcie"}),
        ("help ex", {"exit-codes"}),
    ):
        monkeypatch.setenv("COMP_WORDS", f"envagent {words}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
        assert {*cli().out.split()} >= wanted, words
