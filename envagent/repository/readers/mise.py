"""Managers of runtime versions: mise.toml and .tool-versions.

Owns: their syntax; of several versions the first one is used unless another is asked for. Must not: resolve `latest`.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, PythonSign, Spot, Toolchain, spot_of
from envagent.repository.readers.parsing import table, toml_table
from envagent.repository.readers.pythons import cpython
from envagent.repository.readers.scopes import scope_of

_TOOLS = {
    "node": "node", "nodejs": "node", "go": "go", "golang": "go", "java": "java", "rust": "rust", "julia": "julia",
    "r": "r",
}  # fmt: skip
_LINE = re.compile(r"([\w:/.-]{1,60})[ \t]+(\S{1,60})")


def read(path: str, text: str, facts: Facts) -> None:
    """Read mise.toml."""
    for name, wanted in table(toml_table(path, text, facts), "tools").items():
        first = wanted[0] if isinstance(wanted, list) and wanted else wanted
        version = first.get("version") if isinstance(first, dict) else first
        if isinstance(version, str | int | float) and not isinstance(version, bool):
            _tool(name, str(version), spot_of(path, text, name.rpartition(":")[2], str(version)), facts)


def read_tool_versions(path: str, text: str, facts: Facts) -> None:
    """Read .tool-versions, which asdf introduced."""
    for number, line in enumerate(text.split("\n")[:200], 1):
        if found := _LINE.match(line.partition("#")[0].strip()):
            _tool(found[1], found[2], Spot(path, number, line.strip()[:200]), facts)


def _tool(name: str, version: str, spot: Spot, facts: Facts) -> None:
    tool = name.rpartition(":")[2].lower()
    if tool == "python":
        if allowed := cpython(version):
            own = scope_of(spot.path) == "main"
            facts.pythons.append(PythonSign(allowed, 3 if own else 0, spot, "the named version"))
    elif tool in _TOOLS and (number := re.search(r"(?<![\d.])\d+(?:\.\d+)?", version)):
        facts.toolchains.append(Toolchain(_TOOLS[tool], number[0], spot))
