"""The only way to stdout and stderr: harmless text, colour where it is wanted, and no error when nobody listens.

A closed terminal or pipe never ends a run: what cannot be written is dropped, the work goes on. That it was dropped
is remembered: a result that has not arrived is no success.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from envagent.cli.text import printable

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.text import Text


class Sturdy(io.TextIOBase):
    """A text stream whose writes never fail.

    Attributes:
        trouble: why something that was written has not arrived; None while all has.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.trouble: OSError | ValueError | None = None

    @property
    def gone(self) -> bool:
        """Whether what is written is dropped."""
        return self.trouble is not None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's own."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Tell whether a terminal is behind it."""
        try:
            return self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """Give the descriptor."""
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
    """One stream with rich behind it; every string that is handed in is made harmless.

    Rich heeds NO_COLOR, FORCE_COLOR and TERM=dumb.
    """

    def __init__(self, stream: TextIO | Sturdy) -> None:
        self.stream = stream if isinstance(stream, Sturdy) else Sturdy(stream)
        self._console: Console | None = None

    @property
    def interactive(self) -> bool:
        """Whether somebody watches who can be shown moving things."""
        return self.stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")

    @property
    def width(self) -> int | None:
        """How many columns somebody sees; None where nobody watches, and lines are for a file or a program."""
        return self.console.width if self.interactive else None

    @property
    def console(self) -> Console:
        """Rich's console, made at its first use. Hand it strings only through `printable`."""
        if self._console is None:
            from rich.console import Console

            file: Any = self.stream
            self._console = Console(
                file=file,
                markup=False,
                emoji=False,
                highlight=False,
                legacy_windows=False,
            )
        return self._console

    def sign(self, sign: str, plain: str) -> str:
        """Choose a sign that the stream's encoding has."""
        try:
            sign.encode(self.stream.encoding)
        except (UnicodeEncodeError, LookupError):
            return plain
        return sign

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Print one line of parts, each plain or (text, style)."""
        self.console.print(styled(*parts), soft_wrap=True)  # a pasted line must not hold line breaks of ours
        self.stream.flush()

    def prompt(self, question: str) -> None:
        """Print a question; the answer follows on its line."""
        self.console.print(styled((question, "bold")), end="", soft_wrap=True)
        self.stream.flush()

    def raw(self, text: str) -> None:
        """Write text that is made of harmless characters already, such as a JSON document."""
        self.stream.write(text)
        self.stream.flush()


def styled(*parts: str | tuple[str, str]) -> Text:
    """Make a harmless line of parts, each plain or (text, style)."""
    from rich.text import Text

    made = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, "")
        made.append(printable(text), style)
    return made


@contextlib.contextmanager
def sturdy_streams() -> Iterator[Sturdy]:
    """Make writing to stdout and stderr harmless for everybody in this process; yields stdout."""
    before = sys.stdin, sys.stdout, sys.stderr
    _occupy_closed_descriptors()
    stdout: Any = Sturdy(_opened(sys.stdout, 1, "w"))
    stderr: Any = Sturdy(_opened(sys.stderr, 2, "w"))
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
    """Give a standard stream, buffered.

    The interpreter has none where the descriptor was closed, and one that loses the rest of a short write without a
    word where PYTHONUNBUFFERED is set.
    """
    if stream is not None and not (isinstance(getattr(stream, "buffer", None), io.RawIOBase) and mode == "w"):
        return stream
    encoding, errors = ("utf-8", "backslashreplace") if stream is None else (stream.encoding, stream.errors)
    descriptor = number if stream is None else stream.fileno()
    made: Any = open(descriptor, mode, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    return cast(TextIO, made)


def out() -> Terminal:
    """The result's stream."""
    return Terminal(sys.stdout)


def err() -> Terminal:
    """The stream of progress and errors."""
    return Terminal(sys.stderr)


def answerable(*streams: IO[str]) -> bool:
    """Tell whether a question can be asked: a person at both ends, and prompts not forbidden (ENVAGENT_NO_PROMPT)."""
    if os.environ.get("ENVAGENT_NO_PROMPT"):
        return False
    try:
        return all(one.isatty() for one in streams)
    except ValueError:
        return False


def print_document(document: BaseModel) -> None:
    """Print a JSON document on stdout; whatever is not ASCII is escaped, so nothing in it acts on a terminal."""
    import json

    out().raw(json.dumps(document.model_dump(mode="json"), indent=2) + "\n")
