"""pip's requirements files, with options and environment markers.

Owns: their line syntax. Must not: read comments as evidence, since pip ignores them.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, GpuSign, Spot, quote
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, pip_package
from envagent.repository.readers.scopes import scope_of

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION_TAIL = re.compile(r"\s--(hash|install-option|global-option|config-settings)\b.*$")
_CPU_INDEX = re.compile(r"download\.pytorch\.org/whl/(?:\w+/)?cpu\b")
_CUDA_INDEX = re.compile(
    r"(?:download\.pytorch\.org/whl/(?:nightly/)?cu\d+|pypi\.nvidia\.com|pypi\.ngc\.nvidia\.com|jax_cuda_releases)"
)
_ROCM_INDEX = re.compile(r"download\.pytorch\.org/whl/(?:nightly/)?rocm")
_MAX_LINE = 1000
_EGG = re.compile(
    r"(?:git\+|https?://|-e\s).*?(?:egg=([A-Za-z0-9_.-]+)|/([A-Za-z0-9_.-]+?)(?:\.git)?(?:@[\w./-]+)?(?:#.*)?$)"
)


def read(path: str, text: str, facts: Facts) -> None:
    """Read packages, and wheel indexes for one kind of processor."""
    scope = scope_of(path)
    if scope is None:
        return
    for number, line in _logical_lines(text)[: 5 * MOST_OF_A_FILE]:
        if line.startswith("-"):
            _index(path, number, line, facts, weight=1.0 if scope == "main" else 0.3)
        if line.startswith("-") and not line.startswith(("-e", "--editable")):
            continue
        line = _OPTION_TAIL.sub("", line).strip()
        package = pip_package(line, scope, path, number)
        if package is None and (source := _EGG.match(line)):
            package = pip_package(source[1] or source[2], scope, path, number)
        facts.add(package)


def _index(path: str, number: int, line: str, facts: Facts, weight: float) -> None:
    spot = Spot(path, number, quote(line))
    if _CPU_INDEX.search(line):
        facts.gpu.append(GpuSign("denial", -3.0 * weight, None, spot, "installs the CPU builds"))
    elif _CUDA_INDEX.search(line):
        facts.gpu.append(GpuSign("dependency", 2.0 * weight, "nvidia", spot, "installs CUDA builds"))
    elif _ROCM_INDEX.search(line):
        facts.gpu.append(GpuSign("dependency", 2.0 * weight, "amd", spot, "installs ROCm builds"))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending: tuple[int, str] | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        start, line = (pending[0], pending[1] + raw) if pending else (number, raw)
        if line.rstrip().endswith("\\") and not line.lstrip().startswith("#"):
            pending = start, line.rstrip()[:-1] + " "
            continue
        pending = None
        if line := _COMMENT.sub("", line).strip():
            lines.append((start, line[:_MAX_LINE]))
    return lines
