"""GPU facts by name: memory, compute capability, and which CUDA releases support a GPU.

The one place for GPU models: whoever reads or judges a name uses these rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from envagent.catalog.hardware import CatalogModel, Gpu, Vendor
from envagent.catalog.packaged import load

_VENDOR_WORDS: tuple[tuple[str, Vendor], ...] = (("nvidia", "nvidia"), ("amd", "amd"), ("intel", "intel"))
_IN_BRACKETS = re.compile(r"\[([^\]]+)\]")
_MEMORY_IN_NAME = re.compile(r"(\d{1,3}) ?Gi?B\b", re.IGNORECASE)


class GpuModel(CatalogModel):
    """A GPU as it is sold."""

    name: str
    vendor: Vendor
    architecture: str
    """The vendor's word for the generation, such as Hopper or CDNA 3."""
    compute_capability: str | None = None
    """NVIDIA's number, such as 9.0."""
    memory_gb: tuple[float, ...]
    """The sizes sold, least first."""
    spellings: tuple[str, ...]
    """How people write it, in lower case; a space stands for a space, a hyphen or nothing. The longest match counts."""
    ambiguous: tuple[str, ...] = ()
    """Further spellings that usually mean something else, such as `l4` or `1080`."""


@cache
def models() -> tuple[GpuModel, ...]:
    """Return all known GPU models."""
    return tuple(GpuModel.model_validate(row) for row in load("gpus.json")["gpus"])


@cache
def architectures() -> dict[str, str]:
    """Return the words for a generation, such as `hopper` or `sm_90`, with its least compute capability."""
    numbers = sorted({model.compute_capability for model in models() if model.compute_capability}, key=version)
    written = {
        f"{prefix}{number.replace('.', '')}": number for number in numbers for prefix in ("sm", "sm_", "compute_")
    }
    return {**load("gpus.json")["architectures"], **written}


@cache
def by_spelling() -> dict[str, GpuModel]:
    """Return the models by each of their spellings, ambiguous ones included."""
    return {spelling: model for model in models() for spelling in (*model.spellings, *model.ambiguous)}


@cache
def _by_joined_spelling() -> dict[str, GpuModel]:
    return {_joined(spelling): model for spelling, model in by_spelling().items()}


def _joined(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of spellings as whole words: of those that mean a GPU, and of ambiguous ones."""
    return (
        _whole_words(one for model in models() for one in model.spellings),
        _whole_words(one for model in models() for one in model.ambiguous),
    )


def _whole_words(spellings: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(spellings, key=len, reverse=True)
    pattern = "|".join(re.escape(one).replace(r"\ ", "[ -]?") for one in longest_first)
    return re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])")


def _model(name: str) -> GpuModel | None:
    """Find the model that the longest spelling in a name means; an ambiguous spelling counts if there is no other."""
    for pattern in _patterns():
        found = [match.group() for match in pattern.finditer(name.casefold())]
        if found:
            return _by_joined_spelling()[_joined(max(found, key=len))]
    return None


def identify(model: str, *, vendor: str = "", count: int = 1) -> Gpu | None:
    """Create a `Gpu` from a model name as Chameleon prints it, such as `GA100 [A100 PCIe 80GB]`.

    The memory in the name takes precedence over the data sheet, and of several sizes the least counts. None if the
    vendor remains unknown.
    """
    known = _model(model)
    said = f"{vendor} {model}".casefold()
    maker = known.vendor if known else next((v for word, v in _VENDOR_WORDS if word in said), None)
    if maker is None:
        return None
    short = _IN_BRACKETS.search(model)
    named = _MEMORY_IN_NAME.search(model)
    return Gpu(
        vendor=maker,
        model=(short.group(1) if short else model) or f"{maker} GPU",
        count=count,
        guaranteed=count,
        memory_gb=float(named.group(1)) if named else known.memory_gb[0] if known else None,
        compute_capability=known.compute_capability if known else None,
    )


def version(text: str) -> tuple[int, int]:
    """Parse `12`, `12.6` or `12.6.1` to (major, minor). Raises ValueError on anything else."""
    found = re.fullmatch(r"(\d{1,3})(?:\.(\d{1,3}))?(?:\.\d+)*", text.strip())
    if not found:
        raise ValueError(f"not a version: {text!r}")
    return int(found.group(1)), int(found.group(2) or 0)


def dotted(pair: tuple[int, int]) -> str:
    """Write a version, such as 12.6."""
    return f"{pair[0]}.{pair[1]}"


@cache
def _cuda_support() -> tuple[tuple[tuple[int, int], tuple[int, int], tuple[int, int]], ...]:
    rows = load("gpus.json")["cuda_support"]
    return tuple((version(r["cuda"]), version(r["oldest"]), version(r["newest"])) for r in rows)


def capabilities(cuda: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the oldest and newest compute capability that a CUDA release compiles for (NVIDIA's release notes)."""
    rows = _cuda_support()
    row = max((r for r in rows if r[0] <= cuda), default=rows[0])
    return row[1], row[2]
