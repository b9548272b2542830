"""Rust's Cargo.toml.

Owns: which optional dependencies and features are on by default, and which crates use a GPU. Must not: resolve crates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from envagent.repository.facts import CudaSign, Facts, GpuSign, Spot, Toolchain, Vendor, spot_of
from envagent.repository.readers.dependencies import WEIGHT
from envagent.repository.readers.parsing import spot_at, strings, table, toml_table
from envagent.repository.readers.scopes import scope_of

_CRATES: dict[str, tuple[float, Vendor | None]] = {
    **dict.fromkeys(
        (
            "cudarc", "cust", "rustacuda", "cuda-sys", "cuda-driver-sys", "cuda-runtime-sys", "cudart-sys", "cublas",
            "cublas-sys", "rcudnn", "rcublas", "cudnn", "accel", "candle-kernels", "candle-flash-attn", "burn-cuda",
            "burn-cuda-jit", "cubecl-cuda", "async-cuda", "async-tensorrt", "optix", "nccl-rs", "icicle-cuda-runtime",
        ),
        (3.0, "nvidia"),
    ),
    **dict.fromkeys(("hip-sys", "hip-runtime-sys", "rocm-rs", "cubecl-hip", "burn-hip", "burn-rocm"), (3.0, "amd")),
    **dict.fromkeys(("tch", "candle-core", "candle-nn", "burn", "dfdx", "mistralrs", "ort"), (0.8, None)),
    **dict.fromkeys(("nvml-wrapper", "ocl", "opencl3"), (0.3, None)),
}  # fmt: skip
_GPU_ONLY = 2.5
_MEMBER = 0.2
_FEATURES: dict[str, Vendor] = {
    "cuda": "nvidia", "cudnn": "nvidia", "cublas": "nvidia", "nccl": "nvidia", "tensorrt": "nvidia",
    "flash-attn": "nvidia", "hip": "amd", "hipblas": "amd", "rocm": "amd",
}  # fmt: skip
_CUDA_FEATURE = re.compile(r"cuda-?(\d{2})(\d{2})0|cuda-version-from-build-system")
_RUST = re.compile(r"\d\.\d+")


def read(path: str, text: str, facts: Facts) -> None:
    """Read the required compiler, and the crates that use a GPU."""
    tables, scope = toml_table(path, text, facts), scope_of(path)
    if scope is None or scope == "development":
        return
    for place in (table(tables, "package"), table(tables, "workspace", "package")):
        version = place.get("rust-version")
        if isinstance(version, str) and (found := _RUST.match(version)):
            facts.toolchains.append(Toolchain("rust", found[0], spot_of(path, text, "rust-version")))
            break
    # A crate below the top is one of a workspace, most of which people build without it.
    weigh = _MEMBER if scope == "component" else WEIGHT[scope]
    enabled = _enabled(tables)
    for name, wanted in _dependencies(tables):
        crate = str(wanted.get("package") or name)
        features = {
            *strings(wanted.get("features")),
            *(e.split("/", 1)[1] for e in enabled if e.startswith(f"{name}/")),
        }
        weight, vendor = _CRATES.get(crate, (0.0, None))
        gpu_features = sorted(f for f in features if f in _FEATURES)
        if gpu_features:
            weight, vendor = 3.0, _FEATURES[gpu_features[0]]
        if not weight:
            continue
        spot = _spot(path, text, name)
        why = f"{crate} with {gpu_features[0]}" if gpu_features else crate
        if wanted.get("optional") is not True or name in enabled:
            note = f"{why} uses a GPU" if weight >= _GPU_ONLY else f"{crate} can use a GPU"
            facts.gpu.append(GpuSign("dependency", weight * weigh, vendor, spot, note))
            for version in sorted(filter(None, map(_cuda, features))):
                facts.cuda.append(CudaSign(version, weigh, spot))
        elif weight >= _GPU_ONLY:
            facts.gpu.append(GpuSign("optional", -0.4, None, spot, f"{why} is an optional dependency"))


def _spot(path: str, text: str, name: str) -> Spot:
    found = re.search(rf"^[ \t]*(?:\[.{{0,100}}dependencies\.)?{re.escape(name)}[ \t]*[=.\]]", text, re.MULTILINE)
    return spot_at(path, text, found) if found else spot_of(path, text, name)


def _cuda(feature: str) -> str | None:
    """Return the CUDA release of a feature such as cuda-12040."""
    found = _CUDA_FEATURE.fullmatch(feature)
    return f"{found[1]}.{int(found[2])}" if found and found[1] else None


def _dependencies(tables: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a build for Linux takes."""
    places = [table(tables, "dependencies")]
    for platform, target in table(tables, "target").items():
        low = platform.lower()
        foreign = re.search(r"windows|macos|apple|ios|android|wasm|not\(\s*(?:unix|target_os\s*=\s*\"linux\")", low)
        if isinstance(target, dict) and not foreign:
            places.append(table(target, "dependencies"))
    for place in places:
        yield from ((name, wanted if isinstance(wanted, dict) else {}) for name, wanted in place.items())


def _enabled(tables: dict[str, Any]) -> set[str]:
    """Return what the default feature turns on: features, optional dependencies, and features of dependencies."""
    features = table(tables, "features")
    found: set[str] = set()
    ahead = strings(features.get("default"))
    while ahead:
        name = ahead.pop().replace("?/", "/")
        if name in found or len(found) > 1000:
            continue
        found |= {name, name.removeprefix("dep:"), name.split("/")[0]}
        ahead += strings(features.get(name))
    return found
