"""Files that only name a Python version, and CI workflows, which name the tested ones.

Owns: .python-version, runtime.txt, tox.ini, noxfile.py and workflow matrices. Must not: take the system of a CI
job for a requirement; it is only known to work.
"""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envagent.repository.facts import Facts, GpuSign, PythonSign, Spot, SystemSign, Toolchain, minors, quote, spot_of
from envagent.repository.readers.shell_commands import python_specifier

_R = re.compile(r"r-(\d\.\d{1,2})")
_TOX = re.compile(r"\bpy\{?([\d, -]+)\}?")
_TOX_LIST = re.compile(r"\benv_list\s*=\s*(\[[^\]]{0,500}\])")
_NOX = re.compile(r"\bpython\s*=\s*(\[[^\]]{0,300}\]|[\"']\d\.\d{1,2}[\"'])")
_MATRIX = re.compile(
    r"python(?:[-_]?version)?s?[\"']?\s*:\s*(\[[^\]]*\]|[\"']?\d\.\d{1,2}[\"']?|\n(?:\s*- *[\"']?\d\.\d+[\"']?.*\n?)+)",
    re.IGNORECASE,
)
_MINOR = re.compile(r"(?<![\d.])([23]\.\d{1,2})(?![\d])")
_RUNNER = re.compile(r"\b(ubuntu)-(\d\d\.04)\b")
_HOSTED = re.compile(r"\b(?:ubuntu|macos|windows)-(?:latest|\d\d)")
_TESTS = re.compile(
    r"\b(?:pytest|tox|nox|ctest|unittest|run_?tests?|julia-runtest|check-r-package|R CMD check|"
    r"(?:bazel|cabal|cargo|dotnet|go|make|meson|mix|mvn|ninja|npm|pnpm|sbt|stack|swift|yarn) "
    r"(?:-\S{1,40} )?(?:check|tests?))\b"
)
_GPU_RUNNER = re.compile(r"runs-on:.*\b(gpu|cuda|a100|t4|v100|nvidia)\b", re.IGNORECASE)


def cpython(version: str) -> frozenset[str]:
    """Return the minors of a version as pyenv, uv, Heroku and asdf name it; none for another implementation."""
    word = re.sub(r"^(?:cpython|python)[-@ ]?", "", version.strip().lower())
    if re.match(r"[<>=!~]", word):
        try:
            return minors(SpecifierSet(word))
        except InvalidSpecifier:
            return frozenset()
    return python_specifier(word) if re.match(r"\d\.\d{1,2}(?!\d)", word) else frozenset()


def read_version(path: str, text: str, facts: Facts) -> None:
    """Read .python-version or runtime.txt, of which the first version that is one of CPython counts."""
    for number, line in enumerate(text.split("\n")[:50], 1):
        word = line.partition("#")[0].strip()
        if found := _R.match(word):
            facts.toolchains.append(Toolchain("r", found[1], Spot(path, number, quote(line))))
            return
        if allowed := cpython(word):
            authority, spot = 3 if "/" not in path else 0, Spot(path, number, quote(line))
            facts.pythons.append(PythonSign(allowed, authority, spot, "the named version"))
            return


def read_ci(path: str, text: str, facts: Facts) -> None:
    """Read the tested Python versions, and whether its tests run with a GPU or without."""
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
    if _HOSTED.search(text) and (tests := _TESTS.search(text)):
        # The machines that GitHub lends have no GPU.
        spot = spot_of(path, text, tests[0])
        facts.gpu.append(GpuSign("tests", -1.0, None, spot, "its CI tests it on machines without a GPU"))


def read_tox(path: str, text: str, facts: Facts) -> None:
    """Read the environments of tox.ini or tox.toml, or the sessions of noxfile.py."""
    found = _NOX.search(text) if path.endswith(".py") else _TOX_LIST.search(text) or _TOX.search(text)
    if not found:
        return
    short = re.findall(r"(?<![\d.])\d{2,3}(?![\d.])", found[1])
    named = [*(f"{s[0]}.{s[1:]}" for s in short), *_MINOR.findall(found[1])]
    if tested := frozenset(m for name in named for m in python_specifier(name)):
        facts.pythons.append(PythonSign(tested, 0, spot_of(path, text, found[0].split("\n")[0]), "what tox tests"))
