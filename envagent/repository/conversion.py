"""Turn untrusted documents into text, in a child process that cannot run away.

Owns: what counts as which kind of document, the child with its deadline, and what it returns. Must not: fetch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from envagent import children
from envagent.repository.decoding import decode
from envagent.repository.git import Cancelled
from envagent.repository.markup import Unreadable

Kind = Literal["pdf", "html", "email", "notebook", "text"]
SECONDS = 20.0
_SHARE = 0.6
"""The part of the time after which no further page is started, so that those before it are not lost."""
_LOOK_EVERY = 0.1
_MOST_TEXT = 400_000


class _Answer(BaseModel):
    """What the child writes (`converter`)."""

    text: str = ""
    begins: tuple[int, ...] = ()
    read: int = 0
    pages: int = 0
    error: str = ""


class Converted(NamedTuple):
    """The text of a document.

    Attributes:
        text: Markdown, untrusted.
        begins: the line on which each page begins, counted from 1; empty for a document without pages.
        left_out: what was not read, in words; empty for nothing.
    """

    text: str
    begins: tuple[int, ...] = ()
    left_out: str = ""


def kind_of_document(name: str, data: bytes, content_type: str = "") -> Kind | None:
    """Return the kind of a document by its content, its name and what a server says; None for an unknown one."""
    ending = name.lower().rpartition(".")[2]
    beginning = data[:1024]
    if b"%PDF-" in beginning:
        return "pdf"
    if b"\0" in beginning and decode(data[:4096]) is None:
        return None
    if ending == "ipynb":
        return "notebook"
    if ending == "eml" or content_type == "message/rfc822":
        return "email"
    start = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if ending in ("html", "htm", "xhtml") or content_type in ("text/html", "application/xhtml+xml"):
        return "html"
    return "html" if start.startswith((b"<!doctype html", b"<html")) else "text"


def convert(
    data: bytes, kind: Kind, *, seconds: float = SECONDS, cancelled: Callable[[], bool] = lambda: False
) -> Converted:
    """Return the text of a document.

    Raises:
        Unreadable: it is damaged, encrypted, has no text, or is too complex.
        Cancelled: `cancelled` returned True.
    """
    if kind == "text":
        text = decode(data)
        if text is None:
            raise Unreadable("is not text")
        return Converted(text[:_MOST_TEXT], (), "the end of the text" if len(text) > _MOST_TEXT else "")
    try:
        answer = _Answer.model_validate_json(_output(data, kind, seconds, cancelled))
    except ValidationError:
        raise Unreadable("is damaged, or too complex to be read") from None  # the kernel stopped the child
    if answer.error:
        raise Unreadable(answer.error)
    left_out = f"pages {answer.read + 1} to {answer.pages}" if answer.pages > answer.read else ""
    return Converted(answer.text, answer.begins, left_out)


def _output(data: bytes, kind: Kind, seconds: float, cancelled: Callable[[], bool]) -> bytes:
    deadline = time.monotonic() + seconds
    own = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryFile() as given:
        given.write(data)
        given.seek(0)
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "envagent.repository.converter", kind, f"{_SHARE * seconds:.1f}"],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=children.environment(PYTHONPATH=path),
        ) as child:
            try:
                while True:
                    try:
                        return child.communicate(timeout=_LOOK_EVERY)[0]
                    except subprocess.TimeoutExpired:
                        if cancelled():
                            raise Cancelled from None
                        if time.monotonic() > deadline:
                            raise Unreadable("is too complex to be read") from None
            finally:
                child.kill()
