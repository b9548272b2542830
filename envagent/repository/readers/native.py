"""Build files of other languages: which toolchain builds the repository, and what hardware its build asks for.

Owns: CMake, Make, autoconf, meson, Cargo, Go, npm, Maven and Gradle, R, Julia. Must not: evaluate them; a line inside
a condition counts as optional.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from envagent.repository.facts import CudaSign, Facts, GpuSign, SpecialSign, Spot, Vendor, quote
from envagent.repository.readers.commands import read_command
from envagent.repository.readers.scopes import scope_of

_BUILD_OF = {
    "go.mod": "go", "cargo.toml": "cargo", "package.json": "npm", "pom.xml": "maven", "build.gradle": "gradle",
    "build.gradle.kts": "gradle", "build.sbt": "sbt", "meson.build": "meson", "configure.ac": "autoconf", "description": "r",
    "project.toml": "julia", "cmakelists.txt": "cmake", "makefile": "make", "gnumakefile": "make", "makefile.in": "make",
    "module.bazel": "bazel", "gemfile": "ruby", "stack.yaml": "haskell", "mix.exs": "elixir", "package.swift": "swift",
    "composer.json": "php",
}  # fmt: skip
_CUDA = re.compile(
    r"project\s*\([^)]*\bCUDA\b|enable_language\s*\(\s*CUDA|find_package\s*\(\s*CUDA(Toolkit)?\b[^)]*REQUIRED|find_package\s*\(\s*CUDA\b|"
    r"\bcuda_add_(library|executable)|CMAKE_CUDA_ARCHITECTURES|^\s*NVCC\s*[:?]?=|\$\(NVCC\)|-lcudart\b",
    re.IGNORECASE,
)
_ROCM = re.compile(
    r"find_package\s*\(\s*(HIP|ROCM|rocblas|hip)\b|\bhipcc\b|HIP_PATH|enable_language\s*\(\s*HIP", re.IGNORECASE
)
_SWITCH = re.compile(r"^\s*option\s*\(\s*\w*(?:CUDA|GPU|HIP|ROCM)\w*\s.*\bOFF\s*\)", re.IGNORECASE)
_CUDA_VERSION = re.compile(r"find_package\s*\(\s*CUDA(?:Toolkit)?\s+(\d+\.\d+)", re.IGNORECASE)
_SPECIAL: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mpi", re.compile(r"find_package\s*\(\s*MPI\b|\bmpi(cc|cxx|c\+\+|f90|fort)\b|AX_MPI|dependency\('mpi", re.IGNORECASE)),
    ("rdma", re.compile(r"-libverbs\b|-lrdmacm\b|\bibverbs\b|dependency\('libibverbs", re.IGNORECASE)),
    ("dpdk", re.compile(r"\blibdpdk\b|RTE_SDK|-ldpdk|find_package\s*\(\s*DPDK", re.IGNORECASE)),
    ("pmem", re.compile(r"-lpmem\w*\b|\blibpmem\b|find_package\s*\(\s*PMEM", re.IGNORECASE)),
    ("sgx", re.compile(r"SGX_SDK|-lsgx_|\bsgx_edger8r\b", re.IGNORECASE)),
    ("fpga", re.compile(r"\b(vivado|vitis_hls|v\+\+ |XILINX_VITIS|XILINX_XRT|quartus)\b", re.IGNORECASE)),
    ("kernel-module", re.compile(r"^\s*obj-m\b|/lib/modules/\$", re.IGNORECASE)),
    ("kernel", re.compile(r"-target bpf|\blibbpf\b", re.IGNORECASE)),
)  # fmt: skip


def read(path: str, text: str, facts: Facts) -> None:
    """The toolchain, and accelerators or features that its lines ask for."""
    name = path.rsplit("/", 1)[-1].lower()
    scope = scope_of(path)
    if scope in (None, "development"):
        return
    if path.count("/") <= 1 and (build := _BUILD_OF.get(name)):
        facts.builds.add(build)
    if name.endswith((".json", ".xml", ".mod", ".toml", "description")):
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
            facts.gpu.append(GpuSign("sources", 2.0 * own, vendor, spot, "its build compiles for a GPU"))
        if _SWITCH.search(line):
            facts.gpu.append(GpuSign("optional", -0.8 * factor, None, spot, "its build makes GPUs a choice"))
        if version := _CUDA_VERSION.search(line):
            facts.cuda.append(CudaSign(f">={version[1]}", own, spot))
        for tag, pattern in _SPECIAL:
            if tag not in tags and pattern.search(line):
                tags.add(tag)
                facts.specials.append(SpecialSign(tag, 1.5 * own, spot))
        if name.startswith(("makefile", "gnumakefile")) and line.startswith("\t"):
            read_command(path, number, line.strip(), facts, scope="component", weight=0.4 * own)


def _lines(name: str, text: str) -> Iterator[tuple[int, str, bool]]:
    """Number, line, and whether it stands inside a condition."""
    depth = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.partition("#")[0].rstrip() if not name.startswith("configure") else raw
        if not line.strip():
            continue
        low = line.strip().lower()
        if name == "cmakelists.txt":
            if low.startswith("endif"):
                depth = max(0, depth - 1)
            begins = re.match(r"if\s*\(", low) is not None
            yield number, line, depth > 0 or begins or "quiet" in low or low.startswith("option")
            depth += begins
        elif name.startswith(("makefile", "gnumakefile")):
            if low.startswith("endif"):
                depth = max(0, depth - 1)
            yield number, line, depth > 0
            if re.match(r"if(eq|neq|def|ndef)\b", low):
                depth += 1
        else:
            # Autoconf and meson ask for most things in conditions that take several lines.
            yield number, line, True
