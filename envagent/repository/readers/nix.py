"""Nix: flakes, shells and packages.

Owns: the few settings that ask for CUDA or ROCm, and the Python of a shell. Must not: evaluate an expression.
"""

from __future__ import annotations

import re

from envagent.repository.facts import CudaSign, Facts, GpuSign, PythonSign, Vendor
from envagent.repository.readers.gpu_requests import firmness
from envagent.repository.readers.parsing import spot_at, without_comments
from envagent.repository.readers.shell_commands import python_specifier

_SUPPORT: dict[Vendor, re.Pattern[str]] = {
    "nvidia": re.compile(r"\bcudaSupport\s*=\s*true\b"),
    "amd": re.compile(r"\brocmSupport\s*=\s*true\b"),
}
_CHOICE = re.compile(
    r"\b(?:cudaSupport|rocmSupport|useCuda|withCuda)\s*\?|\boptionals?\s+\(?\w{0,20}(?:cuda|rocm)", re.I
)
_TOOLKIT = re.compile(r"\b(?:cudaPackages|cudatoolkit|cuda_nvcc|cudnn)(?:_(\d{1,2})_(\d{1,2}))?\b")
_PYTHON = re.compile(r"\bpython3(\d{1,2})(?:Packages|Full)?\b")


def read(path: str, text: str, facts: Facts) -> None:
    """Read flake.nix, shell.nix, default.nix or devenv.nix."""
    firm = firmness(path)
    if not firm:
        return
    plain = without_comments(text, "#", block=("/*", "*/"))
    choice = _CHOICE.search(plain)
    if choice:
        spot = spot_at(path, plain, choice)
        facts.gpu.append(GpuSign("optional", -0.4, None, spot, "its Nix expression makes GPUs optional"))
    for vendor, pattern in _SUPPORT.items():
        if not choice and (found := pattern.search(plain)):
            spot = spot_at(path, plain, found)
            facts.gpu.append(GpuSign("dependency", 3.0 * firm, vendor, spot, "its Nix expression builds for GPUs"))
    toolkits = list(_TOOLKIT.finditer(plain))
    if toolkits and not choice:
        spot = spot_at(path, plain, toolkits[0])
        facts.gpu.append(GpuSign("dependency", 1.5 * firm, "nvidia", spot, "its Nix shell has the CUDA toolkit"))
    for found in toolkits:
        if found[1]:
            facts.cuda.append(CudaSign(f"{found[1]}.{found[2]}", firm, spot_at(path, plain, found)))
            break
    pythons = {found[1]: found for found in _PYTHON.finditer(plain)}
    if len(pythons) == 1:
        ((minor, found),) = pythons.items()
        if allowed := python_specifier(f"3.{minor}"):
            facts.pythons.append(PythonSign(allowed, 1, spot_at(path, plain, found), "the Python of its Nix shell"))
