"""Parse manifests to plain tables; a syntax error becomes a note.

Owns: the parsers, and reading nested tables whatever their values are. Must not: know what a table means.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import yaml

from envagent.repository.facts import Facts, Spot, quote
from envagent.repository.yamls import MERGE, load_documents, load_yaml

_MOST_PARENTS = 4


def toml_table(path: str, text: str, facts: Facts) -> dict[str, Any]:
    """Parse TOML; empty if it is invalid."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        facts.notes.append(f"{path}: not valid TOML.")
        return {}


def json_table(path: str, text: str, facts: Facts) -> dict[str, Any]:
    """Parse a JSON object; empty if it is invalid or not an object."""
    try:
        loaded: Any = json.loads(text, strict=False)
    except ValueError:
        facts.notes.append(f"{path}: not valid JSON.")
        return {}
    return loaded if isinstance(loaded, dict) else {}


def yaml_table(path: str, text: str, facts: Facts) -> dict[str, Any]:
    """Parse a YAML mapping; empty if it is invalid or not a mapping."""
    try:
        loaded = load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        facts.notes.append(f"{path}: not valid YAML ({quote(str(error))}).")
        return {}
    return loaded if isinstance(loaded, dict) else {}


def yaml_tables(path: str, text: str, facts: Facts) -> list[dict[str, Any]]:
    """Parse the mappings of a YAML stream; empty if it is invalid."""
    try:
        return [document for document in load_documents(text) if isinstance(document, dict)]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        facts.notes.append(f"{path}: not valid YAML ({quote(str(error))}).")
        return []


def merged(found: object, depth: int = 4) -> dict[str, Any]:
    """Return a mapping with its YAML merge keys carried out one level deep; empty if it is none."""
    if not isinstance(found, dict):
        return {}
    parents = found.get(MERGE)
    if parents is None or not depth:
        return found
    whole: dict[str, Any] = {}
    for parent in reversed(parents[:_MOST_PARENTS] if isinstance(parents, list) else [parents]):
        whole |= merged(parent, depth - 1)
    return whole | {key: value for key, value in found.items() if key != MERGE}


def table(tables: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the table at the end of a path of names; empty if there is none."""
    for name in names:
        found = tables.get(name)
        if not isinstance(found, dict):
            return {}
        tables = found
    return tables


def items(tables: dict[str, Any], name: str) -> list[Any]:
    """Return the list `name`; empty if there is none."""
    found = tables.get(name)
    return found if isinstance(found, list) else []


def strings(found: object) -> list[str]:
    """Return the strings of a list."""
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def without_comments(text: str, *lines: str, block: tuple[str, str] | None = None) -> str:
    """Blank out comments, keeping all lines in place.

    Args:
        text: the source.
        lines: what begins a comment that ends with its line, if it stands at the start or after a space.
        block: what begins and ends a comment of several lines.
    """
    if block:
        pieces = text.split(block[0])
        kept = [pieces[0]]
        for piece in pieces[1:]:
            comment, end, rest = piece.partition(block[1])
            # Within a word, as in `**/*.java`, it begins nothing.
            begins = end and not kept[-1][-1:].strip()
            kept.append("\n" * comment.count("\n") + rest if begins else block[0] + piece)
        text = "".join(kept)
    if lines:
        begin = "|".join(map(re.escape, lines))
        text = re.sub(rf"(?m)(^|(?<=[\s;]))(?:{begin})[^\n]*", "", text)
    return text


def spot_at(path: str, text: str, found: re.Match[str]) -> Spot:
    """Return the place of a match in the text of a file."""
    number = text.count("\n", 0, found.start()) + 1
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.start())
    return Spot(path, number, quote(text[start : end if end >= 0 else len(text)][:1000]))
