"""CPU generations: which models belong to one, and what all of them can do.

A repository names a processor by its model, its generation, its family or its vendor; a node type has a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from envagent.catalog.hardware import CatalogModel, NodeType
from envagent.catalog.packaged import load

Test = Callable[[NodeType], bool]

_MARKS = re.compile(r"\((?:r|tm|c)\)|[®™]")
_IDLE_WORDS = re.compile(r"\b(?:intel|amd|scalable|processors?|cpus?)\b")
_NEWER = re.compile(r"\bor (?:newer|later|above|higher|better)\b|\band (?:newer|later|above)\b|\+$")
_FAMILIES = ("xeon", "epyc")
_VENDORS = ("intel", "amd")


class CpuGeneration(CatalogModel):
    """Processors of one design."""

    name: str
    vendor: str
    year: int
    """When the first of its servers were sold."""
    names: tuple[str, ...]
    """Words for it, in lower case; a space stands for a space, a hyphen or nothing."""
    models: str = ""
    """A pattern of the models' names; empty if a model's name does not show it."""
    features: tuple[str, ...] = ()
    """What every model can do: avx2, avx512, intel-pt, sgx, tdx, sev-snp."""


@dataclass(frozen=True)
class NamedCpu:
    """The processors that some words name.

    Attributes:
        exact: whether a node has exactly the named model; None if the words name no model.
        alike: whether a node has a processor of the same generation, family or vendor.
    """

    exact: Test | None
    alike: Test


@cache
def generations() -> tuple[CpuGeneration, ...]:
    """Return all known generations."""
    return tuple(CpuGeneration.model_validate(row) for row in load("cpus.json")["generations"])


@cache
def _patterns() -> tuple[tuple[CpuGeneration, re.Pattern[str] | None, re.Pattern[str]], ...]:
    """Return the generations with the patterns of their models and of their names."""
    return tuple(
        (
            one,
            re.compile(rf"(?<![\w-])(?:{one.models})(?!\w)") if one.models else None,
            re.compile("|".join(rf"\b{_spelled(name)}(?!\w)" for name in one.names)),
        )
        for one in generations()
    )


def _spelled(name: str) -> str:
    return re.escape(name).replace(r"\ ", "[ -]?")


def _plain(text: str) -> str:
    return " ".join(_MARKS.sub("", text.casefold()).replace("generation", "gen").split())


@cache
def generation(model: str | None) -> CpuGeneration | None:
    """Find the generation of a model as a site reports it, such as `Intel(R) Xeon(R) Gold 6126 CPU @ 2.60GHz`."""
    text = _plain(model or "")
    return next((one for one, models, _ in _patterns() if models and models.search(text)), None)


def features(node: NodeType) -> frozenset[str]:
    """Return what the processors of a node can do; nothing if their model is unknown."""
    known = generation(node.cpu_model)
    return frozenset(known.features) if known else frozenset()


def named(words: str) -> NamedCpu | None:
    """Find what words such as `Xeon Gold 6126`, `Ice Lake or newer` or `Intel` name; None if nothing that is known.

    A model counts more than a generation, and a generation more than a family: the Core i7-6700 is a Skylake, and no
    server of that generation can replace it.
    """
    text = _plain(words)
    models = [(one, found.group()) for one, pattern, _ in _patterns() if pattern for found in pattern.finditer(text)]
    if models:
        same = {one.name for one, _ in models}
        exact = [re.compile(rf"(?<![\w-]){re.escape(model)}(?!\w)") for _, model in models]
        return NamedCpu(
            lambda node: any(one.search(_plain(node.cpu_model or "")) for one in exact),
            lambda node: _generation_name(node) in same,
        )
    without_vendor = " ".join(_IDLE_WORDS.sub(" ", text).split())
    designs = [one for one, _, names in _patterns() if names.search(text) or names.search(without_vendor)]
    if designs:
        same = {one.name for one in designs}
        if _NEWER.search(text):
            since = {one.vendor: one.year for one in sorted(designs, key=lambda one: one.year, reverse=True)}
            same |= {one.name for one in generations() if one.year >= since.get(one.vendor, 9999)}
        return NamedCpu(None, lambda node: _generation_name(node) in same)
    family = next((word for word in _FAMILIES if word in text), None)
    if family:
        return NamedCpu(None, lambda node: family in _plain(node.cpu_model or ""))
    vendor = next((word for word in _VENDORS if re.search(rf"\b{word}\b", text)), None)
    return NamedCpu(None, lambda node: node.cpu_vendor == vendor) if vendor else None


def _generation_name(node: NodeType) -> str:
    known = generation(node.cpu_model)
    return known.name if known else ""
