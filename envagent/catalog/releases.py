"""Distribution releases that Chameleon builds images of."""

from __future__ import annotations

from functools import cache

from envagent.catalog.gpus import version
from envagent.catalog.hardware import CatalogModel
from envagent.catalog.packaged import load


class Release(CatalogModel):
    """One release of a distribution."""

    distro: str
    release: str
    codename: str
    python: str
    """The CPython minor that it ships."""
    supported: bool
    """Whether Chameleon still builds images of it."""


@cache
def releases() -> tuple[Release, ...]:
    """Return all known releases, in order of preference within a distribution."""
    return tuple(Release.model_validate(item) for item in load("releases.json")["releases"])


def relative(os_type: str | None) -> str:
    """Return the distribution with Chameleon images that is closest to an os_type; ubuntu if unknown."""
    name = (os_type or "ubuntu").casefold()
    if any(r.distro == name for r in releases()):
        return name
    return str(load("releases.json")["relatives"].get(name, "ubuntu"))


@cache
def ssh_users() -> tuple[tuple[str, str], ...]:
    """Return pairs of a word in an image's name and the login user of such images."""
    return tuple(load("releases.json")["ssh_users"].items())


@cache
def cuda_toolkit(eleven: bool) -> tuple[int, int]:
    """Return the CUDA toolkit of the current CUDA images, or of those named CUDA11."""
    return version(load("releases.json")["cuda11_toolkit" if eleven else "cuda_toolkit"])
