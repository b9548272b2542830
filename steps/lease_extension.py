"""A longer lease for a run: the request that is stored before it is sent, and what the site says against it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import PlainSerializer

from envagent.advice.duration import LONGEST_HOURS
from envagent.advice.windows import MARGIN
from envagent.cloud.port import Cloud, Lease, LeaseStatus
from envagent.engine.changes import ChangeLedger
from envagent.engine.kinds import CHANGE, ObjectRequest
from envagent.engine.step import NotYet
from envagent.engine.tables import IntentState
from envagent.errors import EnvagentError, NoCapacity, QuotaExceeded, ResourceLost, RunStateError, UsageError
from envagent.hints import Hint, Option, teardown

KIND = f"{CHANGE}lease"

REPEATED = timedelta(minutes=15)
"""How long a command that repeats one whose success was not reported is taken for the same wish."""

_NOT_STARTED = Hint(
    "extend it once it has started, or tear the run down and start another for longer with", Option("hours")
)

Moment = Annotated[datetime, PlainSerializer(datetime.isoformat)]


class LeaseExtension(ObjectRequest):
    """A later end of a lease, fixed before it is first sent."""

    lease_id: str
    minutes: int
    before: Moment
    """The end at that time."""
    end: Moment


@dataclass(frozen=True)
class Longer:
    """What a user asks for: so much longer, or until a moment."""

    length: timedelta | None = None
    until: datetime | None = None

    def end(self, lease: Lease) -> datetime:
        """Return the end that a lease is to have; Blazar counts whole minutes."""
        if self.until is not None:
            return self.until.replace(second=0, microsecond=0)
        return lease.end.replace(second=0, microsecond=0) + (self.length or timedelta())

    def is_for(self, stored: LeaseExtension) -> bool:
        """Return whether an extension is what is asked for."""
        if self.until is not None:
            return stored.end == self.until.replace(second=0, microsecond=0)
        return timedelta(minutes=stored.minutes) == self.length


@dataclass(frozen=True)
class Chosen:
    """The extension to carry out.

    Attributes:
        number: of the change in the run.
        since: when an earlier command has requested it; None for a new one.
    """

    number: int
    wanted: LeaseExtension
    since: datetime | None = None


def extension(ledger: ChangeLedger, lease: Lease, asked: Longer, now: datetime, *, reported: int) -> Chosen | None:
    """Return the extension to carry out: that of a command that was interrupted, else a new one.

    A finished extension counts as interrupted for a while if its success was not reported: a repeated command is then
    meant to see it through, not to add another.

    Args:
        ledger: knows the run's extensions.
        lease: the lease as it is now.
        asked: what the user asks for.
        now: the time.
        reported: the number of the last extension whose success was reported.

    Returns:
        The extension; None where the lease ends late enough already.

    Raises:
        RunStateError: another one is unfinished, or the lease cannot be changed at this moment.
        UsageError: the lease would be too long.
        ResourceLost: the lease has ended.
    """
    if lease.ending or lease.status == "ERROR":
        raise ResourceLost(
            f"lease {lease.name} ({lease.id}) is {lease.status}: it cannot be extended", hint=Hint(teardown())
        )
    for intent in ledger.intents(KIND):
        stored, since = LeaseExtension.model_validate_json(intent.request), datetime.fromisoformat(intent.sent_at)
        if stored.lease_id != lease.id:
            continue
        if intent.state == IntentState.SENT:
            if not asked.is_for(stored):
                raise RunStateError(
                    f"an extension by {in_words(stored.minutes)} is unfinished",
                    hint=Hint(f"finish it first, with {in_words(stored.minutes)} as the length"),
                )
            return Chosen(intent.number, stored, since)
        unreported = intent.number > reported and now - since < REPEATED
        if unreported and intent.state == IntentState.DONE and asked.is_for(stored) and stored.end <= lease.end:
            return Chosen(intent.number, stored, since)
    end = asked.end(lease)
    if end <= lease.end:
        return None
    if lease.status not in (LeaseStatus.PENDING, LeaseStatus.ACTIVE):
        raise RunStateError(
            f"lease {lease.name} is {lease.status}: it cannot be changed now", hint=Hint("try again in a minute")
        )
    latest = max(now, lease.start) + timedelta(hours=LONGEST_HOURS)
    if end > latest:
        room = int((latest - lease.end).total_seconds() // 3600)
        raise UsageError(
            f"the lease would end more than {LONGEST_HOURS // 24} days from now",
            hint=Hint(f"extend it by at most {room} h" if room > 0 else "try again nearer to the end of the lease"),
        )
    minutes = round((end - lease.end.replace(second=0, microsecond=0)).total_seconds() / 60)
    wanted = LeaseExtension(lease_id=lease.id, minutes=minutes, before=lease.end, end=end)
    return Chosen(ledger.next_number(KIND), wanted)


def extend(cloud: Cloud, ledger: ChangeLedger, number: int, lease: Lease, wanted: LeaseExtension) -> NotYet | None:
    """Request a later end; None once the lease has it.

    Raises:
        NoCapacity: somebody else has the node then; says from when on.
        EnvagentError: it was refused.
    """

    def took_effect() -> bool:
        return cloud.lease(lease.id).end >= wanted.end

    def send() -> None:
        try:
            cloud.extend_lease(lease.id, wanted.end)
        except NoCapacity as refusal:
            raise _taken(cloud, lease, wanted, refusal) from None
        except QuotaExceeded as refusal:
            if lease.status == LeaseStatus.PENDING:
                refusal.hint = _NOT_STARTED
            raise

    return ledger.change(KIND, number, lease.name, wanted, send, took_effect)


def in_words(minutes: int) -> str:
    """Write a length as `extend` reads it.

    >>> in_words(360), in_words(90)
    ('6h', '90m')
    """
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"


def _taken(cloud: Cloud, lease: Lease, wanted: LeaseExtension, refusal: NoCapacity) -> NoCapacity:
    free_until = _free_until(cloud, lease)
    until = "" if free_until is None else f"; it can end at {free_until:%Y-%m-%d %H:%M} UTC at the latest"
    return NoCapacity(
        f"the lease cannot end at {wanted.end:%Y-%m-%d %H:%M} UTC: its node is reserved by others then{until}",
        hint=Hint("extend it by less, or save your work before it ends"),
        service_said=refusal.service_said,
        request_id=refusal.request_id,
    )


def _free_until(cloud: Cloud, lease: Lease) -> datetime | None:
    """Return when the next reservation of the lease's node begins; None where the site does not say."""
    try:
        occupations = cloud.occupations()
    except EnvagentError:
        return None
    ours = {one.host_id for one in occupations if (one.start, one.end) == (lease.start, lease.end)}
    if len(ours) != 1:  # of several hosts, which one is the lease's is not shown
        return None
    following = [one.start - MARGIN for one in occupations if one.host_id in ours and one.start >= lease.end]
    return min(following, default=None)
