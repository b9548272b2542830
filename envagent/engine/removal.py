"""Teardown: remove everything that a run created and verify that nothing is left.

It trusts the cloud, not the journal: it removes what the journal names, and what the cloud shows with the run's tag if
it matches one of the run's requests. It can be killed and restarted at any point. A run whose teardown has started is
never resumed; one that is torn down is checked again while one of its requests may still take effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from envagent.engine.clock import to_text
from envagent.engine.intents import Ledger, time_to_settle
from envagent.engine.journal import Journal
from envagent.engine.kinds import CHANGE, ResourceKind
from envagent.engine.loaded_run import Inventory
from envagent.engine.runtime import Runtime
from envagent.engine.tables import (
    EventKind,
    EventRecord,
    IntentState,
    Ownership,
    ResourceRecord,
    ResourceState,
    RunRecord,
    RunState,
)
from envagent.errors import EnvagentError, LeftoversExist

STAGE = "teardown"


class Teardown:
    """Removes what one run created. The caller holds the run's lock.

    Args:
        kinds: in the order of removal: dependent objects first.
    """

    def __init__(self, runtime: Runtime, kinds: Sequence[ResourceKind]) -> None:
        self._runtime = runtime
        self._journal = runtime.journal
        self._clock = runtime.clock
        self._kinds = kinds

    def run(self, row: RunRecord) -> list[ResourceRecord]:
        """Remove everything of the run.

        Returns:
            What this teardown removed; what somebody else had removed before is left out.

        Raises:
            LeftoversExist: objects are still there at the deadline; the message names them with their ids.
            Stopped: the stop was asked for.
            EnvagentError: the cloud cannot be asked.
        """
        if row.state == RunState.TORN_DOWN and not in_doubt(self._journal, row.run_id):
            return []
        begin_teardown(self._runtime, row)
        inventory = Inventory.load(self._journal, row.run_id)
        before = {(one.kind, one.cloud_id) for one in inventory.resources if one.state == ResourceState.ABSENT}
        ledger = Ledger(self._runtime, inventory, STAGE)
        for kind in self._kinds:
            self._remove_kind(kind, inventory, ledger, wait=row.state != RunState.TORN_DOWN)
        if row.state != RunState.TORN_DOWN:
            row.state = RunState.TORN_DOWN.value
            _save(self._runtime, row, EventKind.RUN_TORN_DOWN)
        return [
            one
            for one in inventory.resources
            if one.state == ResourceState.ABSENT
            and (one.kind, one.cloud_id) not in before
            and (one.kind, one.cloud_id) in inventory.asked
        ]

    def preview(self, row: RunRecord) -> list[ResourceRecord]:
        """List what a teardown would remove now, as the cloud shows it; nothing is removed or recorded.

        Raises:
            EnvagentError: the cloud cannot be asked.
        """
        inventory = Inventory.load(self._journal, row.run_id)
        ledger = Ledger(replace(self._runtime, listener=None), inventory, STAGE)
        listed = []
        for kind in self._kinds:
            self._runtime.check_stop()
            ours, shown = self._look(kind, inventory, ledger)
            listed += [one for one in ours if one.cloud_id in shown or kind.exists(one.cloud_id)]
        return listed

    def _remove_kind(self, kind: ResourceKind, inventory: Inventory, ledger: Ledger, *, wait: bool) -> None:
        """Remove a kind's objects; `wait` for those that an unanswered request may still create."""
        timeout = self._runtime.removal_timeout.total_seconds()
        deadline = self._clock.steady() + timeout
        pause, trouble = 0.0, None
        while True:
            self._runtime.check_stop()
            now, steady = self._clock.now(), self._clock.steady()
            try:
                left = self._remove_once(kind, inventory, ledger)
                trouble = None
            except EnvagentError as error:
                if not error.retryable:
                    raise
                left, trouble = None, error
            ledger.flush()
            settled = not wait or self._is_settled(kind, inventory, now, steady)
            if left == [] and settled:
                return
            if self._clock.steady() >= deadline and settled:
                if left is None and trouble is not None:
                    raise trouble
                named = ", ".join(f"{one.kind} {one.name} ({one.cloud_id})" for one in left or ())
                raise LeftoversExist(f"still there {timeout:.0f} s after their removal was requested: {named}")
            pause = min(5.0, pause * 1.5 + 0.25)
            self._clock.sleep(pause, self._runtime.stop)

    def _remove_once(self, kind: ResourceKind, inventory: Inventory, ledger: Ledger) -> list[ResourceRecord]:
        """Request the removal of all that is known or found; return what is still there."""
        left = []
        ours, shown = self._look(kind, inventory, ledger)
        for one in ours:
            if one.state == ResourceState.PRESENT and one.cloud_id not in shown and not kind.exists(one.cloud_id):
                ledger.record_gone(kind.name, one.cloud_id)
            elif ledger.remove(kind, one.cloud_id) is not None:
                left.append(one)
        return left

    def _look(
        self, kind: ResourceKind, inventory: Inventory, ledger: Ledger
    ) -> tuple[list[ResourceRecord], frozenset[str]]:
        """List the run's objects that may exist, and the ids of those that the cloud shows."""
        shown = [one for one in kind.find(inventory.run_id) if ledger.adopt(kind.name, one)]
        for found in shown:
            row = inventory.resource(kind.name, found.id)
            if row is not None and row.state == ResourceState.ABSENT:
                row.state = ResourceState.PRESENT.value  # recorded as gone, but it exists
        ours = [
            one
            for one in inventory.resources
            if one.kind == kind.name and one.ownership != Ownership.FOREIGN and one.state != ResourceState.ABSENT
        ]
        return ours, frozenset(one.id for one in shown)

    def _is_settled(self, kind: ResourceKind, inventory: Inventory, now: datetime, steady: float) -> bool:
        """Return whether, as of a look, no unanswered request can still create an object."""
        sent = [one for one in inventory.intents_of(kind.name) if one.state == IntentState.SENT]
        return all(time_to_settle(one, inventory, self._runtime.settle, now, steady) <= timedelta() for one in sent)


def begin_teardown(runtime: Runtime, row: RunRecord) -> None:
    """Take a run for its removal, and record that: from then on it is never resumed.

    Raises:
        RunMoved: another journal has it.
    """
    runtime.journal.take(row)
    if row.teardown_at is None:
        row.teardown_at = to_text(runtime.clock.now())
        _save(runtime, row, EventKind.TEARDOWN_STARTED)


def _save(runtime: Runtime, row: RunRecord, event: EventKind) -> None:
    now = to_text(runtime.clock.now())
    row.updated_at = now
    runtime.store(row, events=[EventRecord(run_id=row.run_id, at=now, kind=event, stage=STAGE)])


def in_doubt(journal: Journal, run_id: str) -> bool:
    """Return whether a request may have created something unnoticed: it was sent twice or never answered."""
    creations = (one for one in journal.intents(run_id) if not one.kind.startswith(CHANGE))
    return any(one.sends > 1 or one.state == IntentState.SENT for one in creations)
