"""Untrusted texts that would act on a terminal: nothing of them arrives there unchanged.

The same texts come from the repository, the AI, the services' messages, a server's fault and a lease's name, to a
pipe, to --json and to a terminal.
"""

from __future__ import annotations

import os
import pty
from collections.abc import Callable
from pathlib import Path

from tests.crash.chat import chat_server
from tests.crash.child import Ended, Home
from tests.crash.oracle import Judge
from tests.crash.world import World
from tests.kit.git import git, make_repository
from tests.kit.terminals import read_to_end

ESCAPES = (
    "\x1b]0;owned\x07"  # a window's title
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\"  # a link
    "\x1b[5m\x1b[2J\x1b[1A"  # blink, clear, up
    "\x9b31m"  # a control of eight bits
    "\u202egnp.exe\u2066"  # read backwards
    "[red]markup[/red][link=http://evil.example]x[/link]:skull:"
    "\r\x08\x7f\u200b\ufeff"
)
MUST_NOT_ARRIVE = ("\x1b]", "\x1b[5m", "\x1b[2J", "\x1b[1A", "\x9b", "\u202e", "\u2066", "\x08", "\x7f", "\u200b")


def raw_controls(text: str) -> list[str]:
    """List the characters of a piped text that no line of plain text has."""
    bad = {one for one in text if (ord(one) < 0x20 and one != "\n") or 0x7F <= ord(one) < 0xA0}
    return sorted(repr(one) for one in bad | {one for one in MUST_NOT_ARRIVE if one in text})


def hostile_repository(world: World) -> Path:
    """Make a repository whose contents, file names and history speak in escapes."""
    folder = world.folder / "hostile"
    if folder.exists():
        return folder
    files = {
        "README.md": f"# {ESCAPES}\n\nNeeds 8 GB of RAM {ESCAPES} and Ubuntu 22.04.\n",
        "requirements.txt": f"numpy{ESCAPES}>=1.21\ntorch=={ESCAPES}\nflask # {ESCAPES}\n",
        "pyproject.toml": '[project]\nname = "a\\u001b[5mb"\nrequires-python = ">=3.9"\n',
        "environment\x1b]0;owned\x07.yml": f"name: {ESCAPES!r}\ndependencies: [python=3.9]\n",
        "Dockerfile": f"FROM ubuntu:22.04{ESCAPES}\nRUN echo {ESCAPES}\n",
    }
    make_repository(folder, files)
    git(folder, "commit", "--amend", "-q", "--author", f"{ESCAPES} <a@example.org>", "-m", ESCAPES)
    return folder


def on_terminal(home: Home, *argv: str, **environment: str) -> tuple[Ended, str]:
    """Run a command with a terminal as its stdout and stderr; return what the terminal got, too."""
    ours, theirs = pty.openpty()

    def become_terminal() -> None:
        for number in (1, 2):
            os.dup2(theirs, number)

    shown = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50", **environment}
    child = home.start(*argv, before=become_terminal, environment=shown)
    os.close(theirs)
    parts: list[bytes] = []
    read_to_end(ours, parts.append)
    os.close(ours)
    return child.wait(), b"".join(parts).decode("utf-8", "replace")


Source = Callable[[World, Home], tuple[str, ...]]


def _of_the_repository(world: World, home: Home) -> tuple[str, ...]:
    return ("run", str(hostile_repository(world)), "--yes", "--new", "--node-type", "compute_skylake")


def _of_a_fault(world: World, home: Home) -> tuple[str, ...]:
    world.faults({"action": "server_error", "text": ESCAPES, "after": 1})
    return home.run_arguments()


def _of_a_service(world: World, home: Home) -> tuple[str, ...]:
    at = {"service": "nova", "method": "POST", "path": r"/servers$"}
    world.faults({"action": "fail", "status": 400, "message": ESCAPES, **at})
    return home.run_arguments()


