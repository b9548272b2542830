"""Notebooks and top-level scripts: what they import and on which device they run.

Owns: reading source code without executing it. Must not: follow imports into the repository.
"""

from __future__ import annotations

import json
import re
from typing import Any

from packaging.specifiers import SpecifierSet

from envagent.repository.facts import Facts, GpuSign, Package, PythonSign, Scope, Spot, quote
from envagent.repository.readers import batch, chameleon, inline_scripts, python_platforms
from envagent.repository.readers.parsing import items, table
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import python_specifier, read_command

_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_FALLBACK = re.compile(
    r"cuda\.is_available\(\)|if\s+use_(gpu|cuda)|list_physical_devices\(['\"]GPU|device_count\(\)|--no[-_]cuda|"
    r"default=['\"]cpu['\"]"
)
_DEVICE = re.compile(r"\.cuda\(\)|\.to\(['\"]cuda|device\s*=\s*['\"]cuda|torch\.device\(['\"]cuda(:\d)?['\"]\)")
_PACKAGE_OF = {
    "cv2": "opencv-python", "sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "pillow", "yaml": "pyyaml",
    "flash_attn": "flash-attn", "mpi4py": "mpi4py", "pytorch_lightning": "pytorch-lightning",
}  # fmt: skip


def read_notebook(path: str, text: str, facts: Facts) -> None:
    """Read imports, installation commands and the accelerator it was saved with."""
    try:
        loaded: Any = json.loads(text)
    except ValueError:
        # A notebook cut at the size limit is not valid JSON; its imports can still be found.
        _imports(path, text.replace("\\n", "\n").replace('"', "\n"), facts)
        return
    if not isinstance(loaded, dict):
        return
    metadata = table(loaded, "metadata")
    if metadata.get("accelerator") == "GPU":
        facts.gpu.append(
            GpuSign("command", 0.8, None, Spot(path, None, '"accelerator": "GPU"'), "its notebook was saved with a GPU")
        )
    language = table(metadata, "language_info")
    version = str(language.get("version"))
    if language.get("name") == "python" and (named := python_specifier(version)):
        spot = Spot(path, None, f"kernel: Python {version}")
        facts.pythons.append(PythonSign(named, 0, spot, "its notebook's kernel"))
    for cell in items(loaded, "cells"):
        source = cell.get("source") if isinstance(cell, dict) and cell.get("cell_type") == "code" else None
        code = "".join(s for s in source if isinstance(s, str)) if isinstance(source, list) else source
        if isinstance(code, str):
            _imports(path, code, facts)
            chameleon.read(path, code, facts)
            for line in code.split("\n"):
                if line.startswith(("!", "%")):
                    read_command(path, None, line[1:], facts, scope="documented", weight=0.3 * _weight(path))


def read_requests(path: str, text: str, facts: Facts) -> None:
    """Read what any program declares that it needs: in a block of comments, or to a platform that runs it."""
    if "/" not in path:
        inline_scripts.read(path, text, facts)
    python_platforms.read(path, text, facts)


def read_script(path: str, text: str, facts: Facts) -> None:
    """Read a script of the kind that users start: train.py, main.py, run.sh."""
    chameleon.read(path, text, facts)
    if path.endswith(".py"):
        read_requests(path, text, facts)
        _imports(path, text, facts)
        found = _DEVICE.search(text)
        if found and not _FALLBACK.search(text):
            number = text.count("\n", 0, found.start()) + 1
            spot = Spot(path, number, quote(text.split("\n")[number - 1]))
            facts.gpu.append(GpuSign("command", _weight(path), "nvidia", spot, "its code uses a GPU unconditionally"))
        return
    batch.read(path, text, facts)
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            read_command(path, number, line.strip(), facts, scope="documented", weight=0.5 * _weight(path))


def read_job(path: str, text: str, facts: Facts) -> None:
    """Read a script only for what it asks of a scheduler or of Chameleon."""
    chameleon.read(path, text, facts)
    batch.read(path, text, facts)


def _weight(path: str) -> float:
    return {"main": 1.0, "component": 0.6}.get(scope_of(path) or "", 0.2)


def _imports(path: str, code: str, facts: Facts) -> None:
    scope: Scope = "documented" if scope_of(path) in ("main", "component") else "development"
    known = {p.name for p in facts.packages}
    for found in _IMPORT.finditer(code):
        name = _PACKAGE_OF.get(found[1], found[1].lower().replace("_", "-"))
        if name not in known:
            known.add(name)
            number = code.count("\n", 0, found.start()) + 1
            spot = Spot(path, number if path.endswith(".py") else None, quote(found[0]))
            facts.packages.append(Package(name, SpecifierSet(), frozenset(), "", scope, spot))
