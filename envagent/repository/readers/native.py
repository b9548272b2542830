"""Build files of C, C++ and Fortran: the accelerators and system features that a build asks for.

Owns: CMake, Make, autoconf, meson and Bazel. Must not: evaluate them; a line inside a condition counts as optional.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from envagent.repository.facts import CudaSign, Facts, GpuSign, SpecialSign, Spot, Vendor, quote, spot_of
from envagent.repository.patterns import any_of
from envagent.repository.readers.gpu_requests import firmness
from envagent.repository.readers.parsing import items, json_table, strings, table
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import read_command

_CUDA = any_of(
    r"project\s*\([^)]*\bCUDA\b",
    r"enable_language\s*\(\s*CUDA",
    r"find_package\s*\(\s*CUDA(?:Toolkit)?\b",
    r"\bcuda_add_(?:library|executable)|CMAKE_CUDA_ARCHITECTURES",
    r"\bname\s*=\s*\"rules_cuda\"",
    r"^\s*NVCC\s*[:?]?=|\$\(NVCC\)|-lcudart\b",
)
_ROCM = any_of(
    r"find_package\s*\(\s*(?:hip|rocm|rocblas)\b",
    r"\bhipcc\b|HIP_PATH|\bhsa-runtime64\b",
    r"enable_language\s*\(\s*HIP",
)
# Written where it holds for the whole build, this leaves no choice.
_CERTAIN = any_of(
    r"project\s*\([^)]*\b(?:CUDA|HIP)\b",
    r"enable_language\s*\(\s*(?:CUDA|HIP)",
    r"find_package\s*\(\s*(?:CUDA|CUDAToolkit|hip)\b[^)]*\bREQUIRED",
)
_SWITCH = any_of(r"^\s*option\s*\(\s*\w*(?:CUDA|GPU|HIP|ROCM)\w*\s.*\bOFF\s*\)")
_CUDA_VERSION = any_of(r"find_package\s*\(\s*CUDA(?:Toolkit)?\s+(\d+\.\d+)")
_SPECIAL: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mpi", any_of(r"find_package\s*\(\s*MPI\b", r"\bmpi(?:cc|cxx|c\+\+|f90|fort)\b", r"AX_MPI|dependency\('mpi")),
    ("rdma", any_of(r"-libverbs\b|-lrdmacm\b|\bibverbs\b|dependency\('libibverbs")),
    ("dpdk", any_of(r"\blibdpdk\b|RTE_SDK|-ldpdk|find_package\s*\(\s*DPDK")),
    ("pmem", any_of(r"-lpmem\w*\b|\blibpmem\b|find_package\s*\(\s*PMEM")),
    ("sgx", any_of(r"SGX_SDK|-lsgx_|\b(?:sgx_|oe)edger8r\b|find_package\s*\(\s*OpenEnclave|\bgramine-sgx\b")),
    ("fpga", any_of(r"\b(?:vivado|vitis_hls|v\+\+ |XILINX_VITIS|XILINX_XRT|quartus)\b")),
    ("kernel-module", any_of(r"^\s*obj-m\b|/lib/modules/\$")),
    ("kernel", any_of(r"-target bpf|\blibbpf\b")),
)
_VARIABLE = re.compile(
    r"(?:^|_)(?:CUDA|GPU|HIP|ROCM)(?:$|_BACKEND)|DEVICE|BACKEND|ENABLE_(?:CUDA|HIP|GPU)", re.IGNORECASE
)
_BAZEL = re.compile(
    r"\s*((?:build|common|run)(?::\w+)?)\s[^\n]*(?:--config=(?:cuda|rocm)|--@rules_cuda|TF_NEED_CUDA=1)", re.IGNORECASE
)
# A line that configure comments out: `@COND_CUDA_TRUE@NVCC = nvcc`.
_OF_AUTOMAKE = re.compile(r"@\w{1,60}_(?:true|false)@")
_QUOTED = re.compile(r"\"[^\"]*\"")
_MAX_LINE = 1000
_OFF = re.compile(r"=(?:false|off|no|0)\s*$", re.IGNORECASE)
_MOST_LINES = 30
_MOST_PARENTS = 5


def read(path: str, text: str, facts: Facts) -> None:
    """Read the accelerators and features that its lines ask for."""
    name = path.rsplit("/", 1)[-1].lower()
    scope = scope_of(path)
    if scope in (None, "development"):
        return
    factor = 1.0 if "/" not in path else 0.4
    gpu_seen = False
    tags: set[str] = set()
    for number, line, conditional in _lines(name, text):
        spot = Spot(path, number, quote(line))
        own = factor * (0.25 if conditional else 1.0)
        vendor: Vendor | None = "amd" if _ROCM.search(line) else "nvidia" if _CUDA.search(line) else None
        if vendor and not (gpu_seen and conditional):
            gpu_seen = True
            strength = 3.0 if _CERTAIN.search(line) else 2.2
            facts.gpu.append(GpuSign("sources", strength * own, vendor, spot, "its build compiles for a GPU"))
        if _SWITCH.search(line):
            facts.gpu.append(GpuSign("optional", -0.8 * factor, None, spot, "its build makes GPUs optional"))
        if version := _CUDA_VERSION.search(line):
            facts.cuda.append(CudaSign(f">={version[1]}", own, spot))
        for tag, pattern in _SPECIAL:
            if tag not in tags and pattern.search(line):
                tags.add(tag)
                facts.specials.append(SpecialSign(tag, 1.5 * own, spot))
        if name.startswith(("makefile", "gnumakefile")) and line.startswith("\t"):
            read_command(path, number, line.strip(), facts, scope="component", weight=0.4 * own)


def read_presets(path: str, text: str, facts: Facts) -> None:
    """Read CMakePresets.json: whether all that one can configure, or only some of it, builds for a GPU."""
    presets = [p for p in items(json_table(path, text, facts), "configurePresets") if isinstance(p, dict)]
    shown = [p for p in presets if p.get("hidden") is not True]
    named = {str(p.get("name")): p for p in presets}
    with_gpu = [p for p in shown if _turns_on(p, named, 0)]
    firm = firmness(path)
    if not with_gpu or not firm:
        return
    spot = spot_of(path, text, str(with_gpu[0].get("name")))
    if len(with_gpu) == len(shown):
        facts.gpu.append(GpuSign("sources", 2.0 * firm, None, spot, "all its presets build for GPUs"))
    else:
        facts.gpu.append(GpuSign("optional", -0.4 * firm, None, spot, "some of its presets build for GPUs"))


def _turns_on(preset: dict[str, Any], named: dict[str, dict[str, Any]], depth: int) -> bool:
    """Return whether a preset, or one that it inherits from, sets a variable that turns GPUs on."""
    for name, value in table(preset, "cacheVariables").items():
        said = str(value.get("value") if isinstance(value, dict) else value)
        if _VARIABLE.search(name) and (said.upper() in ("ON", "TRUE", "1", "YES") or said.upper() in ("CUDA", "HIP")):
            return True
    parents = preset.get("inherits")
    above = [parents] if isinstance(parents, str) else strings(parents)
    return depth < _MOST_PARENTS and any(_turns_on(named[a], named, depth + 1) for a in above if a in named)


def read_bazelrc(path: str, text: str, facts: Facts) -> None:
    """Read .bazelrc: a configuration for GPUs that every build has, or that one may ask for."""
    for number, line in enumerate(text.split("\n"), 1):
        found = _BAZEL.match(line[:_MAX_LINE])
        if found is None or _OFF.search(line[:_MAX_LINE]):
            continue
        spot = Spot(path, number, quote(line))
        vendor: Vendor = "amd" if "rocm" in found[0].lower() else "nvidia"
        if ":" in found[1]:
            facts.gpu.append(GpuSign("optional", -0.4, vendor, spot, "one of its build configurations is for GPUs"))
        else:
            facts.gpu.append(GpuSign("sources", 2.0, vendor, spot, "its build is configured for GPUs"))
        return


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Join the lines of a CMake command, up to 30 of them, and yield it with the number of the first."""
    begun: tuple[int, str] | None = None
    lines = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw[:_MAX_LINE].partition("#")[0].rstrip()
        start, joined = (begun[0], f"{begun[1]} {line.strip()}") if begun else (number, line)
        lines = lines + 1 if begun else 1
        bare = _QUOTED.sub("", joined)
        if bare.count("(") > bare.count(")") and lines < _MOST_LINES:
            begun = start, joined[:_MAX_LINE]
            continue
        begun = None
        yield start, joined
    if begun:
        yield begun


def _lines(name: str, text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield number, line, and whether it is inside a condition."""
    cmake, make = name == "cmakelists.txt", name.startswith(("makefile", "gnumakefile"))
    begin = re.compile(r"if\s*\(" if cmake else r"if(?:eq|neq|def|ndef)\b")
    depth = 0
    for number, whole in _statements(text) if cmake else enumerate(text.split("\n"), 1):
        raw = whole[:_MAX_LINE]
        line = raw.partition("#")[0].rstrip() if not name.startswith("configure") else raw
        if not line.strip():
            continue
        low = line.strip().lower()
        if low.startswith("endif"):
            depth = max(0, depth - 1)
        begins = begin.match(low) is not None
        optional = cmake and (begins or "quiet" in low or low.startswith("option"))
        optional = optional or _OF_AUTOMAKE.match(low) is not None
        # Autoconf and meson check for most things in conditions that span several lines.
        yield number, line, depth > 0 or optional or not (cmake or make)
        depth += begins
