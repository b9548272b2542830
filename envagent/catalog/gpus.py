"""GPU facts by name: memory, compute capability, and which CUDA releases support a GPU."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from envagent.catalog.hardware import Gpu, Vendor
from envagent.catalog.packaged import load

_VENDOR_WORDS: tuple[tuple[str, Vendor], ...] = (("nvidia", "nvidia"), ("amd", "amd"), ("intel", "intel"))
_IN_BRACKETS = re.compile(r"\[([^\]]+)\]")
_MEMORY_IN_NAME = re.compile(r"(\d{1,3}) ?Gi?B\b", re.IGNORECASE)


@cache
def _facts() -> tuple[tuple[re.Pattern[str], dict[str, Any]], ...]:
    return tuple((re.compile(g["pattern"], re.IGNORECASE), g) for g in load("gpus.json")["gpus"])


def identify(model: str, *, vendor: str = "", count: int = 1) -> Gpu | None:
    """Create a `Gpu` from a model name as Chameleon prints it, such as `GA100 [A100 PCIe 80GB]`.

    The memory in the name takes precedence over the data sheet. None if the vendor remains unknown.
    """
    facts: dict[str, Any] = next((f for pattern, f in _facts() if pattern.search(model)), {})
    said = f"{vendor} {model}".casefold()
    maker: Vendor | None = facts.get("vendor") or next((v for word, v in _VENDOR_WORDS if word in said), None)
    if maker is None:
        return None
    short = _IN_BRACKETS.search(model)
    named = _MEMORY_IN_NAME.search(model)
    return Gpu(
        vendor=maker,
        model=(short.group(1) if short else model) or f"{maker} GPU",
        count=count,
        guaranteed=count,
        memory_gb=float(named.group(1)) if named else facts.get("memory_gb"),
        compute_capability=facts.get("compute_capability"),
    )


def version(text: str) -> tuple[int, int]:
    """Parse `12`, `12.6` or `12.6.1` to (major, minor). Raises ValueError on anything else."""
    found = re.fullmatch(r"(\d{1,3})(?:\.(\d{1,3}))?(?:\.\d+)*", text.strip())
    if not found:
        raise ValueError(f"not a version: {text!r}")
    return int(found.group(1)), int(found.group(2) or 0)


@cache
def _cuda_support() -> tuple[tuple[tuple[int, int], tuple[int, int], tuple[int, int]], ...]:
    rows = load("gpus.json")["cuda_support"]
    return tuple((version(r["cuda"]), version(r["oldest"]), version(r["newest"])) for r in rows)


def capabilities(cuda: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the oldest and newest compute capability that a CUDA release compiles for (NVIDIA's release notes)."""
    rows = _cuda_support()
    row = max((r for r in rows if r[0] <= cuda), default=rows[0])
    return row[1], row[2]
