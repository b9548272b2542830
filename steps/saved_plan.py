"""A plan that was saved, to be carried out later exactly as it is: what a run takes from it, and whether it still fits.

It holds the outputs of the stages up to the approval, so a run that starts with it continues as if it had made them
itself. Nothing of it is trusted before it was compared with the cloud: a file can have been written by anybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from envagent.advice import placement
from envagent.advice.decisions import Candidate, Decision
from envagent.advice.duration import LONGEST_HOURS, SHORTEST_HOURS
from envagent.catalog import describe
from envagent.cloud.port import Cloud, Identity, Image
from envagent.cloud.site_kinds import Hardware, read_hardware
from envagent.engine.execution import Known
from envagent.engine.step import Output
from envagent.engine.tables import DecisionRecord
from envagent.errors import NotFound, PlanOutdated
from envagent.hints import Hint
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.attempts import free_again, highest_cost
from envagent.steps.find_network import FoundNetwork
from envagent.steps.plan import Plan
from envagent.steps.request import Wishes
from envagent.steps.select_image import ImageCandidates, SelectedImage

EARLY = timedelta(minutes=1)
"""How far a planned start may be in the past: Blazar counts whole minutes."""

_SAME_CREDENTIALS = Hint("use the credentials with which it was made, or make a new plan")


class PlannedDecision(BaseModel):
    """A decision, and the stage that made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    decision: Decision

    def record(self) -> DecisionRecord:
        """Return it as a run starts with it."""
        return DecisionRecord(
            run_id="",
            stage=self.stage,
            at="",
            name=self.decision.name,
            source=self.decision.source,
            reason=self.decision.reason,
            detail=self.decision.model_dump_json(),
        )


class SavedPlan(BaseModel):
    """What a run takes from a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wishes: Wishes
    identity: Identity
    """Who made it, and where."""
    analyzed: AnalyzedRepository
    candidates: ImageCandidates
    image: SelectedImage
    network: FoundNetwork
    plan: Plan
    decisions: Annotated[tuple[PlannedDecision, ...], Field(max_length=20)]
    warnings: Annotated[tuple[str, ...], Field(max_length=200)]

    @model_validator(mode="after")
    def _consistent(self) -> SavedPlan:
        """Check what the steps take for granted, because they computed it."""
        plan = self.plan
        if not plan.placement.candidates or not self.candidates.images:
            raise ValueError("it names no node type or no image")
        if not SHORTEST_HOURS <= plan.hours <= LONGEST_HOURS or plan.placement.hours != plan.hours:
            raise ValueError(f"{plan.hours} hours is outside the range of {SHORTEST_HOURS} to {LONGEST_HOURS}")
        if plan.service_units != plan.placement.best.cost(plan.hours):
            raise ValueError("its price is not that of its node type and hours")
        if plan.ceiling not in (None, highest_cost(plan.placement, plan.ceiling or 0.0)):
            raise ValueError("its ceiling is the price of none of its node types")
        return self

    @property
    def digest(self) -> str:
        """A checksum, to notice what was changed by hand or cut off; it proves nothing about who wrote it."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of the stages that are not entered again."""
        return (self.analyzed, self.candidates, self.image, self.network, self.plan)

    def known(self) -> Known:
        """Return what a run starts with."""
        return Known(self.outputs, [one.record() for one in self.decisions], self.warnings)

    def labels(self) -> dict[str, str]:
        """Return what the list of runs shows of it."""
        return {"node_type": self.plan.placement.best.node_type.name, "image": self.image.image.name}

    def check(self, cloud: Cloud, now: datetime) -> None:
        """Compare the plan with the cloud as it is now; only reads.

        Raises:
            PlanOutdated: it does not fit any more; says why.
            EnvagentError: the cloud cannot be asked.
        """
        identity = cloud.identity()
        for what, ours, stored in (
            ("project", identity.project_id, self.identity.project_id),
            ("site", identity.site, self.identity.site),
        ):
            if ours != stored:
                raise PlanOutdated(
                    f"the plan was made for {what} {stored}, but these credentials are for {what} {ours}",
                    hint=_SAME_CREDENTIALS,
                )
        start = self.plan.start
        if start is not None and start < now - EARLY:
            raise PlanOutdated(f"the plan's start has passed: {start:%Y-%m-%d %H:%M} UTC")
        _check_image(cloud, self.image.image)
        _check_network(cloud, self.network)
        _check_hardware(read_hardware(cloud, identity), self.plan, start or now)


def _check_image(cloud: Cloud, planned: Image) -> None:
    try:
        image = cloud.image(planned.id)
    except NotFound:
        raise PlanOutdated(f"the plan's image {planned.name} ({planned.id}) is gone") from None
    if image.status != "active":
        raise PlanOutdated(f"the plan's image {planned.name} ({planned.id}) is {image.status}")
    if image != planned:
        raise PlanOutdated(f"the plan's image {planned.name} ({planned.id}) was changed since")


def _check_network(cloud: Cloud, planned: FoundNetwork) -> None:
    there = {one.id: one for one in cloud.networks()}
    for wanted, name in ((planned.network_id, planned.network_name), (planned.external_id, planned.external_name)):
        if wanted is not None and (wanted not in there or there[wanted].status != "ACTIVE"):
            raise PlanOutdated(f"the plan's network {name} ({wanted}) is gone or not active")


def _check_hardware(site: Hardware, plan: Plan, start: datetime) -> None:
    """Check that the first node type is free and that none has another price; hidden hosts cannot be checked."""
    types = {one.name: one for one in site.node_types}
    for one in plan.placement.candidates:
        name = one.node_type.name
        if name not in types:
            raise PlanOutdated(f"the plan's node type {name} does not exist at this site any more")
        rate = _rate(one, site)
        if rate != one.su_per_hour:
            raise PlanOutdated(f"{name} costs {rate:g} SU/h now, and {one.su_per_hour:g} SU/h in the plan")
    if site.hosts is None or site.occupations is None:
        return
    seen = placement.look_again(plan.placement, site.hosts, site.occupations, now=start)
    if seen.best.free_now == 0:
        when = "now" if plan.start is None else f"at {start:%Y-%m-%d %H:%M} UTC"
        again = free_again(seen.model_copy(update={"candidates": seen.candidates[:1]}))
        raise PlanOutdated(f"the plan's node type {seen.best.node_type.name} is not free {when} any more{again}")


def _rate(candidate: Candidate, site: Hardware) -> float:
    """Return what a node of a candidate costs per hour now, as the placement counts it."""
    kind = next(one for one in site.node_types if one.name == candidate.node_type.name)
    if site.hosts is None or kind.virtual:
        return kind.su_factor
    nodes = [
        describe(host, kind)
        for host in site.hosts
        if host.node_type == kind.name and host.reservable and host.uid not in candidate.exclude_uids
    ]
    return max((one.su_factor for one in nodes), default=kind.su_factor)


def planned_decisions(records: Iterable[DecisionRecord]) -> tuple[PlannedDecision, ...]:
    """Return stored decisions with their stages."""
    return tuple(PlannedDecision(stage=one.stage, decision=Decision.model_validate_json(one.detail)) for one in records)


def find(outputs: Sequence[Output]) -> dict[type[Output], Output]:
    """Return outputs by their type."""
    return {type(one): one for one in outputs}
