"""What a manifest asks of its host, written down as facts: GPUs by model and number, memory, cores.

Owns: how firmly a manifest speaks by its place, and what a GPU's name implies. Must not: parse a manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from envagent.catalog.gpus import identify
from envagent.repository import instances
from envagent.repository.facts import Amount, Facts, GpuSign, Scope, SpecialSign, Spot, Vendor
from envagent.repository.knowledge import table
from envagent.repository.quantities import byte_size
from envagent.repository.readers.scopes import scope_of, words

DECIDES = 3.0
"""The weight of a request that leaves no doubt."""
_FACTOR: dict[Scope, float] = {"optional": 0.3, "development": 0.15}
# Folders in which a repository keeps the manifests of its main job.
_USUAL = frozenset([
    "deploy", "deployment", "deployments", "k", "8", "s", "kubernetes", "kube", "manifests", "manifest", "helm",
    "chart", "charts", "docker", "container", "containers", "compose", "devcontainer", "infra", "infrastructure", "ops",
    "cluster", "clusters", "sky", "skypilot", "ray", "modal", "apptainer", "singularity", "cog", "config", "configs",
    "conf", "base", "cloud", "kustomize", "build", "scripts", "src", "env", "environment", "templates", "yaml", "yamls",
])  # fmt: skip
_NAMED_AFTER = re.compile(r"(?:docker-)?compose|dockerfile|[^/]*\.dockerfile$|containerfile")
_PLAIN = frozenset([
    "docker", "compose", "dockerfile", "containerfile", "yaml", "yml", "prod", "production", "base", "main", "latest",
    "default", "linux", "ubuntu", "x", "86", "64", "amd", "server", "app", "full",
])  # fmt: skip
_NAMED = 0.7
_MEMORY = re.compile(r"(?<![a-z0-9])(\d{1,3})\s?-?g(?:i?b)?(?![a-z])", re.IGNORECASE)
_COUNT = re.compile(r"\d{1,3}(?:\.\d{1,3})?")
_OTHER_CHIPS = (
    ("tpu", re.compile(r"(?<![a-z])tpu")),
    ("gaudi", re.compile(r"(?<![a-z])(?:gaudi|habana)")),
    ("trainium", re.compile(r"(?<![a-z])(?:trainium|inferentia|neuron)")),
)
_LEAST_GB = {"ram": 1.0, "disk": 10.0}
_LEAST_CORES = 2


def firmness(path: str) -> float:
    """Return how much a manifest at `path` speaks for the whole repository: 1 at the top, 0 for a foreign platform."""
    scope = scope_of(path)
    if scope is None:
        return 0.0
    if scope not in ("main", "component"):
        return _FACTOR[scope]
    unusual = [folder for folder in path.split("/")[:-1] if not set(words(folder)) <= _USUAL]
    return {0: 1.0, 1: 0.8}.get(len(unusual), 0.6) * _of_name(path)


def _of_name(path: str) -> float:
    """Return less than 1 for `Dockerfile.x` and `compose-x.yaml`, which are variants of the file without the suffix."""
    name = path.rpartition("/")[2].lower()
    return _NAMED if _NAMED_AFTER.match(name) and not set(words(name)) <= _PLAIN else 1.0


@dataclass(frozen=True)
class Gpus:
    """One way to meet a request: GPUs of a model (empty: any), how many (None: not said), with how much memory each."""

    model: str = ""
    count: float | None = None
    memory_gb: float | None = None

    @property
    def vendor(self) -> Vendor | None:
        """Return the maker, if the model is known."""
        found = identify(self.model) if self.model else None
        return found.vendor if found else None

    @property
    def memory(self) -> float | None:
        """Return the memory of one GPU, as written or as the model has it."""
        found = identify(self.model) if self.model and self.memory_gb is None else None
        return found.memory_gb if found else self.memory_gb


def parse_gpus(value: object, count: float | None = None) -> Gpus:
    """Parse one request as manifests write it: `A100-80GB:8`, `4`, `H100!`, `24GB+`, `NVIDIA-A100-SXM4-80GB`."""
    if isinstance(value, bool):
        return Gpus(count=count if value else 0)
    if isinstance(value, (int, float)):
        return Gpus(count=value)
    name, _, rest = str(value).strip().partition(":")
    name = name.strip().rstrip("!+")
    for part in rest.split(":"):
        if memory := _MEMORY.match(part):
            name = f"{name} {memory[1]}GB"
        elif number := _COUNT.match(part):
            count = float(number[0])
    if _COUNT.fullmatch(name):
        return Gpus(count=float(name))
    memory = _MEMORY.search(name)
    return Gpus(name, count, float(memory[1]) if memory else None)


def gpus_of_instance(name: object) -> Gpus | None:
    """Return the GPUs or other chips of a cloud's instance type, if it has any."""
    text = str(name).strip()
    if chip := instances.chip_of_instance(text):
        return Gpus(chip)
    found = instances.cloud_instance(text)
    return Gpus(found.gpu.model, found.gpu.count, found.gpu.memory_gb) if found and found.gpu else None


