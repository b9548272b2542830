r"""The only way to stdout and stderr: harmless text, lines and tables, colour, and no error when nobody listens.

Servers, repositories and models choose names and messages; an escape sequence among them could retitle the window,
hide a line or fake one, and a bidirectional override could swap what is read. `printable` shows such characters as
their escape, such as `\x1b`; everything printed passes through it.

A closed terminal or pipe never ends a run: what cannot be written is dropped, and the work goes on. The loss is
remembered: a result that has not arrived is not a success.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.text import Text

# Controls, formats (bidirectional, zero-width, tags), surrogates, private use, unassigned, line separators.
_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANKS = str.maketrans({"\n": " ", "\r": " ", "\t": " "})
_COMMAND = re.compile(
    r"\benvagent [a-z]+(?: (?:-[\w-]+(?: (?!-)[^\s,;()]+)?|'[^']*'|last\b|[^\s,;()]*[^a-z\s,;()][^\s,;()]*))*"
)
"""A command within prose: options with their values, and words that are not plain ones."""

_HELD = "\ue000"
"""What a space within a command is while lines are broken; `printable` lets none through."""

MIN_PROSE_COLUMNS = 28
"""A narrower column of prose is hard to read."""

STATE_STYLES = {
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
    "succeeded": "green",
    "present": "green",
    "failed": "red",
    "unknown": "red",
    "interrupted": "yellow",
    "waiting": "yellow",
    "removing": "yellow",
    "running": "cyan",
    "pending": "dim",
    "torn_down": "dim",
    "moved": "dim",
    "absent": "dim",
    "ended": "dim",
}

LONGEST_TEXT = 2000
"""Characters of one text that are shown; a server may send a page of HTML as its message."""


def printable(text: object, *, limit: int = LONGEST_TEXT) -> str:
    r"""Make one harmless line of any text.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    >>> printable("two\nlines")
    'two lines'
    """
    line = str(text).translate(_BLANKS)
    if len(line) > limit:
        line = line[: limit - 1] + "…"
    if line.isascii() and line.isprintable():
        return line
    return "".join(_escaped(one) if unicodedata.category(one) in _ACTING else one for one in line)


def _escaped(one: str) -> str:
    code = ord(one)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class SafeStream(io.TextIOBase):
    """A text stream whose writes never fail.

    Attributes:
        trouble: why something that was written has not arrived; None while all has.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.trouble: OSError | ValueError | None = None

    @property
    def gone(self) -> bool:
        """Whether everything written is dropped."""
        return self.trouble is not None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's own."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        try:
            return self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, or drop what nobody can read any more."""
        if not self.gone:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except (OSError, ValueError) as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        if not self.gone:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def _lose(self, error: OSError | ValueError) -> None:
        self.trouble = error
        # The interpreter flushes its streams at exit, and would end with 120 if that failed.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class Terminal:
    """One stream, written through rich; every string is made harmless first.

    Rich respects NO_COLOR, FORCE_COLOR and TERM=dumb.
    """

    def __init__(self, stream: TextIO | SafeStream) -> None:
        self.stream = stream if isinstance(stream, SafeStream) else SafeStream(stream)
        self._console: Console | None = None

    @property
    def interactive(self) -> bool:
        """Whether the stream is a terminal that can redraw."""
        return self.stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")

    @property
    def width(self) -> int | None:
        """The terminal's width in columns; None for a file, a pipe, and a dumb terminal that does not tell it."""
        if self.interactive:
            return self.console.width
        try:  # rich takes 80 for every dumb terminal
            told = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size(self.stream.fileno()).columns
        except (OSError, ValueError):
            return None
        return told if told > 0 and self.stream.isatty() else None

    @property
    def console(self) -> Console:
        """Rich's console, created at its first use; pass it strings only through `printable`."""
        if self._console is None:
            from rich.console import Console

            file: Any = self.stream
            self._console = Console(file=file, markup=False, emoji=False, highlight=False, legacy_windows=False)
        return self._console

    def sign(self, sign: str, plain: str) -> str:
        """Return a sign, or its plain form if the stream's encoding lacks it."""
        try:
            sign.encode(self.stream.encoding)
        except (UnicodeEncodeError, LookupError):
            return plain
        return sign

    def whole(self, *parts: str | tuple[str, str]) -> None:
        """Print one line of parts, each a text or (text, style), without a line break of ours: it is copied."""
        self.console.print(styled(*parts), soft_wrap=True)
        self.stream.flush()

    def line(self, *parts: str | tuple[str, str], inset: int = 2) -> None:
        """Print one line of parts; on a terminal, broken between words, with further lines inset by so many columns.

        An id, a path or a command of ours stays whole.
        """
        for number, one in enumerate(self._broken(styled(*parts), inset)):
            self.console.print(" " * inset if number else "", one, sep="", soft_wrap=True)
        self.stream.flush()

    def table(self, rows: Iterable[Iterable[str]], *, head: Iterable[str] = (), indent: int = 2) -> None:
        """Print cells in columns; on a terminal, prose in the last column is wrapped between words.

        Where little room is left for it, it goes below its row, with the columns before it that do not fit. A line may
        still be longer than the terminal: ids and commands are copied, so they are never cut.
        """
        from rich.cells import cell_len

        headings, cells = list(head), [[printable(cell) for cell in row] for row in rows]
        columns = list(zip_longest(headings, *cells, fillvalue=""))
        below: dict[int, str] = {}
        if self.width is not None:
            edges = list(accumulate((max(map(cell_len, column)) + 2 for column in columns[:-1]), initial=indent))
            room = self.width - edges[-1]
            if room < min(MIN_PROSE_COLUMNS, max(map(cell_len, columns[-1]), default=0)):
                inset = 2 * indent + 2
                fit = max(1, sum(edge - 2 <= self.width for edge in edges[1:]))
                moved = (", ".join(_moved(row, headings, fit)) for row in cells)
                below = {at: _wrapped(text, self.width - inset, " " * inset) for at, text in enumerate(moved)}
                headings, cells = headings[:fit], [row[:fit] for row in cells]
            else:
                cells = [[*row[:-1], _wrapped(row[-1], room)] for row in cells]
        widths = [max(map(cell_len, column)) for column in zip_longest(headings, *_lines_of(cells), fillvalue="")]
        if headings:
            self._row(headings, widths, indent, lambda _: "dim")
        for number, row in enumerate(cells):
            for line in _lines_of([row]):
                self._row(line, widths, indent, lambda cell: STATE_STYLES.get(cell.rstrip(), ""))
            if text := below.get(number):
                self.raw(f"{text}\n")

    def _row(self, cells: Sequence[str], widths: Sequence[int], indent: int, style: Callable[[str], str]) -> None:
        """Print cells in columns of these widths; nothing is cut off."""
        from rich.cells import cell_len

        parts: list[str | tuple[str, str]] = [" " * indent]
        last = max((number for number, cell in enumerate(cells) if cell), default=-1)
        for number, cell in enumerate(cells[: last + 1]):
            gap = " " * (widths[number] - cell_len(cell) + 2) if number < last else ""
            parts += [(cell, style(cell)), gap]
        self.whole(*parts)

    def field(self, name: str, prose: str) -> None:
        """Print a named text."""
        self.table([(f"{name:<11}", prose)])

    def _broken(self, text: Text, inset: int) -> Sequence[Text]:
        """Break a line between words, if it is too long for the terminal."""
        width = self.width
        if width is None or text.cell_len <= width:
            return [text]
        text.no_wrap, text.overflow, text.plain = False, "ignore", _held(text.plain)
        first = text.wrap(self.console, width)[0]  # only further lines are inset
        rest = text[len(first.plain.rstrip(" ")) :]
        rest = rest[len(rest.plain) - len(rest.plain.lstrip(" ")) :]
        lines = [first, *(rest.wrap(self.console, width - inset) if rest else ())]
        for one in lines:
            one.plain = one.plain.replace(_HELD, " ")
            one.rstrip()
        return lines

    def prompt(self, question: str) -> None:
        """Print a question; the answer follows on its line."""
        for number, one in enumerate(self._broken(styled((question.rstrip(), "bold")), 2)):
            self.console.print("\n  " if number else "", one, sep="", end="", soft_wrap=True)
        self.console.print(" ", end="", soft_wrap=True)
        self.stream.flush()

    def show_cursor(self) -> None:
        """Show the cursor that a live view has hidden, because the process is about to end."""
        if self.interactive:
            self.raw("\x1b[?25h\n")

    def raw(self, text: str) -> None:
        """Write text that is already harmless, such as a JSON document."""
        self.stream.write(text)
        self.stream.flush()


