"""The only way to stdout and stderr: harmless text, colour where it is wanted, and no error when nobody listens.

A closed terminal or pipe never ends a run: what cannot be written is dropped, the work goes on.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO, TYPE_CHECKING, Any, TextIO

from envagent.cli.text import printable

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.text import Text


class Sturdy(io.TextIOBase):
    """A text stream whose writes never fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.gone = False

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
            except (OSError, ValueError):
                self._lose()
        return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        if not self.gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._lose()

    def _lose(self) -> None:
        self.gone = True
        # The interpreter flushes its streams at exit, and would end with 120 if that failed.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class Terminal:
    """One stream with rich behind it; every string that is handed in is made harmless.

    Rich heeds NO_COLOR, FORCE_COLOR and TERM=dumb.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = Sturdy(stream)
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
