"""Machines of clouds and testbeds by the name under which they are rented, such as p3.2xlarge or c220g5.

Owns: finding such names in text, and what the machines have. Must not: conclude that a job needs all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from envagent.catalog import gpus
from envagent.catalog.hardware import Gpu
from envagent.repository.knowledge import table


@dataclass(frozen=True)
class Instance:
    """A machine as a place rents it out."""

    place: str
    name: str
    cores: int
    """Virtual ones of a cloud."""
    ram_gb: float
    gpu: Gpu | None = None
    architecture: str = "x86_64"


def clouds_in(text: str) -> Iterator[tuple[Instance, int]]:
    """Yield each cloud instance type that the text names, and where its name begins."""
    for found in _clouds().finditer(text):
        yield _cloud(found[0]), found.start()


def cloud_instance(name: str) -> Instance | None:
    """Find a cloud's instance type by its whole name."""
    return _cloud(name) if _clouds().fullmatch(name) else None


def chip_of_instance(name: str) -> str | None:
    """Return the special hardware of a cloud's instance type that has another accelerator than GPUs."""
    chips: dict[str, str] = table("instances")["cloud"][0]["chips"]
    return chips.get(name.lower().partition(".")[0])


def node_of_testbed(name: str) -> Instance | None:
    """Find a testbed's node type by its exact name."""
    return _known("testbed").get(name.lower())


@cache
def _known(kind: str) -> dict[str, Instance]:
    return {
        name: Instance(place["place"], name, *_sizes(rest), "aarch64" if name in place.get("aarch64", ()) else "x86_64")
        for place in table("instances")[kind]
        for name, *rest in place["types"]
    }


def _sizes(row: list[Any]) -> tuple[int, float, Gpu | None]:
    cores, ram, *accelerators = row
    return cores, ram, gpus.identify(accelerators[1], count=accelerators[0]) if accelerators else None


@cache
def _clouds() -> re.Pattern[str]:
    aws, google, azure = table("instances")["cloud"]
    listed = "|".join(re.escape(name) for place in (aws, google) for name, *_ in place["types"])
    # Azure's short names mean other things without the prefix.
    prefixed = "|".join(re.escape(name) for name, *_ in azure["types"])
    usual = rf"[{''.join(aws['families'])}]\d[a-z]{{0,3}}\.(?:{'|'.join(aws['sizes'])})"
    series = rf"(?:{'|'.join(google['series'])})-(?:{'|'.join(google['shapes'])})-\d{{1,3}}"
    return re.compile(rf"(?<![\w.-])(?:{listed}|standard_(?:{prefixed})|{usual}|{series})(?![\w-])", re.IGNORECASE)


def _cloud(name: str) -> Instance:
    """Return what an instance type has whose name fits the pattern of names."""
    name = name.lower().removeprefix("standard_")
    return _known("cloud").get(name) or _usual(name)


def _usual(name: str) -> Instance:
    """Compute the size of an instance without GPUs from its name."""
    aws, google, _ = table("instances")["cloud"]
    family, _, size = name.partition(".")
    if size in aws["sizes"]:
        cores = aws["sizes"][size]
        graviton = re.fullmatch(r"[a-z]\d+g[a-z]*", family) is not None
        return Instance(
            aws["place"], name, cores, cores * aws["families"][family[0]], None, "aarch64" if graviton else "x86_64"
        )
    _, shape, number = name.split("-")
    return Instance(google["place"], name, int(number), int(number) * google["shapes"][shape])
