"""What the advice room returns: decisions with their reasons, and the ranked placement."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from envagent.catalog import NodeType
from envagent.repository.results import Model

DecisionName = Literal["requirements", "image_candidates", "image", "node_type", "duration"]
Source = Literal["user", "ai", "rules"]


class Usage(Model):
    """The cost of asking the AI for one decision; recorded for rejected answers, too."""

    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    """None where the server does not report a price."""
    seconds: float = 0.0
    requests: int = 0
    """HTTP requests sent, retries included."""


class Decision(Model):
    """One of the five decisions of a run: what was decided, by whom, and why."""

    name: DecisionName
    value: JsonValue
    source: Source
    reason: str
    rules_value: JsonValue = None
    """The rules' answer: equal to `value` unless the user or the AI decided otherwise."""
    alternatives: tuple[JsonValue, ...] = ()
    rejected: tuple[str, ...] = ()
    """What was proposed and rejected, and why (contains untrusted text, without control characters)."""
    warnings: tuple[str, ...] = ()
    usage: Usage | None = None


class Candidate(Model):
    """A node type that satisfies the needs."""

    node_type: NodeType
    free_now: int | None
    """Suitable nodes that are free from now on for the whole duration; None if the site hides its hosts."""
    total: int
    """Suitable nodes, busy or not; for hidden hosts the catalogue's count."""
    next_free: datetime | None
    """When a suitable node is first free for the whole duration; None if never or unknown."""
    su_per_hour: float
    waste: float
    """How much larger than needed: 0 is an exact fit."""
    compromise: int = 0
    """0 satisfies everything; more is a last resort that deserves a warning."""
    exclude_uids: tuple[str, ...] = ()
    """Nodes of this type that do not satisfy the needs, to be excluded from the reservation."""
    why: str
    warnings: tuple[str, ...] = ()

    def cost(self, hours: float) -> float:
        """Compute the charge for a whole lease, used or idle."""
        return round(self.su_per_hour * hours, 2)

    @property
    def region(self) -> str:
        """The site's region; a node type belongs to one site."""
        return self.node_type.region


class Placement(Model):
    """All candidates, best first, and why every other node type is excluded."""

    candidates: tuple[Candidate, ...]
    excluded: dict[str, str] = Field(default_factory=dict)
    hours: int
    requested: str | None = None
    """The node type requested by the user."""

    @property
    def best(self) -> Candidate:
        """The first candidate; a placement has at least one."""
        return self.candidates[0]

    def within(self, most_su: float | None) -> Placement | None:
        """Keep candidates whose whole lease costs at most `most_su` (None: all); None if there are none."""
        if most_su is None:
            return self
        left = tuple(one for one in self.candidates if one.cost(self.hours) <= most_su)
        return self.model_copy(update={"candidates": left}) if left else None

    @property
    def full(self) -> bool:
        """Whether every candidate is known to be occupied now."""
        return all(c.free_now == 0 for c in self.candidates)

    @property
    def next_free(self) -> datetime | None:
        """The earliest moment at which any candidate is free."""
        return min((c.next_free for c in self.candidates if c.next_free is not None), default=None)
