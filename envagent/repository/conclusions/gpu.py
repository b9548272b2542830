"""Is a GPU needed, whose, and how much memory must it have?

Owns: gathering what sentences and manifests say of GPUs into features of the whole repository, which the model weighs.
Must not: read text.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from envagent.catalog import gpus
from envagent.repository.conclusions import amounts, model, systems
from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Facts, GpuSign, Said, Spot, Vendor
from envagent.repository.readers import implied
from envagent.repository.results import Evidence

_ASKED = 3.0
"""A sign of this weight is a manifest's plain request, which decides unless the documents deny it."""
_REPEATED = 0.2
_LARGEST_GPU = 96
_SUBJECTS = frozenset(("gpu", "purpose", "cpu_will_do", "vram"))
_ENOUGH = -0.3
_FOR_OPTIONAL = -2.5
_FIRM = ("need.main", "listed.main", "takes.main")
_ASKING = frozenset(("need", "listed", "recommend"))
_AGAINST = frozenset(f"{stance}.{tier}" for stance in ("denied", "optional", "cpu") for tier in ("main", "guide"))
_VENDOR_OF: dict[str, Vendor] = {"cuda": "nvidia", "amd_gpu": "amd", "intel_gpu": "intel"}


@dataclass(frozen=True)
class GpuConclusion:
    """The answer, with the evidence for it."""

    required: bool
    optional: bool
    vendor: Vendor | None
    cuda_version: str | None
    memory_gb: float | None
    count: int | None
    capability: str | None
    evidence: tuple[Evidence, ...]


def conclude(facts: Facts) -> GpuConclusion:
    """Weigh everything that is said of GPUs."""
    signs, said = signs_of(facts), mentioned(facts)
    total = model.score("gpu", gpu_features(signs, said))
    asked = any(s.weight >= _ASKED and s.kind != "dependency" for s in signs)
    # A board that is named first brings its GPU.
    asked = asked or any(
        s.subject == "special.jetson" and "early" in s.features and s.stance in ("purpose", "named", "need", "listed")
        for s in facts.said
    )
    denied = any(s.stance == "denied" and s.tier == "main" and s.subject != "vram" for s in said)
    firm = any(s.tier == "main" and s.stance in _ASKING for s in said)
    required = (total > _ENOUGH or (asked and not denied)) and (firm or not systems.other_chip(facts))
    optional = not required and (total > _FOR_OPTIONAL or any(s.kind == "optional" for s in signs))
    models = [s for s in facts.said if s.subject == "gpu_model" and s.tier != "side"]
    vendor = _vendor(signs, [*said, *models]) if required else None
    found = [evidence("gpu_required", required, *place) for place in _told(signs, said, required)]
    memory, count, capability = None, None, None
    if required:
        memory, memory_evidence = amounts.conclude_gpu_memory(facts, _LARGEST_GPU)
        number, count_evidence = amounts.conclude(facts, "gpus", "gpu_count")
        least, capability_evidence = amounts.conclude(facts, "capability", "compute_capability")
        found += [*memory_evidence, *count_evidence, *capability_evidence]
        count = int(number) if number else 1
        capability = f"{least:.1f}" if least else None
    cuda = max([*facts.cuda, *implied.cuda_signs(facts.packages)], key=lambda s: s.weight, default=None)
    if not required or vendor == "amd":
        cuda = None
    if cuda is not None:
        found.append(evidence("cuda_version", cuda.version, cuda.spot, cuda.weight))
    version = cuda.version if cuda else None
    return GpuConclusion(required, optional, vendor, version, memory, count, capability, tuple(found))


def signs_of(facts: Facts) -> list[GpuSign]:
    """Return the signs of manifests and code, dependencies included."""
    return [*facts.gpu, *implied.gpu_signs(facts.packages)]


def mentioned(facts: Facts) -> list[Said]:
    """Return what sentences say of GPUs."""
    return [
        s
        for s in facts.said
        if s.subject in _SUBJECTS and not s.features & {"plain", "from.model"} and s.tier != "side"
    ]


def gpu_features(signs: list[GpuSign], said: list[Said]) -> dict[str, float]:
    """Describe a repository: how often sentences take each stance, and how strong the signs of each kind are."""
    held = model.counted(_name(s) for s in said)
    kinds: dict[str, list[float]] = defaultdict(list)
    for sign in signs:
        kinds[sign.kind + ("+" if sign.weight > 0 else "-")].append(abs(sign.weight))
    for kind, weights in kinds.items():
        weights.sort(reverse=True)
        # Signs of one kind repeat each other.
        held[kind] = weights[0] + min(0.8, _REPEATED * sum(weights[1:]))
    if not signs:
        held["sparse"] = 1.0
    if not held.keys() & _AGAINST:
        # Nothing in the main documents speaks of another way.
        held |= {f"unopposed {name}": 1.0 for name in _FIRM if name in held}
    if not said:
        # Where no sentence speaks of GPUs, the manifests speak alone.
        held |= {f"silent {kind}": held[kind] for kind in kinds}
    return held


def _name(said: Said) -> str:
    """Return the feature of the repository that a mention of a GPU counts for."""
    tier = "guide" if "doc.install" in said.features else said.tier
    return f"{'cuda.' if said.value in _VENDOR_OF else ''}{said.stance}.{tier}"


def _told(signs: list[GpuSign], said: list[Said], required: bool) -> list[tuple[Spot, float, str]]:
    """Return the five places that say most for the answer, each with its weight and what it says."""
    places = [(s.spot, s.weight, s.note) for s in signs]
    places += [(s.spot, model.weight("gpu", _name(s)), _WHY.get(s.stance, "names one")) for s in said]
    strongest: dict[tuple[str, int | None], tuple[Spot, float, str]] = {}
    for spot, weight, why in sorted(places, key=lambda place: -abs(place[1])):
        if weight and (weight > 0) == required:
            strongest.setdefault((spot.path, spot.line), (spot, weight, why))
    return list(strongest.values())[:5]


_WHY = {
    "need": "says that it needs one", "listed": "stands among its requirements", "recommend": "recommends one",
    "tested": "says on what it was tested", "sized": "says how much GPU memory",
    "takes": "says how much GPU memory it takes",
    "optional": "names a GPU as one way", "denied": "says that no GPU is needed", "cpu": "says that a CPU will do",
    "purpose": "its purpose is work on GPUs", "aside": "tells of a machine that was used",
}  # fmt: skip


def _vendor(signs: list[GpuSign], said: list[Said]) -> Vendor:
    weight: dict[Vendor, float] = defaultdict(float)
    for sign in signs:
        if sign.vendor is not None and sign.weight > 0:
            weight[sign.vendor] += sign.weight
    for one in said:
        named = gpus.by_spelling().get(str(one.value))
        vendor = named.vendor if named else _VENDOR_OF.get(str(one.value))
        if vendor and one.stance not in ("optional", "aside", "denied"):
            weight[vendor] += 0.5 if one.tier == "main" else 0.1
    return max(weight, key=lambda v: weight[v]) if weight else "nvidia"
