"""A longer lease for a run: the request that is stored before it is sent, and what the site says against it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import PlainSerializer

from envagent.advice.duration import LONGEST_HOURS
from envagent.advice.windows import MARGIN
from envagent.cloud.port import Cloud, Lease
from envagent.engine.changes import ChangeLedger
from envagent.engine.kinds import CHANGE, ObjectRequest
from envagent.engine.step import NotYet
from envagent.engine.tables import IntentState
from envagent.errors import EnvagentError, NoCapacity, ResourceLost, RunStateError, UsageError
from envagent.hints import Hint, teardown

KIND = f"{CHANGE}lease"

Moment = Annotated[datetime, PlainSerializer(datetime.isoformat)]


class LeaseExtension(ObjectRequest):
    """A later end of a lease, fixed before it is first sent."""

    lease_id: str
    minutes: int
    before: Moment
    """The end at that time."""
    end: Moment


def extension(ledger: ChangeLedger, lease: Lease, length: timedelta, now: datetime) -> tuple[int, LeaseExtension]:
    """Return the extension to carry out, with its number: an unfinished one, else a new one.

    Raises:
        RunStateError: one of another length is unfinished.
        UsageError: the lease would be too long.
        ResourceLost: the lease has ended.
    """
    if lease.ending or lease.status == "ERROR":
        raise ResourceLost(
            f"lease {lease.name} ({lease.id}) is {lease.status}: it cannot be extended", hint=Hint(teardown())
        )
    minutes = round(length.total_seconds() / 60)
    for intent in ledger.intents(KIND):
        if intent.state == IntentState.SENT:
            stored = LeaseExtension.model_validate_json(intent.request)
            if stored.minutes != minutes:
                raise RunStateError(
                    f"an extension by {in_words(stored.minutes)} is unfinished",
                    hint=Hint(f"finish it first, with {in_words(stored.minutes)} as the length"),
                )
            return intent.number, stored
    end = lease.end.replace(second=0, microsecond=0) + length
    latest = max(now, lease.start) + timedelta(hours=LONGEST_HOURS)
    if end > latest:
        room = int((latest - lease.end).total_seconds() // 3600)
        raise UsageError(
            f"the lease would end more than {LONGEST_HOURS // 24} days from now",
            hint=Hint(f"extend it by at most {room} h" if room > 0 else "try again nearer to the end of the lease"),
        )
    return ledger.next_number(KIND), LeaseExtension(lease_id=lease.id, minutes=minutes, before=lease.end, end=end)


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
