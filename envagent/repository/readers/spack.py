"""Spack's environments: spack.yaml.

Owns: the specs in all the places where an environment holds them. Must not: concretize.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from envagent.repository.facts import CudaSign, Facts, GpuSign, SpecialSign, Vendor, spot_of
from envagent.repository.readers.gpu_requests import DECIDES, firmness
from envagent.repository.readers.parsing import table, yaml_table

_MOST_SPECS = 500
_DEEPEST = 8
_WANTED: tuple[tuple[Vendor, re.Pattern[str]], ...] = (
    ("nvidia", re.compile(r"\+cuda\b|\bcuda_arch=(?!none)|(?:^|[\s^])(?:cuda(?:@|$|\s)|(?:cudnn|nccl|cuda-\w+)\b)")),
    ("amd", re.compile(r"\+rocm\b|\bamdgpu_target=(?!none)|(?:^|[\s^])(?:hip|rocm-\w+)(?:@|$|\s)")),
)  # fmt: skip
_WITHOUT = re.compile(r"(?:~|\s-)(?:cuda|rocm)\b")
_CUDA = re.compile(r"(?:^|[\s^])cuda@=?(\d{1,2}(?:\.\d{1,2})?)")
_MPI = re.compile(r"(?:^|[\s^])(?:openmpi|mpich|mvapich2?|intel-mpi)\b|\+mpi\b")


def read(path: str, text: str, facts: Facts) -> None:
    """Read the specs, definitions and preferences of packages."""
    loaded, firm = yaml_table(path, text, facts), firmness(path)
    wanted = table(loaded, "spack") or table(loaded, "env") or loaded
    if not firm:
        return
    specs = [s for key in ("specs", "definitions") for s in _strings(wanted.get(key), 0)]
    settings = list(_settings(table(wanted, "packages")))
    told: set[str] = set()
    for spec in [*specs, *settings][:_MOST_SPECS]:
        for vendor, pattern in _WANTED:
            if vendor not in told and pattern.search(spec):
                told.add(vendor)
                # What may be built without it comes in both kinds.
                both = any(_WITHOUT.search(s) and not pattern.search(s) for s in specs)
                weight = (1.0 if both else DECIDES) * firm
                spot = spot_of(path, text, spec)
                facts.gpu.append(GpuSign("dependency", weight, vendor, spot, "its Spack environment builds for GPUs"))
        if version := _CUDA.search(spec):
            facts.cuda.append(CudaSign(version[1], 1.5 * firm, spot_of(path, text, f"cuda@{version[1]}")))
        if "mpi" not in told and _MPI.search(spec) and spec in specs:
            told.add("mpi")
            facts.specials.append(SpecialSign("mpi", firm, spot_of(path, text, spec)))


def _strings(found: object, depth: int) -> Iterator[str]:
    """Yield the strings in nested lists and matrices."""
    if isinstance(found, str):
        yield found
    elif depth < _DEEPEST and isinstance(found, list):
        for item in found:
            yield from _strings(item, depth + 1)
    elif depth < _DEEPEST and isinstance(found, dict):
        for key, item in found.items():
            if key not in ("when", "exclude"):
                yield from _strings(item, depth + 1)


def _settings(packages: dict[str, object]) -> Iterator[str]:
    """Yield preferences of packages as specs."""
    for name, wanted in packages.items():
        if not isinstance(wanted, dict):
            continue
        of = "" if name == "all" else name
        for key in ("variants", "require", "prefer"):
            yield from (f"{of}{part}" if part[:1] in "+~@" else part for part in _strings(wanted.get(key), 0))
        if name == "cuda":
            yield from (f"cuda@{version}" for version in _strings(wanted.get("version"), 0))
            externals = wanted.get("externals")
            yield from (
                (s for e in externals if isinstance(e, dict) for s in _strings(e.get("spec"), 0))
                if isinstance(externals, list)
                else ()
            )
