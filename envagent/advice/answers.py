"""Map an AI's answer to the options it was given, with a refusal if it matches none that is allowed.

The options reach the AI by name; whatever it says becomes one of them or a refusal, never anything new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from envagent.advice import images, proposals
from envagent.advice.decisions import Candidate, Placement
from envagent.advice.matching import resolve
from envagent.advice.needs import Need
from envagent.advice.untrusted import one_line
from envagent.cloud.port import Image

MOST_OPTIONS = 30


def names(chosen: Sequence[Image]) -> list[JsonValue]:
    """Return the value that a decision records for a list of images."""
    return [i.name for i in chosen]


def image_value(image: Image) -> dict[str, JsonValue]:
    """Return the value that a decision records for an image."""
    return {"name": image.name, "id": image.id}


def image_facts(image: Image) -> dict[str, JsonValue]:
    """Return the facts about an image for the AI."""
    seen = images.traits(image)
    return {
        "name": image.name,
        "id": image.id,
        "distribution": seen.distro,
        "release": seen.release,
        "variant": seen.variant,
        "current_build": seen.current,
        "maintained": images.maintained(seen),
        "size_bytes": image.size_bytes,
        "min_disk_gb": image.min_disk_gb,
        "min_ram_mb": image.min_ram_mb,
        "created_at": image.created_at.isoformat() if image.created_at else None,
    }


def candidates(
    answer: proposals.CandidatesProposal,
    options: Mapping[str, Image],
    available: Sequence[Image],
    by_rules: list[Image],
) -> tuple[list[Image], list[str]]:
    """Return the images that the AI means, topped up to three from the rules' own, and the rejections."""
    meant: dict[str, Image] = {}
    rejected = []
    for said in answer.candidates[:MOST_OPTIONS]:
        image_id = resolve(said, {i.id: i.name for i in options.values()})
        if image_id is not None:
            meant[image_id] = options[image_id]
            continue
        exists = resolve(said, {i.id: i.name for i in available}) is not None
        why = "does not suit the hardware, or is not a current Chameleon build" if exists else "not in the image list"
        rejected.append(f"{one_line(said, 80)}: {why}")
    if not meant:
        return by_rules, rejected
    chosen = list(meant.values())[: images.MOST_CANDIDATES]
    further = [i for i in by_rules if i.id not in meant]
    chosen += further[: max(images.FEWEST_CANDIDATES - len(chosen), 0)]
    return chosen, rejected


def image(answer: proposals.ImageProposal, fitting: Mapping[str, Image], need: Need) -> tuple[Image, str | None]:
    """Return the candidate that the AI means, or the rules' best with the reason why the answer is rejected."""
    best, shown = next(iter(fitting.values())), one_line(answer.selected_image, 80)
    meant = resolve(answer.selected_image, {image_id: i.name for image_id, i in fitting.items()})
    if meant is None:
        return best, f"{shown}: not among the candidates"
    worse = images.worse(fitting[meant], best, need)
    return (best, f"{shown}: {worse}") if worse else (fitting[meant], None)


def key(candidate: Candidate) -> str:
    """Return the name of a candidate for the AI; the same node type may exist at several sites."""
    return f"{candidate.node_type.name} at {candidate.region}"


def equally_good(candidate: Candidate, best: Candidate) -> bool:
    """Return whether a candidate is as available and as suitable as the rules' choice."""
    quality = (best.free_now is None, bool(best.free_now), best.compromise)
    return (candidate.free_now is None, bool(candidate.free_now), candidate.compromise) == quality


def node_type(
    answer: proposals.NodeTypeProposal, options: Mapping[str, Candidate], placement: Placement, most_su: float
) -> tuple[Candidate, str | None]:
    """Return the option that the AI means, or the rules' best with the reason why the answer is rejected.

    No lease on another candidate than the best may cost more than `most_su`.
    """
    best, shown = placement.best, one_line(answer.node_type, 80)
    meant = resolve(answer.node_type, {name: c.node_type.name for name, c in options.items()})
    if meant is None:
        return best, f"{shown}: {_why_no_option(answer.node_type, placement)}"
    chosen = options[meant]
    cost = chosen.cost(placement.hours)
    if chosen is not best and cost > most_su:
        return best, f"{shown}: {cost:g} SU for {placement.hours} h, limit {most_su:g} SU"
    return chosen, None


def _why_no_option(said: str, placement: Placement) -> str:
    if resolve(said, {key(c): c.node_type.name for c in placement.candidates}) is not None:
        return f"occupied or less suitable, while {placement.best.node_type.name} is available"
    excluded = resolve(said, {name: name for name in placement.excluded})
    return placement.excluded[excluded] if excluded else "not a node type of the live inventory"
