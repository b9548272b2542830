"""Streams: colour where it is wanted, no error where nobody reads, one document on stdout."""

from __future__ import annotations

import io
import os
import pty
import re
from collections.abc import Callable

import pytest

from envagent.cli.documents.json_models import ErrorDocument, ErrorPart
from envagent.cli.render.terminal import SafeStream, Terminal, print_document
from tests.cli.conftest import Cli
from tests.kit.terminals import read_to_end


class Piped(io.StringIO):
    """A stream that is no terminal."""


def shown(*parts: str | tuple[str, str]) -> str:
    stream = Piped()
    Terminal(stream).line(*parts)
    return stream.getvalue()


def test_markup_emoji_and_escapes_of_strangers_are_text() -> None:
    text = "[red]x[/red] :boom: [link=https://evil]y[/link] \x1b[2J"
    assert shown((text, "bold")) == "[red]x[/red] :boom: [link=https://evil]y[/link] \\x1b[2J\n"


def test_a_long_line_stays_one_line_so_that_it_can_be_pasted() -> None:
    assert shown("ssh " + "x" * 300) == "ssh " + "x" * 300 + "\n"


def test_no_colour_in_a_pipe_unless_it_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in shown(("x", "red"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31m" in shown(("x", "red"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in shown(("x", "red"))


@pytest.mark.parametrize(
    ("choice", "variable", "colored"),
    [("always", "NO_COLOR", True), ("never", "FORCE_COLOR", False), ("auto", "FORCE_COLOR", True)],
)
def test_the_option_wins_over_the_variables(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, choice: str, variable: str, colored: bool
) -> None:
    monkeypatch.setenv(variable, "1")
    child = cli.start("status", "no-such-run", "--color", choice)
    assert child.wait() == 10
    assert ("\x1b[1;31m" in child.err) is colored


@pytest.mark.parametrize(("term", "moving"), [("xterm-256color", True), ("dumb", False), ("", False)])
def test_things_move_on_a_capable_terminal_only(monkeypatch: pytest.MonkeyPatch, term: str, moving: bool) -> None:
    monkeypatch.setenv("TERM", term)
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        assert Terminal(stream).interactive is moving
        assert not Terminal(Piped()).interactive
    os.close(leader)


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        terminal = Terminal(stream)
        terminal.line("nobody reads this")
        terminal.line("nor this")
        assert terminal.stream.gone


def test_a_closed_stream_is_no_error() -> None:
    stream = Piped()
    stream.close()
    Terminal(stream).line("nobody reads this")


def test_what_the_encoding_lacks_is_replaced() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    safe = SafeStream(stream)
    safe.write("✓ done\n")
    safe.flush()
    assert raw.getvalue() == b"? done\n"
    assert Terminal(stream).sign("✓", "+") == "+"


def test_a_document_is_ascii_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    part = ErrorPart(type="X", message="a\x1b[31m\x9b\u202e東", hint="", exit_code=1)
    print_document(ErrorDocument(error=part))
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert "\x1b" not in printed
    assert '"a\\u001b[31m\\u009b\\u202e\\u6771"' in printed


@pytest.fixture
def of_width(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Give the lines that something prints on a terminal of some width."""

    def lines(columns: int, show: Callable[[Terminal], None], term: str = "xterm-256color") -> list[str]:
        monkeypatch.setenv("TERM", term)
        monkeypatch.setenv("COLUMNS", str(columns))
        leader, follower = pty.openpty()
        with os.fdopen(follower, "w") as stream:
            show(Terminal(stream))
        parts: list[bytes] = []
        read_to_end(leader, parts.append)
        os.close(leader)
        return re.sub(r"\x1b\[[\d;]*m", "", b"".join(parts).decode()).split("\r\n")

    return lines


KNOWN = "8d2c1f5e-0f0a-4b1c-9a52-3a1f3c3f9e11"
PROSE = " ".join(["one two three four five six seven eight nine ten"] * 3)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize(
    "show",
    [
        lambda one: one.table([("lease", KNOWN, PROSE), ("present", "x", "")], head=("kind", "id", "note")),
        lambda one: one.table([("present", PROSE[:20], KNOWN), ("lease", PROSE, "x")], head=("kind", "note", "id")),
        lambda one: one.line((KNOWN, "bold"), f" {PROSE}", inset=4),
    ],
)
def test_ids_stay_whole_and_prose_is_wrapped_at_any_width(
    of_width: Callable[..., list[str]], columns: int, show: Callable[[Terminal], None]
) -> None:
    lines = of_width(columns, show)
    assert any(KNOWN in line for line in lines)
    assert all(len(line) <= columns for line in lines)
    words = " ".join(lines).replace(",", "").split()
    assert [word for word in words if word in PROSE.split()][-30:] == PROSE.split()


@pytest.mark.parametrize("columns", [30, 48, 60])
def test_a_command_is_never_broken(of_width: Callable[..., list[str]], columns: int) -> None:
    command = "envagent run --plan plan.json"
    lines = of_width(columns, lambda one: one.line(f"Nothing was reserved. To carry out this plan: {command}"))
    assert [line.strip() for line in lines if "envagent" in line] == [command]
    lines = of_width(columns, lambda one: one.table([("hint", f"to continue, {command}, or wait for it")]))
    assert any(command in line for line in lines)


def test_a_dumb_terminal_gets_whole_words(of_width: Callable[..., list[str]]) -> None:
    lines = of_width(60, lambda one: one.line(PROSE), "dumb")
    assert len(lines) > 2 and max(map(len, lines)) <= 60
    assert " ".join(lines).split() == PROSE.split()


def test_prose_is_one_line_where_nobody_looks() -> None:
    stream = Piped()
    Terminal(stream).line(PROSE * 3)
    assert stream.getvalue() == f"{PROSE * 3}\n"
