"""Julia's Project.toml.

Owns: telling dependencies from weak ones and test dependencies, and which packages use a GPU. Must not: resolve them.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, GpuSign, Toolchain, Vendor, spot_of
from envagent.repository.readers.dependencies import WEIGHT
from envagent.repository.readers.parsing import table, toml_table
from envagent.repository.readers.scopes import scope_of

_BINDINGS: dict[str, Vendor] = {
    "CUDA": "nvidia", "cuDNN": "nvidia", "CUDNN": "nvidia", "NCCL": "nvidia", "CuArrays": "nvidia",
    "CUDAnative": "nvidia", "CUDAdrv": "nvidia", "CUDAapi": "nvidia", "CUDA_Runtime_jll": "nvidia",
    "LuxCUDA": "nvidia", "CUSOLVERRF": "nvidia", "AMDGPU": "amd", "ROCArrays": "amd", "LuxAMDGPU": "amd",
}  # fmt: skip
_FRAMEWORKS = frozenset({"Flux", "Lux", "Knet", "Zygote", "MLJFlux", "Transformers"})


def read(path: str, text: str, facts: Facts) -> None:
    """Read the Julia bound, and the packages that use a GPU."""
    tables, scope = toml_table(path, text, facts), scope_of(path)
    if scope is None or scope == "development":
        return
    bound = table(tables, "compat").get("julia")
    if isinstance(bound, str) and (version := re.search(r"\d+\.\d+", bound)):
        facts.toolchains.append(Toolchain("julia", version[0], spot_of(path, text, "julia", bound)))
    # What is listed as weak as well is there for releases of Julia that do not know weak dependencies.
    weak = table(tables, "weakdeps")
    used = [name for name in table(tables, "deps") if name not in weak]
    bindings = [name for name in used if name in _BINDINGS]
    # With bindings to the GPUs of several vendors, it chooses one when it runs.
    certain = len({_BINDINGS[name] for name in bindings}) == 1
    for name in bindings:
        weight = (3.0 if certain else 1.2) * WEIGHT[scope]
        spot = spot_of(path, text, name)
        facts.gpu.append(GpuSign("dependency", weight, _BINDINGS[name], spot, f"{name} uses a GPU"))
    for name in used:
        if name in _FRAMEWORKS:
            spot = spot_of(path, text, name)
            note = f"{name} is a deep learning framework"
            facts.gpu.append(GpuSign("dependency", 0.8 * WEIGHT[scope], None, spot, note))
    for name in weak:
        if name in _BINDINGS:
            spot = spot_of(path, text, name)
            facts.gpu.append(GpuSign("optional", -0.4, None, spot, f"{name} is an optional dependency"))
