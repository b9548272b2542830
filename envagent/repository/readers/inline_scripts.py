"""Requirements that a single script declares in its own comments, as PEP 723 has it.

Owns: finding the block. Must not: read the code.
"""

from __future__ import annotations

import tomllib

from envagent.repository.facts import Facts
from envagent.repository.readers import pyproject
from envagent.repository.readers.scopes import scope_of

_BEGIN, _END = "# /// script", "# ///"
_MOST_LINES = 500


def read(path: str, text: str, facts: Facts) -> None:
    """Read the block of a script, which holds for what the script does."""
    block, scope = _block(text), scope_of(path)
    if block is None or scope is None:
        return
    try:
        tables = tomllib.loads(block)
    except tomllib.TOMLDecodeError:
        facts.notes.append(f"{path}: its block of script metadata is not valid TOML.")
        return
    project = {key: tables.get(key) for key in ("dependencies", "requires-python")}
    own = "component" if scope == "main" else scope
    pyproject.read_tables({"project": project, "tool": tables.get("tool")}, own, path, text, facts, authority=3)


def _block(text: str) -> str | None:
    lines = text.split("\n")
    if _BEGIN not in (line.rstrip() for line in lines):
        return None
    start = next(number for number, line in enumerate(lines) if line.rstrip() == _BEGIN) + 1
    kept: list[str] = []
    for line in lines[start : start + _MOST_LINES]:
        if line.rstrip() == _END:
            return "\n".join(kept)
        if line.rstrip() != "#" and not line.startswith("# "):
            return None
        kept.append(line[2:])
    return None
