"""Facts that readers find in single files, before anything is concluded.

Owns: the typed facts and the collection that all readers append to. A fact is what one place says and how much it
weighs; deciding is the job of `conclusions`. Must not: read or weigh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from packaging.specifiers import SpecifierSet

Vendor = Literal["nvidia", "amd", "intel"]
Scope = Literal["main", "component", "documented", "optional", "development"]
"""main: what the main job installs; component: a part in a subfolder; documented: a command in the documentation;
optional: an extra or a variant; development: tests, documentation, linting."""

Measure = Literal["ram", "vram", "disk", "cores", "gpus", "nodes"]
Stance = Literal["minimum", "recommended", "tested", "mentioned"]

PYTHON_MINORS = (
    *("2.7", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9"),
    *("3.10", "3.11", "3.12", "3.13", "3.14"),
)


@dataclass(frozen=True)
class Spot:
    """The place behind a fact: path, line and quote (untrusted text)."""

    path: str
    line: int | None
    quote: str


@dataclass(frozen=True)
class Package:
    """A dependency of some packaging system, named as that system names it, in lower case with dashes."""

    name: str
    specifier: SpecifierSet
    extras: frozenset[str]
    local: str
    """Local version label, such as cu121 or cpu; empty without one."""
    scope: Scope
    spot: Spot
    pinned: str | None = None
    """The exact version asked for, without its local label."""
    group: str = ""
    """The extra or dependency group that declares it, normalised; empty outside of groups."""


@dataclass(frozen=True)
class Project:
    """A package that the repository itself is, by its normalised name."""

    name: str
    path: str
    """The manifest that names it."""


@dataclass(frozen=True)
class Installation:
    """A command that installs the repository's own package, as its documentation shows it.

    Attributes:
        name: the package by its normalised name, or empty if by its folder.
        groups: the extras and dependency groups that come with it; `*` for all.
    """

    name: str
    groups: frozenset[str]
    spot: Spot


@dataclass(frozen=True)
class GpuSign:
    """A sign for or against the main job needing a GPU.

    Attributes:
        kind: signs of one kind add little to each other; see conclusions.gpu. A network sign shows a network being
            trained or its weights in use, and counts only together with a deep learning framework.
        weight: positive for, negative against; 3 alone is about enough.
    """

    kind: Literal[
        "statement", "dependency", "container", "sources", "command", "network", "tests", "optional", "denial"
    ]
    weight: float
    vendor: Vendor | None
    spot: Spot
    note: str = ""


@dataclass(frozen=True)
class Said:
    """What one sentence says of one thing, described by named features; `conclusions.model` weighs them.

    Attributes:
        subject: `ram`, `vram`, `disk`, `cores`, `gpus`, `nodes`, `parameters`, `gpu`, `ubuntu`, or a tag after
            `special.`.
        value: GB or pieces; the model or the releases named; None where the word is all.
        features: where it stands and what its words say, such as `doc.main` or `pre.least`.
        stance: who needs it, in one word: `need`, `listed`, `recommend`, `tested`, `optional`, `denied`, ...
        newer: a later release is fine too.
    """

    subject: str
    value: float | str | tuple[str, ...] | None
    features: frozenset[str]
    stance: str
    spot: Spot
    newer: bool = False

    @property
    def tier(self) -> str:
        """Whether its document speaks for the whole repository: `main`, `other`, or `side` for a test suite."""
        if self.features & {"doc.side", "doc.foreign"}:
            return "side"
        return "main" if self.features & {"doc.main", "doc.install", "doc.artifact", "doc.given"} else "other"


@dataclass(frozen=True)
class CudaSign:
    """A CUDA version: `12.1`, or `>=11.1`."""

    version: str
    weight: float
    spot: Spot


@dataclass(frozen=True)
class Amount:
    """A required amount, in GB or pieces; for `nodes` it is machines at the same time."""

    what: Measure
    value: float
    stance: Stance
    weight: float
    spot: Spot


@dataclass(frozen=True)
class PythonSign:
    """CPython minors that one place allows.

    Attributes:
        authority: 4 enforced at installation, 3 an environment's pin, 2 wheels of pinned packages, 1 prose,
            0 merely used.
    """

    allowed: frozenset[str]
    authority: int
    spot: Spot
    note: str = ""


@dataclass(frozen=True)
class SystemSign:
    """An operating system required of the machine itself.

    Attributes:
        versions: such as 22.04; empty when only the distribution is named.
        and_newer: later releases are fine too.
    """

    distribution: str
    versions: tuple[str, ...]
    and_newer: bool
    weight: float
    spot: Spot


@dataclass(frozen=True)
class SpecialSign:
    """Special hardware or system features, by tag: rdma, dpdk, sgx, aarch64, ..."""

    tag: str
    weight: float
    spot: Spot


@dataclass(frozen=True)
class Toolchain:
    """A required compiler or runtime of another language, such as java 21."""

    name: str
    version: str
    spot: Spot


@dataclass
class Facts:
    """All facts found, in reading order."""

    packages: list[Package] = field(default_factory=list)
    gpu: list[GpuSign] = field(default_factory=list)
    cuda: list[CudaSign] = field(default_factory=list)
    amounts: list[Amount] = field(default_factory=list)
    pythons: list[PythonSign] = field(default_factory=list)
    systems: list[SystemSign] = field(default_factory=list)
    specials: list[SpecialSign] = field(default_factory=list)
    toolchains: list[Toolchain] = field(default_factory=list)
    projects: list[Project] = field(default_factory=list)
    installations: list[Installation] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    workload: Counter[str] = field(default_factory=Counter)
    """How often the main readme uses the words of each kind of job."""
    has_main_readme: bool = True
    """False where the top has none, or translations only: another one speaks then."""
    notes: list[str] = field(default_factory=list)

    def add(self, package: Package | None) -> None:
        """Append a package, if parsing it gave one."""
        if package is not None:
            self.packages.append(package)


def minors(allowed: SpecifierSet) -> frozenset[str]:
    """Return the known CPython minors that have a release satisfying the specifier."""
    return frozenset(m for m in PYTHON_MINORS if _some_release(m, allowed))


def _some_release(minor: str, allowed: SpecifierSet) -> bool:
    # A bound may name a patch release: 3.10 satisfies >=3.10.4, and ==3.9.16 is a 3.9.
    patches = {s.version.removesuffix(".*") for s in allowed}
    candidates = [minor, f"{minor}.0", f"{minor}.30", *(p for p in patches if p.startswith(minor + "."))]
    return any(allowed.contains(candidate, prereleases=True) for candidate in candidates)


@lru_cache(maxsize=2)
def _lower_lines(text: str) -> list[str]:
    return text.lower().split("\n")


def quote(text: str) -> str:
    """Shorten a line for display as evidence."""
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:197] + "..."


def line_of(text: str, needles: Iterable[str]) -> tuple[int | None, str]:
    """Find the first line that contains all needles, for parsers that do not report lines."""
    wanted = [needle.lower() for needle in needles if needle]
    for number, low in enumerate(_lower_lines(text), 1):
        if all(needle in low for needle in wanted):
            return number, quote(text.split("\n", number)[number - 1])
    return None, quote(" ".join(wanted))


def spot_of(path: str, text: str, *needles: str) -> Spot:
    """Return the place of the first line that contains all needles; see `line_of`."""
    return Spot(path, *line_of(text, needles))