def _of_a_proxy(world: World, home: Home) -> tuple[str, ...]:
    at = {"service": "blazar", "method": "POST", "path": r"/leases$"}
    world.faults({"action": "fail", "status": 403, "body": f"<html><title>{ESCAPES}</title></html>", **at})
    return home.run_arguments()


SOURCES: dict[str, Source] = {
    "a repository": _of_the_repository,
    "a server's fault": _of_a_fault,
    "a service's refusal": _of_a_service,
    "a proxy's page": _of_a_proxy,
}


def from_source(name: str) -> Callable[[World, Home, Judge], None]:
    """Show what comes from a source, in every form of output."""

    def play(world: World, home: Home, judge: Judge) -> None:
        argv = SOURCES[name](world, home)
        shown = name != "a repository"  # nothing of a repository's text is repeated
        _show_everywhere(home, judge, argv, said=shown)
        world.faults()
        _show_everywhere(home, judge, ("status", "last"), said=shown)
        for (run_id,) in home.rows("SELECT run_id FROM runs"):
            removed = home.call("teardown", run_id, "--yes")
            _plain(judge, removed)
            judge.expect(removed.code == 0, f"the teardown: {removed}")

    return play


def from_the_ai(world: World, home: Home, judge: Judge) -> None:
    """Show what an AI says, as its reasons, its choices, and its refusal."""
    for refuses in (False, True):
        with chat_server(ESCAPES, refuses=refuses) as url:
            home.environment |= {"ENVAGENT_AI__BASE_URL": url, "ENVAGENT_AI__API_KEY": "none"}
            _show_everywhere(home, judge, ("run", str(world.repository), "--yes", "--new"), said=False)
            _show_everywhere(home, judge, ("status", "last"), said=True)
    for (run_id,) in home.rows("SELECT run_id FROM runs"):
        _plain(judge, home.call("teardown", run_id, "--yes"))


def from_a_lease(world: World, home: Home, judge: Judge) -> None:
    """Show a lease of ours that somebody has renamed."""
    ran = home.call(*home.run_arguments())
    lease = judge.new()["lease"][0]
    renamed = f"envagent-{home.run_id()}-1-{ESCAPES}"[:80]
    world.act("mate", "blazar", "PUT", f"/leases/{lease['id']}", {"name": renamed})
    judge.expect(ran.code == 0, f"the run: {ran}")
    home.database.lose()
    _, shown = on_terminal(home, "teardown", "--orphans")
    _harmless(judge, shown)
    removed = home.call("teardown", "--orphans", "--yes")
    _plain(judge, removed)
    judge.expect(removed.code == 0, f"the teardown: {removed}")


def _show_everywhere(home: Home, judge: Judge, argv: tuple[str, ...], *, said: bool) -> None:
    """Show on a pipe, as JSON and on a terminal; `said`: the hostile text is shown, made harmless."""
    piped = home.call(*argv)
    _plain(judge, piped)
    _plain(judge, home.call(*argv, "--json"))
    _, shown = on_terminal(home, *argv)
    judge.expect(bool(shown), "the terminal got nothing")
    _harmless(judge, shown)
    for text in (piped.out + piped.err, shown):
        judge.expect(not said or "owned" in text, f"what was said is not shown: {text[-1000:]}")


def _plain(judge: Judge, ended: Ended) -> None:
    judge.expect(bool(ended.out or ended.err), "it said nothing")
    for stream, text in (("stdout", ended.out), ("stderr", ended.err)):
        judge.expect(not raw_controls(text), f"{ended.argv[0]} {stream}: {raw_controls(text)}")


def _harmless(judge: Judge, shown: str) -> None:
    found = [repr(one) for one in MUST_NOT_ARRIVE if one in shown and one not in ("\x1b[1A", "\x1b[2J")]
    judge.expect(not found, f"the terminal got {found}")
    judge.expect("\x1b[2J" not in shown, "the terminal was cleared")