def add_gpus(
    facts: Facts, spot: Spot, firm: float, note: str, options: Iterable[Gpus] = (), vendor: Vendor | None = None
) -> None:
    """Record a request for GPUs. Of several options any one will do, so the least is recorded."""
    ways = list(options) or [Gpus()]
    for tag, pattern in _OTHER_CHIPS:
        others = [way for way in ways if not pattern.search(way.model.lower())]
        if not others:
            facts.specials.append(SpecialSign(tag, 2.0 * firm, spot))
            return
        ways = others
    least = min(ways, key=lambda way: ((way.count or 1) * (way.memory or 0), way.count or 1))
    if least.count == 0:
        return
    vendors = {way.vendor for way in ways}
    maker = vendor or (vendors.pop() if len(vendors) == 1 else None)
    facts.gpu.append(GpuSign("container", DECIDES * firm, maker, spot, note))
    if least.count:
        # The number in one of several variants is not that of the job.
        facts.amounts.append(Amount("gpus", max(1, round(least.count)), "minimum", firm**2, spot))
    if least.memory:
        facts.amounts.append(Amount("vram", least.memory, "minimum", firm, spot))


def add_size(
    facts: Facts,
    what: Literal["ram", "disk"],
    value: object,
    spot: Spot,
    weight: float,
    stance: Literal["minimum", "recommended", "tested"] = "minimum",
) -> None:
    """Record memory or disk written as container tools write it; what every machine has is left out."""
    size = byte_size(value)
    if size is not None and _LEAST_GB[what] <= size < 1e6:
        facts.amounts.append(Amount(what, round(size, 1), stance, weight, spot))


def cores_of(value: object) -> float:
    """Return a number of cores as container tools write it: `4`, `0.5`, `500m`, `8+`; 0 if it is none."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(m?)\+?", str(value).strip())
    return float(found[1]) / (1000 if found[2] else 1) if found and not isinstance(value, bool) else 0.0


def add_cores(facts: Facts, value: object, spot: Spot, weight: float) -> None:
    """Record a number of cores; what every machine has is left out."""
    if _LEAST_CORES <= (cores := cores_of(value)) <= 1024:
        facts.amounts.append(Amount("cores", round(cores), "minimum", weight, spot))


def resource_kind(name: str) -> tuple[str | None, Vendor | None] | None:
    """Return the tag or the vendor behind the name of a device plugin's resource; None for an ordinary one."""
    for pattern, tag, vendor in _resources():
        if pattern.fullmatch(name.lower()):
            return tag, vendor
    return None


@cache
def _resources() -> list[tuple[re.Pattern[str], str | None, Vendor | None]]:
    return [(globs(row["names"]), row.get("tag"), row.get("vendor")) for row in table("containers")["resource"]]


def globs(names: Iterable[str]) -> re.Pattern[str]:
    """Compile names of which `*` stands for anything."""
    return re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in names))
