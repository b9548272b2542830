"""The Markdown cells of a notebook, as one document.

Owns: finding the cells and their lines in the file. Must not: read code.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from envagent.repository.documents import markdown
from envagent.repository.documents.sentence import Block

_MAX_CELLS = 500


def blocks(text: str) -> Iterator[Block]:
    """Read a notebook; one that was cut at the size limit has no cells."""
    try:
        loaded: Any = json.loads(text)
    except (ValueError, RecursionError):
        return
    cells = loaded.get("cells") if isinstance(loaded, dict) else None
    if not isinstance(cells, list):
        return
    places = _Places(text)
    for cell in cells[:_MAX_CELLS]:
        if not isinstance(cell, dict) or cell.get("cell_type") != "markdown":
            continue
        source = cell.get("source")
        parts = source if isinstance(source, list) else [source]
        content = "".join(part for part in parts if isinstance(part, str))
        lines = [places.after(line) for line in content.split("\n")]
        for block in markdown.blocks(content):
            moved = tuple((lines[min(line, len(lines)) - 1], words) for line, words in block.lines)
            yield replace(block, lines=moved)


class _Places:
    """Where the strings of a file stand that has one string a line."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, list[int]] = {}
        self.last = 1
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip().removesuffix(",").removeprefix('"source": ')
            if stripped.startswith('"') and stripped.endswith('"'):
                try:
                    value = json.loads(stripped)
                except ValueError:
                    continue
                self.lines.setdefault(str(value).rstrip("\n"), []).append(number)

    def after(self, line: str) -> int:
        """Return the line of the next string with this text, or of the string before."""
        found = self.lines.get(line, [])
        at = bisect_left(found, self.last)
        if line and at < len(found):
            self.last = found[at]
        return self.last
