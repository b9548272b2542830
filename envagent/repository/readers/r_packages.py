"""Packages and projects of R: DESCRIPTION, renv.lock and scripts that install packages.

Owns: their syntax, and which packages of R use a GPU. Must not: mix them with Python's packages, which share names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from envagent.repository.facts import CudaSign, Facts, GpuSign, Toolchain, Vendor, spot_of
from envagent.repository.readers.dependencies import WEIGHT
from envagent.repository.readers.parsing import json_table, table
from envagent.repository.readers.pyproject import python_bound
from envagent.repository.readers.scopes import scope_of

_FIELD = re.compile(r"^([A-Za-z][\w./@-]{0,60}):[ \t]*(.*)$")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]+")
_BOUND = re.compile(r"\bR\s*\(>=\s*(\d\.\d+)")
_GPU = re.compile(r"\bcuda\b|\bcudnn\b|\bnvidia\b|\bgpus?\b|\bnvcc\b", re.IGNORECASE)
_CHOICE = re.compile(r"\boptional|\bif available|\bwhere available|\bfor gpu support|\bsupport for gpu", re.IGNORECASE)
_CUDA = re.compile(r"\bcuda\b[^0-9,;]{0,30}(\d{1,2}(?:\.\d{1,2})?)", re.IGNORECASE)
_INSTALLED = re.compile(
    r"(?:install\.packages|install_github|pak|install2\.r|renv::install|library)\W{1,6}([^)\n]{1,300})"
)
_GPU_ONLY = frozenset({"gpuR", "gputools", "gmatrix", "cudaBayesreg", "GPUmatrix", "cuda.ml", "rcuda"})
_FRAMEWORKS = frozenset({"torch", "torchvision", "torchaudio", "luz", "tensorflow", "keras", "keras3", "tabnet"})


def read(path: str, text: str, facts: Facts) -> None:
    """Read DESCRIPTION of a package or a project."""
    fields, scope = _fields(text), scope_of(path)
    if scope is None or not {"Package", "Depends", "Imports", "Title"} & fields.keys():
        return
    if bound := _BOUND.search(fields.get("Depends", "")):
        facts.toolchains.append(Toolchain("r", bound[1], spot_of(path, text, bound[0])))
    _packages(_NAME.findall(f"{fields.get('Depends', '')} {fields.get('Imports', '')}"), path, text, facts)
    wanted = fields.get("SystemRequirements", "")
    if not (found := _GPU.search(wanted)):
        return
    spot = spot_of(path, text, "SystemRequirements")
    if _CHOICE.search(wanted):
        facts.gpu.append(GpuSign("optional", -0.3, "nvidia", spot, "its system requirements call a GPU optional"))
        return
    note = f"its system requirements name {found[0]}"
    facts.gpu.append(GpuSign("dependency", 3.0 * WEIGHT[scope], "nvidia", spot, note))
    if version := _CUDA.search(wanted):
        facts.cuda.append(CudaSign(version[1], WEIGHT[scope], spot))


def read_lock(path: str, text: str, facts: Facts) -> None:
    """Read renv.lock: R, the Python that it uses, and the packages."""
    # Condensed files keep commas in front of closing brackets.
    loaded = json_table(path, re.sub(r",(\s*[}\]])", r"\1", text), facts)
    if isinstance(version := table(loaded, "R").get("Version"), str) and re.match(r"\d+\.\d+", version):
        facts.toolchains.append(Toolchain("r", ".".join(version.split(".")[:2]), spot_of(path, text, version)))
    if isinstance(version := table(loaded, "Python").get("Version"), str):
        python_bound(".".join(version.split(".")[:2]), path, text, facts, authority=3, note="the environment's pin")
    _packages(table(loaded, "Packages"), path, text, facts)


def read_script(path: str, text: str, facts: Facts) -> None:
    """Read a script that installs packages, such as install.R."""
    kept = "\n".join(line.partition("#")[0] for line in text.split("\n"))
    _packages((n for found in _INSTALLED.findall(kept) for n in _NAME.findall(found)), path, text, facts)


def _fields(text: str) -> dict[str, str]:
    """Parse Debian's control format, of which DESCRIPTION is one paragraph."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.split("\n")[:2000]:
        if found := _FIELD.match(line):
            name = found[1]
            fields[name] = found[2]
        elif name and line[:1] in (" ", "\t"):
            fields[name] += f" {line.strip()}"
    return fields


def _packages(names: Iterable[str], path: str, text: str, facts: Facts) -> None:
    scope = scope_of(path)
    if scope is None:
        return
    for name in dict.fromkeys(names):
        weight = 3.0 if name in _GPU_ONLY else 0.8 if name in _FRAMEWORKS else 0.0
        if weight:
            why = "works on GPUs only" if name in _GPU_ONLY else "is a deep learning framework"
            spot = spot_of(path, text, json.dumps(name)) if path.endswith(".lock") else spot_of(path, text, name)
            vendor: Vendor | None = "nvidia" if name in _GPU_ONLY else None
            facts.gpu.append(GpuSign("dependency", weight * WEIGHT[scope], vendor, spot, f"{name} {why}"))
