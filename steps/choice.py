"""Which hardware for how long: the advisor's decision, within a price.

The bounds of the price are set here: what a user's `--max-su` allows, and how much dearer than the rules' choice the
AI may make a lease. It asks no cloud.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from envagent.advice.decisions import Decision, Placement
from envagent.cloud.port import Image
from envagent.cloud.site_kinds import Hardware
from envagent.config import LeaseSettings
from envagent.errors import QuotaExceeded
from envagent.hints import Hint, Option, resume
from envagent.repository.results import Analysis
from envagent.steps.plan import ByRules
from envagent.steps.request import RunRequest

if TYPE_CHECKING:
    from envagent.advice.advisor import Advisor


@dataclass(frozen=True)
class Choice:
    """The node types in the order in which they are requested, the hours, and the decisions behind them."""

    placement: Placement
    hours: int
    node_type: Decision
    duration: Decision

    @property
    def cost(self) -> float:
        """What the lease costs on the first node type."""
        return self.placement.best.cost(self.hours)

    @property
    def price(self) -> ByRules:
        """Name the node type, the hours and the cost."""
        return ByRules(node_type=self.placement.best.node_type.name, hours=self.hours, service_units=self.cost)


@dataclass(frozen=True)
class Chooser:
    """Chooses node type and hours for a run.

    Attributes:
        place: ranks one site's node types for an analysis and a number of hours.
        request: the user's request.
        lease: the settings for leases.
    """

    place: Callable[[Analysis, int], Placement]
    request: RunRequest
    lease: LeaseSettings

    def choose(self, advisor: Advisor, analysis: Analysis, most_su: float = math.inf) -> Choice:
        """Decide node type and hours; the AI's choice may cost at most `most_su`.

        Raises:
            QuotaExceeded: everything suitable costs more than the user's `--max-su`.
            NothingSuitable: no node type satisfies the needs.
        """
        from envagent.advice import duration

        wish = self.request.hours or self.lease.hours
        placement = self._affordable(analysis, wish or min(duration.by_workload(analysis), self.lease.max_hours))
        placement, kind = advisor.node_type(placement, analysis, wish=self.request.node_type, most_su=most_su)
        hours, lasting = advisor.duration(analysis, placement.best.node_type, wish=wish, most_su=most_su)
        if wish is None:
            hours = min(hours, self.lease.max_hours)
        if hours != placement.hours:
            placement = _keep_first(self._affordable(analysis, hours), placement.best.node_type.name)
        return Choice(placement, hours, kind, lasting)

    def _affordable(self, analysis: Analysis, hours: int) -> Placement:
        """Rank the node types; those within the user's `--max-su` come first."""
        found = self.place(analysis, hours)
        within = found.within(self.request.max_su)
        if within is None:
            least = min(found.candidates, key=lambda one: one.su_per_hour)
            raise too_dear(self.request, f"{least.node_type.name} for {hours} h", least.cost(hours))
        beyond = [one for one in found.candidates if one not in within.candidates]
        return found.model_copy(update={"candidates": (*within.candidates, *beyond)})


def ranking(
    site: Hardware,
    images: Sequence[Image],
    request: RunRequest,
    start: datetime,
    failed_lately: frozenset[str] = frozenset(),
) -> Callable[[Analysis, int], Placement]:
    """Return a function that ranks a site's node types for an analysis and a number of hours.

    Raises:
        UsageError: the site does not have the image that the user names, or has several.
    """
    from envagent.advice.images import find_named
    from envagent.advice.placement import place

    image = find_named(images, request.image) if request.image else None

    def rank(analysis: Analysis, hours: int) -> Placement:
        return place(
            analysis,
            site.node_types,
            site.hosts,
            site.occupations,
            images,
            now=start,
            hours=hours,
            node_type=request.node_type,
            image=image,
            failed_lately=failed_lately,
        )

    return rank


def set_aside(choice: Choice, by_rules: Choice, most_su: float) -> Choice:
    """Return the rules' choice instead of one that the AI has made too dear, with the reason."""
    reason = (
        f"{choice.price.node_type} for {choice.hours} h costs {choice.cost:g} SU, and the AI's choices may cost at "
        f"most {most_su:g} SU without a person's approval or a limit for the run"
    )
    taken = by_rules.node_type.model_copy(
        update={
            "rejected": (reason, *by_rules.node_type.rejected),
            "warnings": (*by_rules.node_type.warnings, f"the AI's choice was set aside: {reason}"),
        }
    )
    return replace(by_rules, node_type=taken)


def too_dear(request: RunRequest, what: str, cost: float) -> QuotaExceeded:
    """Return the error for a plan of which nothing is within the user's `--max-su`."""
    return QuotaExceeded(
        f"{what} costs {cost:g} SU, more than the limit of {request.max_su:g} SU",
        hint=Hint("allow it:", resume(max_su=cost), ", or run again with fewer", Option("hours")),
    )


def _keep_first(placement: Placement, name: str) -> Placement:
    """Keep the decided node type first, if it is free for the decided hours."""
    first = [one for one in placement.candidates if one.node_type.name == name and one.free_now != 0]
    rest = [one for one in placement.candidates if one not in first]
    return placement.model_copy(update={"candidates": (*first, *rest)})
