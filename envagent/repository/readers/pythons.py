"""Files that only name a Python version, and CI workflows, which name the tested ones.

Owns: .python-version, runtime.txt, .tool-versions, tox.ini and workflow matrices. Must not: take the system of a CI
job for a requirement; it is only known to work.
"""

from __future__ import annotations

import re

from packaging.specifiers import SpecifierSet

from envagent.repository.facts import Facts, GpuSign, PythonSign, SystemSign, minors, spot_of
from envagent.repository.readers.shell_commands import python_specifier

_NAMED = re.compile(r"^[ \t]*(?:python[- ]?)?(\d\.\d{1,2})(?:\.\d+)?[ \t]*$", re.MULTILINE | re.IGNORECASE)
_TOOL = re.compile(r"^python\s+(\d\.\d{1,2})", re.MULTILINE)
_TOX = re.compile(r"\bpy\{?([\d, -]+)\}?")
_MATRIX = re.compile(
    r"python(?:[-_]?version)?s?[\"']?\s*:\s*(\[[^\]]*\]|[\"']?\d\.\d{1,2}[\"']?|\n(?:\s*- *[\"']?\d\.\d+[\"']?.*\n?)+)",
    re.IGNORECASE,
)
_MINOR = re.compile(r"(?<![\d.])([23]\.\d{1,2})(?![\d])")
_RUNNER = re.compile(r"\b(ubuntu)-(\d\d\.04)\b")
_GPU_RUNNER = re.compile(r"runs-on:.*\b(gpu|cuda|a100|t4|v100|nvidia)\b", re.IGNORECASE)


def read_version(path: str, text: str, facts: Facts) -> None:
    """Read .python-version, runtime.txt or .tool-versions."""
    pattern = _TOOL if path.endswith(".tool-versions") else _NAMED
    if found := pattern.search(text):
        authority, spot = 3 if "/" not in path else 0, spot_of(path, text, found[1])
        facts.pythons.append(PythonSign(python_specifier(found[1]), authority, spot, "the named version"))


def read_ci(path: str, text: str, facts: Facts) -> None:
    """Read the tested Python versions, and whether a job runs on a GPU."""
    tested: set[str] = set()
    for matrix in _MATRIX.finditer(text):
        tested |= {m for found in _MINOR.findall(matrix[1]) for m in minors(SpecifierSet(f"=={found}.*"))}
    if tested:
        spot = spot_of(path, text, "python", "version")
        facts.pythons.append(PythonSign(frozenset(tested), 0, spot, "what its CI tests"))
    if runner := _RUNNER.search(text):
        facts.systems.append(SystemSign(runner[1], (runner[2],), False, 0.2, spot_of(path, text, runner[0])))
    if runner := _GPU_RUNNER.search(text):
        spot = spot_of(path, text, runner[0].strip())
        facts.gpu.append(GpuSign("command", 0.2, "nvidia", spot, "its CI runs on a GPU"))


def read_tox(path: str, text: str, facts: Facts) -> None:
    """Read the environments of tox.ini."""
    if found := _TOX.search(text):
        short = re.findall(r"\d{2,3}", found[1])
        tested = frozenset(m for s in short for m in python_specifier(f"{s[0]}.{s[1:]}"))
        if tested:
            facts.pythons.append(PythonSign(tested, 0, spot_of(path, text, found[0]), "what tox tests"))
