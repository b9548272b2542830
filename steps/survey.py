"""The choice among several sites: their node types are ranked together, and the best one's site is chosen.

This happens before a run starts, and only reads; the run then belongs to the chosen site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from envagent.advice import placement
from envagent.advice.decisions import Placement
from envagent.cloud.port import Cloud
from envagent.cloud.site_kinds import read_hardware
from envagent.errors import EnvagentError, NothingSuitable, UsageError
from envagent.hints import Hint, Option
from envagent.repository.results import Analysis
from envagent.steps.choice import ranking
from envagent.steps.request import RunRequest


@dataclass(frozen=True, slots=True)
class Offer:
    """What one site offers for an analysis; `refusal` says why it offers nothing."""

    cloud: str
    region: str | None
    placement: Placement | None
    refusal: str | None = None

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        if self.placement is None:
            return self.refusal or "no answer"
        return f"{self.placement.best.node_type.name}: {self.placement.best.why}"


def ask(name: str, cloud: Cloud, analysis: Analysis, request: RunRequest, now: datetime, hours: int) -> Offer:
    """Ask one site; a site that fails offers nothing."""
    region = None
    try:
        identity = cloud.identity()
        region = identity.region
        available = [one for one in cloud.images() if one.status == "active" and one.visibility == "public"]
        found = ranking(read_hardware(cloud, identity), available, request, request.start or now)(analysis, hours)
    except EnvagentError as refusal:
        return Offer(name, region, None, refusal.message)
    return Offer(name, region, found)


def ask_all(
    clouds: Mapping[str, Cloud], analysis: Analysis, request: RunRequest, now: datetime, hours: int
) -> tuple[list[Offer], list[Offer]]:
    """Ask every site and rank them by their best candidates.

    Returns:
        The offers of the sites that are suitable, the best first; and all offers in the order asked.

    Raises:
        UsageError: no site is configured.
        NothingSuitable: no site has suitable hardware; says why, site by site.
    """
    offers = [ask(name, cloud, analysis, request, now, hours) for name, cloud in clouds.items()]
    if not offers:
        raise UsageError("no site is configured", hint=Hint("create clouds.yaml, or use", Option("cloud", "sandbox")))
    placements = [offer.placement for offer in offers if offer.placement is not None]
    if not placements:
        refusals = {str(offer.refusal) for offer in offers}
        if len(refusals) == 1:
            hint = Hint(
                "to go on anyway, name a node type and its site with", Option("node_type"), "and", Option("cloud")
            )
            raise NothingSuitable(refusals.pop(), hint=hint)
        reasons = "; ".join(f"{offer.region or offer.cloud}: {offer.refusal}" for offer in offers)
        raise NothingSuitable(f"no site has suitable hardware: {reasons}")
    ranked: list[Offer] = []
    for one in placement.combine(placements).candidates:
        ranked += [offer for offer in offers if offer.placement and one in offer.placement.candidates]
    return list({offer.cloud: offer for offer in ranked}.values()), offers
