"""Distribution releases that Chameleon builds images of."""

from __future__ import annotations

import re
from functools import cache

from envagent.catalog.gpus import version
from envagent.catalog.hardware import CatalogModel
from envagent.catalog.packaged import load

_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,2})?")


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


def equivalent(os_type: str | None, os_version: str | None) -> str | None:
    """Return the release of the closest relative that corresponds to a release such as Rocky 8.6 or Debian 12."""
    if os_version is None or (number := _NUMBER.match(os_version.strip())) is None:
        return None
    name, data = (os_type or "ubuntu").casefold(), load("releases.json")
    major = number[0].split(".")[0]
    if name in data["same_numbers"]:
        return major
    if name in data["contemporaries"]:
        found: str | None = data["contemporaries"][name].get(major)
        return found
    return number[0] if relative(name) == name else None


def distance(distro: str, release: str, wanted: str) -> float:
    """Return how many years or numbers lie between two releases of a distribution."""
    return round(abs(_age(distro, release) - _age(distro, wanted)), 2)


def _age(distro: str, release: str) -> float:
    """Return a release as a number: Ubuntu's with its month, CentOS's without the minor release."""
    major, _, minor = release.partition(".")
    return int(major) + (int(minor or 0) / 12 if distro == "ubuntu" else 0)


@cache
def ssh_users() -> tuple[tuple[str, str], ...]:
    """Return pairs of a word in an image's name and the login user of such images."""
    return tuple(load("releases.json")["ssh_users"].items())


@cache
def cuda_toolkit(eleven: bool) -> tuple[int, int]:
    """Return the CUDA toolkit of the current CUDA images, or of those named CUDA11."""
    return version(load("releases.json")["cuda11_toolkit" if eleven else "cuda_toolkit"])
