"""The child process that turns one document into text: `python -m envagent.repository.converter KIND SECONDS`.

Owns: its own limits on memory and processor time, which the kernel holds whatever a hostile file does. It reads the
document from its input and writes one JSON object. Must not: open a file or a connection.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys

from envagent.repository.decoding import clean
from envagent.repository.markup import Unreadable, read_email, read_html, read_notebook

MEMORY = 1 << 30
SECONDS = 25
MOST_TEXT = 400_000
_READERS = {"html": read_html, "email": read_email, "notebook": read_notebook}


def main() -> None:
    """Convert what is at the input."""
    _limit()
    try:
        answer = _convert(sys.argv[1], sys.stdin.buffer.read(), float(sys.argv[2]))
    except Unreadable as error:
        answer = {"error": str(error)}
    except (MemoryError, RecursionError):
        answer = {"error": "is too complex to be read"}
    sys.stdout.write(json.dumps(answer))


def _limit() -> None:
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def _convert(kind: str, data: bytes, seconds: float) -> dict[str, object]:
    if kind != "pdf":
        return {"text": clean(_READERS[kind](data))[:MOST_TEXT], "begins": [], "pages": 0}
    from envagent.repository.layout import to_markdown
    from envagent.repository.pdf import read_lines

    lines, read, pages = read_lines(data, seconds)
    text, begins = to_markdown(lines)
    if not text.strip():
        raise Unreadable("contains no text, only pictures")
    return {"text": clean(text)[:MOST_TEXT], "begins": begins, "read": read, "pages": pages}


if __name__ == "__main__":
    main()
