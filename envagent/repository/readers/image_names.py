"""Names of container images: whose GPUs an image is made for, its CUDA release and its Python.

Owns: taking a name apart. Must not: know in which file it stands.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from envagent.repository.facts import CudaSign, Facts, GpuSign, PythonSign, SpecialSign, Spot, Vendor
from envagent.repository.knowledge import table
from envagent.repository.readers.gpu_requests import globs
from envagent.repository.readers.shell_commands import python_specifier

_LONGEST = 300
_SPEAKS = 0.3
_WORD = re.compile(r"[a-z]+")
_CUDA = re.compile(r"cuda[:_-]?v?(\d{1,2}\.\d{1,2})|(?<![a-z0-9])cu(?:da)?-?(\d{2})(\d)(?![\d.])")
_PYTHON = re.compile(r"(?<![a-z])python[:_-]?v?(?:\w{1,5}-)?([23]\.\d{1,2})|(?<![a-z0-9])py([23])\.?(\d{1,2})(?!\d)")
_NGC = re.compile(r"nvcr\.io/nvidia/[\w-]{1,40}:(\d\d\.\d\d)")


class Image(NamedTuple):
    """What the name of an image says.

    Attributes:
        weight: as a sign that a GPU is needed; 0 for an image without one.
        tag: the special hardware it is made for.
    """

    name: str
    weight: float = 0.0
    vendor: Vendor | None = None
    cuda: str | None = None
    python: str | None = None
    tag: str | None = None


def parse_image(text: str) -> Image:
    """Parse `[registry/]name[:tag][@digest]`, in any case."""
    whole = text.strip().strip("\"'").lower().removeprefix("docker://").partition("@")[0][:_LONGEST]
    folder, slash, last = whole.rpartition("/")
    bare = f"{folder}{slash}{last.partition(':')[0]}"
    python = _PYTHON.search(whole)
    cuda = _CUDA.search(whole)
    release = cuda and (cuda[1] or f"{cuda[2]}.{cuda[3]}")
    image = Image(
        whole,
        cuda=release or _framework_release(whole),
        python=python and (python[1] or f"{python[2]}.{python[3]}"),
    )
    bare = bare.removeprefix("docker.io/").removeprefix("index.docker.io/")
    said = set(_WORD.findall(whole))
    kinds: dict[str, list[str]] = table("containers")["words"]
    if said & set(kinds["cpu"]):
        return image._replace(cuda=None)
    for pattern, weight, vendor, tag in _known():
        if pattern.fullmatch(bare):
            return image._replace(weight=weight, vendor=vendor, tag=tag)
    vendors: tuple[Vendor, ...] = ("amd", "intel", "nvidia")
    for maker in vendors:
        if said & set(kinds[maker]) or (maker == "nvidia" and cuda):
            return image._replace(weight=2.2, vendor=maker)
    return image


def _framework_release(whole: str) -> str | None:
    """Return the CUDA release of a monthly release of NVIDIA's images."""
    found = _NGC.match(whole)
    since = [release for release in table("containers")["ngc"] if found and release <= found[1]]
    return table("containers")["ngc"][max(since)] if since else None


@cache
def _known() -> list[tuple[re.Pattern[str], float, Vendor | None, str | None]]:
    rows = table("containers")["image"]
    return [(globs(row["names"]), row["weight"], row.get("vendor"), row.get("tag")) for row in rows]


def add_image(image: Image, spot: Spot, firm: float, facts: Facts, note: str) -> None:
    """Record what an image says, where `firm` is 1 for the one in which the main job runs."""
    if image.weight:
        facts.gpu.append(GpuSign("container", image.weight * firm, image.vendor, spot, note))
    if image.cuda and image.vendor == "nvidia" and firm >= _SPEAKS:
        # What the documents say of the host outranks the release inside of a container.
        facts.cuda.append(CudaSign(image.cuda, 0.7 * firm, spot))
    if image.tag:
        facts.specials.append(SpecialSign(image.tag, 1.5 * firm, spot))
    # On a GPU image it is the image's own Python, as little chosen by the authors as its distribution.
    if image.python and firm >= 0.5 and (allowed := python_specifier(image.python)):
        facts.pythons.append(PythonSign(allowed, 0, spot, "its container's Python"))
