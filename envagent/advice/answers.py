"""What an AI's answer means among the options it was given, and why it is refused when it means nothing good.

The options reach the AI by name; whatever it says comes back as one of them or as a refusal, never as anything new.
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
    """Images as a decision records a list of them."""
    return [i.name for i in chosen]


def image_value(image: Image) -> dict[str, JsonValue]:
    """An image as a decision records it."""
    return {"name": image.name, "id": image.id}


def image_facts(image: Image) -> dict[str, JsonValue]:
    """What an AI is told of an image."""
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
    """The images that the AI means, filled up by the rules' own to three; the rules' own where none is left."""
    meant: dict[str, Image] = {}
    rejected = []
    for said in answer.candidates[:MOST_OPTIONS]:
        image_id = resolve(said, {i.id: i.name for i in options.values()})
        if image_id is not None:
            meant[image_id] = options[image_id]
            continue
        exists = resolve(said, {i.id: i.name for i in available}) is not None
        why = "does not suit the hardware, or is no current Chameleon build" if exists else "not in the image list"
        rejected.append(f"{one_line(said, 80)}: {why}")
    if not meant:
        return by_rules, rejected
    chosen = list(meant.values())[: images.MOST_CANDIDATES]
    further = [i for i in by_rules if i.id not in meant]
    chosen += further[: max(images.FEWEST_CANDIDATES - len(chosen), 0)]
    return chosen, rejected


def image(answer: proposals.ImageProposal, fitting: Mapping[str, Image], need: Need) -> tuple[Image, str | None]:
    """The candidate that the AI means; or the rules' best, with why the AI's word is refused."""
    best, shown = next(iter(fitting.values())), one_line(answer.selected_image, 80)
    meant = resolve(answer.selected_image, {image_id: i.name for image_id, i in fitting.items()})
    if meant is None:
        return best, f"{shown}: not among the candidates"
    worse = images.worse(fitting[meant], best, need)
    return (best, f"{shown}: {worse}") if worse else (fitting[meant], None)


def key(candidate: Candidate) -> str:
    """What an AI is told of a candidate's name: a node type is a site."""
    return f"{candidate.node_type.name} at {candidate.region}"


def equal_standing(candidate: Candidate, best: Candidate) -> bool:
    """Whether a candidate is as free, and satisfies as much, as the rules' choice."""
    standing = (best.free_now is None, bool(best.free_now), best.compromise)
    return (candidate.free_now is None, bool(candidate.free_now), candidate.compromise) == standing


def node_type(
    answer: proposals.NodeTypeProposal, options: Mapping[str, Candidate], placement: Placement, most_su: float
) -> tuple[Candidate, str | None]:
    """The candidate that the AI means; or the rules' best, with why the AI's word is refused.

    Args:
        answer: what the AI said.
        options: what it was offered.
        placement: all candidates.
        most_su: the most that the lease may cost on the AI's candidate.
    """
    best, shown = placement.best, one_line(answer.node_type, 80)
    meant = resolve(answer.node_type, {name: c.node_type.name for name, c in options.items()})
    if meant is None:
        return best, f"{shown}: {_why_no_option(answer.node_type, placement)}"
    chosen = options[meant]
    cost = chosen.cost(placement.hours)
    if chosen is not best and cost > most_su:
        return best, f"{shown}: {cost:g} SU for {placement.hours} h, {most_su:g} SU at most"
    return chosen, None


def _why_no_option(said: str, placement: Placement) -> str:
    if resolve(said, {key(c): c.node_type.name for c in placement.candidates}) is not None:
        return f"occupied, or less fit, while {placement.best.node_type.name} is to be had"
    excluded = resolve(said, {name: name for name in placement.excluded})
    return placement.excluded[excluded] if excluded else "not a node type of the live inventory"
