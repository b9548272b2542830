"""Build files of C, C++ and Fortran: the accelerators and system features that a build asks for.

Owns: CMake, Make, autoconf, meson and Bazel. Must not: evaluate them; a line inside a condition counts as optional.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from envagent.repository.facts import CudaSign, Facts, GpuSign, SpecialSign, Spot, Vendor, quote
from envagent.repository.patterns import any_of
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import read_command

_CUDA = any_of(
    r"project\s*\([^)]*\bCUDA\b",
    r"enable_language\s*\(\s*CUDA",
    r"find_package\s*\(\s*CUDA(?:Toolkit)?\b",
    r"\bcuda_add_(?:library|executable)|CMAKE_CUDA_ARCHITECTURES",
    r"^\s*NVCC\s*[:?]?=|\$\(NVCC\)|-lcudart\b",
)
_ROCM = any_of(
    r"find_package\s*\(\s*(?:hip|rocm|rocblas)\b",
    r"\bhipcc\b|HIP_PATH|\bhsa-runtime64\b",
    r"enable_language\s*\(\s*HIP",
)
_SWITCH = any_of(r"^\s*option\s*\(\s*\w*(?:CUDA|GPU|HIP|ROCM)\w*\s.*\bOFF\s*\)")
_CUDA_VERSION = any_of(r"find_package\s*\(\s*CUDA(?:Toolkit)?\s+(\d+\.\d+)")
_SPECIAL: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mpi", any_of(r"find_package\s*\(\s*MPI\b", r"\bmpi(?:cc|cxx|c\+\+|f90|fort)\b", r"AX_MPI|dependency\('mpi")),
    ("rdma", any_of(r"-libverbs\b|-lrdmacm\b|\bibverbs\b|dependency\('libibverbs")),
    ("dpdk", any_of(r"\blibdpdk\b|RTE_SDK|-ldpdk|find_package\s*\(\s*DPDK")),
    ("pmem", any_of(r"-lpmem\w*\b|\blibpmem\b|find_package\s*\(\s*PMEM")),
    ("sgx", any_of(r"SGX_SDK|-lsgx_|\bsgx_edger8r\b")),
    ("fpga", any_of(r"\b(?:vivado|vitis_hls|v\+\+ |XILINX_VITIS|XILINX_XRT|quartus)\b")),
    ("kernel-module", any_of(r"^\s*obj-m\b|/lib/modules/\$")),
    ("kernel", any_of(r"-target bpf|\blibbpf\b")),
)
_MAX_LINE = 1000


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
            facts.gpu.append(GpuSign("sources", 2.2 * own, vendor, spot, "its build compiles for a GPU"))
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


def _lines(name: str, text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield number, line, and whether it is inside a condition."""
    cmake, make = name == "cmakelists.txt", name.startswith(("makefile", "gnumakefile"))
    begin = re.compile(r"if\s*\(" if cmake else r"if(?:eq|neq|def|ndef)\b")
    depth = 0
    for number, whole in enumerate(text.split("\n"), 1):
        raw = whole[:_MAX_LINE]
        line = raw.partition("#")[0].rstrip() if not name.startswith("configure") else raw
        if not line.strip():
            continue
        low = line.strip().lower()
        if low.startswith("endif"):
            depth = max(0, depth - 1)
        begins = begin.match(low) is not None
        optional = cmake and (begins or "quiet" in low or low.startswith("option"))
        # Autoconf and meson check for most things in conditions that span several lines.
        yield number, line, depth > 0 or optional or not (cmake or make)
        depth += begins
