"""Which lease to ask for next: a policy over the plan's node types and the outcome of earlier attempts.

It asks no cloud and writes nothing: the same history always leads to the same next attempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

from envagent.advice.decisions import Candidate, Placement
from envagent.errors import LeaseFailed, NoCapacity
from envagent.hints import Hint, Option, resume

MOST_TYPES = 8
"""How many node types are asked for; matters where the site hides what is free. Those that it may not even have do
not count: to ask for one that does not exist costs nothing."""

ERRORS_OF_A_TYPE = (2, 4)
"""How many leases of one node type may go to ERROR: before another type is taken, and when no other is left. Blazar
gives one host to several leases that are requested at the same moment, and finds out when the second one starts.
Asked again, it takes another host or says that none is left; one of the colliding leases gets its own."""

MOST_ERRORS = 6
"""How many leases of any type may go to ERROR: a site with so many starts none now."""

MOST_WINDOWS = 3
"""How many later windows are asked for, where others take them as well."""

WAIT_HINT = Hint(
    "reserve the earliest window with",
    Option("wait_for_capacity"),
    ", choose other hardware with",
    Option("node_type"),
    ", or use the best of all sites with",
    Option("site", "any"),
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an attempt may cost and do.

    Attributes:
        ceiling: the most service units that a lease may cost without another approval.
        may_ask: whether somebody can approve a higher cost.
        may_wait: whether a later window may be reserved.
    """

    ceiling: float
    may_ask: bool = False
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A lease that came to nothing.

    Attributes:
        node_type: the node type that was asked for.
        refusal: why it was refused; None for a lease that was granted, went to ERROR and has been removed.
        later: whether it was for a later window than the plan's.
    """

    node_type: str
    refusal: str | None = None
    later: bool = False


@dataclass(frozen=True, slots=True)
class Reserve:
    """Ask for this node type next, from `start` on; None means when the plan says."""

    candidate: Candidate
    start: datetime | None = None


@dataclass(frozen=True, slots=True)
class AskFirst:
    """Nothing is left at the price that was approved; this node type costs more."""

    candidate: Candidate
    cost: float
    failures: str


def next_attempt(
    plan: Placement, failures: Sequence[Failure], terms: Terms, look_again: Callable[[], Placement]
) -> Reserve | AskFirst:
    """Choose the first candidate that is not used up; then the next free window; then a dearer candidate.

    Args:
        plan: the candidates in the order in which they are asked for.
        failures: what became of the earlier attempts, oldest first.
        terms: the price and what else is allowed.
        look_again: returns the candidates as they are occupied now; called once all of the plan's are used up.

    Raises:
        NoCapacity: nothing can be reserved; says why, node type by node type.
        LeaseFailed: every lease was granted, and none started.
    """
    refused = {one.node_type for one in failures if one.refusal is not None}
    errors = Counter(one.node_type for one in failures if one.refusal is None)
    tried = refused | errors.keys()
    asked = sum(1 for one in plan.candidates if one.node_type.name in tried and one.total)
    leases_start = errors.total() < MOST_ERRORS
    affordable = plan.within(terms.ceiling) if leases_start else None
    for limit, candidate in product(ERRORS_OF_A_TYPE, () if affordable is None else affordable.candidates):
        name = candidate.node_type.name
        if name not in refused and errors[name] < limit and (name in tried or asked < MOST_TYPES):
            return Reserve(candidate)
    now = look_again()
    within = now.within(terms.ceiling)
    full = within is not None and within.full
    if within is not None and full and terms.may_wait and sum(one.later for one in failures) < MOST_WINDOWS:
        window = min(within.candidates, key=_by_window)
        if window.next_free is not None:
            return Reserve(window, next_minute(window.next_free))
    reasons = _reasons(failures)
    dearer = next((one for one in now.candidates if one.cost(now.hours) > terms.ceiling and one.free_now != 0), None)
    if dearer is not None and leases_start and asked < MOST_TYPES:
        cost = dearer.cost(now.hours)
        if terms.may_ask:
            return AskFirst(dearer, cost, reasons)
        raise NoCapacity(
            f"nothing can be reserved now for at most {terms.ceiling:g} SU ({reasons}); "
            f"{dearer.node_type.name} would cost {cost:g} SU",
            hint=Hint(resume(max_su=cost)),
        )
    if not refused and not full:
        raise LeaseFailed(
            f"no lease could be started, and all were removed ({reasons})",
            hint=Hint(
                "try again:",
                resume(),
                "; if it happens again, choose another",
                Option("node_type"),
                "or ask the help desk",
            ),
        )
    raise NoCapacity(
        f"no suitable node can be reserved now ({reasons}){free_again(now)}",
        hint=WAIT_HINT if full and not terms.may_wait else None,
    )


def earliest_window(placement: Placement, *, may_wait: bool) -> datetime:
    """Return the start of the earliest window for a placement whose nodes are all reserved now.

    Raises:
        NoCapacity: a later window may not be reserved, or there is none.
    """
    if may_wait and placement.next_free is not None:
        return next_minute(placement.next_free)
    raise NoCapacity(f"all suitable nodes are reserved now{free_again(placement)}", hint=WAIT_HINT)


def highest_cost(placement: Placement, most_su: float) -> float | None:
    """Return the highest cost of the candidates that cost at most `most_su`; None when none does."""
    within = placement.within(most_su)
    return None if within is None else max(one.cost(placement.hours) for one in within.candidates)


def next_minute(moment: datetime) -> datetime:
    """Round up to whole minutes, as Blazar counts."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + timedelta(minutes=1)


def free_again(placement: Placement) -> str:
    """Return "; free again: ..." for the candidates that are reserved now, or "" where nobody knows."""
    known = [
        f"{one.node_type.name} at {one.next_free:%Y-%m-%d %H:%M} UTC"
        for one in placement.candidates
        if one.next_free is not None and one.free_now == 0
    ]
    return f"; free again: {', '.join(known)}" if known else ""


def _by_window(candidate: Candidate) -> tuple[bool, datetime]:
    return candidate.next_free is None, candidate.next_free or datetime.max.replace(tzinfo=UTC)


def _reasons(failures: Sequence[Failure]) -> str:
    """Say what became of each node type, those with the same fate together."""
    fates: dict[str, list[str]] = {}
    for one in failures:
        fates.setdefault(one.refusal or "went to ERROR at its start", []).append(one.node_type)
    return "; ".join(f"{', '.join(dict.fromkeys(names))}: {fate}" for fate, names in fates.items())