def _lines_of(cells: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Split rows whose cells have several lines into lines."""
    for row in cells:
        yield from (list(line) for line in zip_longest(*(cell.split("\n") for cell in row), fillvalue=""))


def _moved(row: Sequence[str], headings: Sequence[str], fit: int) -> Iterator[str]:
    """Name the cells that go below their row; the last is prose and speaks for itself."""
    for number, cell in enumerate(row[fit:-1], fit):
        if cell:
            yield f"{headings[number]}: {cell}" if headings else cell
    yield from filter(None, row[-1:])


def _wrapped(prose: str, width: int, inset: str = "") -> str:
    """Break prose between words; an id or a command stays whole."""
    import textwrap

    lines = textwrap.wrap(_held(prose), width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"{inset}{line}" for line in lines).replace(_HELD, " ")


def _held(prose: str) -> str:
    """Return prose whose commands have no spaces that it could be broken at."""
    return _COMMAND.sub(lambda found: found[0].replace(" ", _HELD), prose)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a harmless line of parts, each a text or (text, style)."""
    from rich.text import Text

    made = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, "")
        made.append(printable(text), style)
    return made


@contextlib.contextmanager
def safe_streams() -> Iterator[SafeStream]:
    """Make writes to stdout and stderr never fail, for everything in this process; yields stdout."""
    before = sys.stdin, sys.stdout, sys.stderr
    _occupy_closed_descriptors()
    stdout: Any = SafeStream(_opened(sys.stdout, 1, "w"))
    stderr: Any = SafeStream(_opened(sys.stderr, 2, "w"))
    sys.stdin, sys.stdout, sys.stderr = _opened(sys.stdin, 0, "r"), stdout, stderr
    try:
        yield stdout
    finally:
        stdout.flush()
        stderr.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def _occupy_closed_descriptors() -> None:
    """Keep the next file that is opened (the journal!) from becoming stdout or stderr of this process or a child."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDONLY)  # writing there fails, as it does on a closed one
            os.dup2(null, number)
            if null != number:
                os.close(null)


def _opened(stream: TextIO | None, number: int, mode: str) -> TextIO:
    """Return a standard stream, buffered.

    The interpreter has none if the descriptor was closed; with PYTHONUNBUFFERED, its stream silently loses the rest of
    a short write.
    """
    if stream is not None and not (isinstance(getattr(stream, "buffer", None), io.RawIOBase) and mode == "w"):
        return stream
    encoding, errors = ("utf-8", "backslashreplace") if stream is None else (stream.encoding, stream.errors)
    descriptor = number if stream is None else stream.fileno()
    made: Any = open(descriptor, mode, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    return cast(TextIO, made)


def out() -> Terminal:
    """Return the terminal for the result."""
    return Terminal(sys.stdout)


def err() -> Terminal:
    """Return the terminal for progress and errors."""
    return Terminal(sys.stderr)


def answerable(*streams: IO[str]) -> bool:
    """Return whether a question can be asked: all are terminals, and ENVAGENT_NO_PROMPT is not set."""
    if os.environ.get("ENVAGENT_NO_PROMPT"):
        return False
    try:
        return all(one.isatty() for one in streams)
    except ValueError:
        return False


def print_document(document: BaseModel, *, in_line: bool = False) -> None:
    """Print a JSON document on stdout, in ASCII: nothing in it can act on a terminal.

    Args:
        document: the document.
        in_line: whether it is one line of several.
    """
    import json

    out().raw(json.dumps(document.model_dump(mode="json"), indent=None if in_line else 2) + "\n")
