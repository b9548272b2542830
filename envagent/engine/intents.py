"""Making and removing things in the outside world: exactly one per mark, through any crash.

The rules, in order:

1. the intent is on disk before the call that makes the object (`sent`);
2. what is made carries the run's id and the intent's number, inside the very request that makes it;
3. whoever enters again looks first, and adopts what fits the request: a tag alone is no proof, anybody can copy it;
4. none may still be on its way: only after the settle window is the request sent again, and not for ever;
5. what fits and was made besides is surplus: it is removed, and the run waits until it is gone;
6. what carries the tag and does not fit is foreign: reported, and never touched.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from envagent.engine.clock import from_text, to_text
from envagent.engine.kinds import CreatableKind, Found, ObjectRequest, RequestT, ResourceKind, Try
from envagent.engine.loaded_run import Inventory, no_longer_fits
from envagent.engine.runtime import Runtime
from envagent.engine.step import NotYet
from envagent.engine.tables import (
    EventKind,
    EventRecord,
    IntentRecord,
    IntentState,
    Ownership,
    Record,
    ResourceRecord,
    ResourceState,
)
from envagent.errors import Conflict, EnvagentError, OutcomeUnknown, ProvisioningError
from envagent.hints import Hint

REPEAT_DELETE = timedelta(seconds=15)
"""How long a delete is given before it is asked for again."""

LONGEST_CALL = timedelta(minutes=10)
"""No process waits longer for one answer."""

MOST_LOST = 5
"""How many requests for one object a process loses before it gives up: a service that answers none is not pestered."""


_RECORDED = {
    Ownership.OWNED: (EventKind.RESOURCE_OWNED, "made"),
    Ownership.ADOPTED: (EventKind.RESOURCE_ADOPTED, "found and adopted"),
    Ownership.FOREIGN: (EventKind.RESOURCE_FOREIGN, "using"),
}
"""The event, and the verb of its message, with which a resource is put on record."""


class Ledger:
    """The intents and resources of one run, for one stage that is being entered.

    What must be on disk before a call is written at once; what the call brought waits in `pending` for the stage's
    next checkpoint, which follows at once or is replaced by adoption after a crash.

    Args:
        attempt: which attempt of the stage this is; 0 for a teardown.
        patience: how long a removal may take; None where the caller sets the deadline.
    """

    def __init__(
        self,
        runtime: Runtime,
        inventory: Inventory,
        stage: str,
        *,
        attempt: int = 0,
        patience: timedelta | None = None,
    ) -> None:
        self.runtime = runtime
        self._inventory = inventory
        self._clock = runtime.clock
        self._stage = stage
        self._attempt = attempt
        self._patience = patience
        self.pending: list[Record] = []

    def flush(self) -> None:
        """Write what is pending."""
        if self.pending:
            with self.runtime.journal.transaction() as transaction:
                transaction.save(*self.pending)
            self.pending.clear()

    def note(self, kind: EventKind, message: str, detail: Mapping[str, Any] | None = None) -> None:
        """Add a line to the run's event log."""
        line = EventRecord(
            run_id=self._inventory.run_id,
            at=to_text(self._clock.now()),
            kind=kind,
            stage=self._stage,
            message=message,
            detail="{}" if detail is None else json.dumps(dict(detail), default=str),
        )
        self.pending.append(line)
        self.runtime.announce(line)

    def create(
        self,
        kind: CreatableKind[RequestT],
        number: int,
        name: str,
        request: RequestT,
        make: Callable[[], Found],
    ) -> Found | NotYet:
        """Have exactly one object of (kind, number): known, adopted, or made now by `make`.

        Returns:
            The object, or NotYet while a lost request may still be on its way or a surplus object is still there.

        Raises:
            OutcomeUnknown: one request after the other was lost, and nothing has come of them.
            EnvagentError: what `make` raised: nothing was made.
        """
        intent = self._inventory.intents.get((kind.name, number))
        if intent is not None and intent.state == IntentState.DONE and not self._is_removed(intent):
            return self._alone(kind, intent)
        if intent is not None and intent.state == IntentState.SENT:
            now, steady = self._clock.now(), self._clock.steady()
            found = self._made(kind, {number})
            if found:
                return self._close(kind, intent, found[0], Ownership.ADOPTED, found)
            left = unsettled(intent, self._inventory, self.runtime.settle, now, steady)
            if left > timedelta():
                return self._wait_for(intent, left)
            if self._inventory.lost[kind.name, number] >= MOST_LOST and intent.error is not None:
                self._inventory.lost[kind.name, number] = 0
                raise revive(json.loads(intent.error))
        return self._send(kind, number, name, request, make)

    def remove(self, kind: ResourceKind, cloud_id: str, why: str = "") -> NotYet | None:
        """Remove one object of the run and prove that it is gone; None once it is.

        A delete that the service answers without doing it is asked for again, until the ledger's patience is at its
        end. `why` is remembered for the stage that comes back when the object is gone.

        Raises:
            ProvisioningError: the object does not go.
        """
        row = self._inventory.resource(kind.name, cloud_id)
        if row is None or row.state == ResourceState.ABSENT:
            return None
        now = self._clock.now()
        asked = self._inventory.asked.get((kind.name, cloud_id))
        if row.state == ResourceState.PRESENT or asked is None or abs(now - asked) > REPEAT_DELETE:
            self.runtime.check_stop()
            row.state = ResourceState.REMOVING.value
            known = json.loads(row.detail)
            row.detail = json.dumps({**known, "why": why or known.get("why", "")})
            self.note(EventKind.RESOURCE_REMOVING, f"removing {kind.name} {row.name}")
            self.pending.append(row)
            self.flush()
            # Busy, being removed already, or an answer that never came: only looking tells.
            with contextlib.suppress(Conflict, OutcomeUnknown):
                kind.delete(cloud_id)
            self._inventory.asked[kind.name, cloud_id] = now
        if kind.exists(cloud_id):
            began = self._inventory.removing.setdefault((kind.name, cloud_id), self._clock.steady())
            if self._patience is not None and self._clock.steady() - began >= self._patience.total_seconds():
                del self._inventory.removing[kind.name, cloud_id]
                raise ProvisioningError(
                    f"{kind.name} {row.name} ({cloud_id}) is still there {self._patience.total_seconds():.0f} s after "
                    "its removal was asked for"
                )
            return NotYet(f"removal of {kind.name} {row.name}", now + self._pause(), status="still there")
        row.state = ResourceState.ABSENT.value
        row.removed_at = to_text(self._clock.now())
        self.note(EventKind.RESOURCE_REMOVED, f"removed {kind.name} {row.name}")
        self.pending.append(row)
        return None

    def reconcile(self, kinds: Iterable[ResourceKind], *, act: bool = True) -> NotYet | None:
        """Compare what the run has on record with what the cloud shows, and correct the record.

        What is gone or renamed is noted, what is tagged and does not fit is disowned, and what a repeated request
        made besides is removed. An object whose request is still unanswered is left to the stage that sent it.

        Args:
            kinds: the kinds to look at; those that were never asked for cost no request.
            act: whether to remove the surplus; without, it is only recorded.

        Returns:
            None, or NotYet while a surplus object is still there.
        """
        asked = {name for name, _ in self._inventory.intents}
        for kind in kinds:
            if kind.name in asked:
                left = self._reconcile(kind, act=act)
                if left is not None:
                    return left
        return None

    def _reconcile(self, kind: ResourceKind, *, act: bool) -> NotYet | None:
        tagged = {one.id: one for one in kind.find(self._inventory.run_id)}
        for row in self._held(kind.name):
            found = tagged.pop(row.cloud_id, None)
            if found is not None:
                self._correct(row, found)
            elif row.state != ResourceState.ABSENT and not kind.exists(row.cloud_id):
                self.gone(kind.name, row.cloud_id)
        for found in tagged.values():
            intent = self._inventory.intents.get((kind.name, found.number))
            if intent is not None and intent.state == IntentState.SENT and self.owns(kind.name, found):
                continue
            if self.adopt(kind.name, found):
                self.note(
                    EventKind.WARNING, f"{kind.name} {found.name} ({found.id}) was made by a repeated request; unused"
                )
        return self._remove_surplus(kind) if act else None

    def _held(self, kind: str) -> list[ResourceRecord]:
        """List what the run made of a kind, as far as it is on record."""
        return [one for one in self._inventory.resources if one.kind == kind and one.ownership != Ownership.FOREIGN]

    def seen(self, kind: str, found: Found) -> None:
        """Put on record how an object of the run is now."""
        row = self._inventory.resource(kind, found.id)
        if row is not None:
            self._correct(row, found)

    def _correct(self, row: ResourceRecord, found: Found) -> None:
        if row.state == ResourceState.ABSENT:
            row.state, row.removed_at = ResourceState.PRESENT.value, None
            self.note(EventKind.WARNING, f"{row.kind} {found.name} ({row.cloud_id}) was believed gone and is there")
            self.pending.append(row)
        detail = {**json.loads(row.detail), **found.detail}
        if row.name != found.name:
            self.note(EventKind.WARNING, f"{row.kind} {row.name} was renamed to {found.name}")
        if (row.name, json.loads(row.detail)) != (found.name, detail):
            row.name, row.detail = found.name, json.dumps(detail)
            self.pending.append(row)

    def owns(self, kind: str, found: Found) -> bool:
        """Tell whether a tagged object is what one of this run's requests asked for."""
        return self._mismatch(kind, found) is None

    def _mismatch(self, kind: str, found: Found) -> str | None:
        """Say what an object shows that its request did not ask for; None for an object of this run."""
        intent = self._inventory.intents.get((kind, found.number))
        if intent is None:
            return f"try {found.number} was never sent"
        if intent.cloud_id == found.id:
            return None  # the cloud's own answer named it; what it was asked to be may have changed since
        asked = {"name": intent.name, **json.loads(intent.request)}
        for trait, shown in found.traits.items():
            wanted = asked.get(trait)
            if shown is not None and wanted is not None and wanted != shown:
                return f"its {trait.removesuffix('_id').replace('_', ' ')} is {shown or 'none'}"
        return None

    def adopt(self, kind: str, found: Found) -> bool:
        """Record a tagged object that no intent knows by its id.

        Returns:
            Whether it is the run's. One that does not fit its request is recorded as foreign, and reported once.
        """
        mismatch = self._mismatch(kind, found)
        if mismatch is None:
            if self._inventory.resource(kind, found.id) is None:
                self._record(kind, found, Ownership.ADOPTED)
            return True
        if self._inventory.resource(kind, found.id) is None:
            self.note(
                EventKind.WARNING,
                f"{kind} {found.name} ({found.id}) carries the tag of run {self._inventory.run_id}, "
                f"but this run did not make it ({mismatch}); it is left alone",
            )
            self._record(kind, found, Ownership.FOREIGN)
        return False

    def gone(self, kind: str, cloud_id: str) -> None:
        """Record that an object is no longer there and that this run did not remove it."""
        row = self._inventory.resource(kind, cloud_id)
        if row is None or row.state == ResourceState.ABSENT:
            return
        row.state, row.removed_at = ResourceState.ABSENT.value, to_text(self._clock.now())
        self.note(EventKind.RESOURCE_GONE, f"{kind} {row.name} ({cloud_id}) is gone")
        self.pending.append(row)

    def is_gone(self, kind: str, cloud_id: str) -> bool:
        """Tell whether an object that the run made or used is known to be gone."""
        row = self._inventory.resource(kind, cloud_id)
        return row is not None and row.state == ResourceState.ABSENT

    def intents(self, kind: str) -> list[IntentRecord]:
        """List the run's intents of a kind."""
        return [one for one in self._inventory.intents.values() if one.kind == kind]

    def use(self, kind: str, cloud_id: str, name: str) -> None:
        """Record an object that the run uses and did not make; teardown leaves it alone."""
        if self._inventory.resource(kind, cloud_id) is None:
            self._record(kind, Found(cloud_id, name, self._inventory.run_id, 0), Ownership.FOREIGN)

    def current(self, kind: CreatableKind[RequestT]) -> Try[RequestT] | None:
        """Give the try of a kind that may have, or has, an object: the one to go on with after a restart."""
        for try_ in reversed(self._tries(kind)):
            if try_.state == IntentState.SENT or (try_.state == IntentState.DONE and not try_.removed):
                return try_
        return None

    def failed(self, kind: CreatableKind[RequestT]) -> list[Try[RequestT]]:
        """List this attempt's tries of a kind that were refused, or made and removed again."""
        return [
            try_
            for try_ in self._tries(kind)
            if try_.attempt == self._attempt and (try_.removed or try_.state == IntentState.REFUSED)
        ]

    def next_number(self, kind: str) -> int:
        """Give the number for the next try of a kind; none is used twice."""
        return 1 + max((number for name, number in self._inventory.intents if name == kind), default=0)

    def why_removing(self, kind: str, cloud_id: str) -> str | None:
        """Give the reason for which the run itself has asked for the removal of an object; None if it has not."""
        row = self._inventory.resource(kind, cloud_id)
        if row is None or row.state == ResourceState.PRESENT:
            return None
        why: str | None = json.loads(row.detail).get("why")  # not there where somebody else removed it
        return why

    def _tries(self, kind: CreatableKind[RequestT]) -> list[Try[RequestT]]:
        return [
            Try(
                number=one.number,
                name=one.name,
                request=self._request(kind, one),
                state=IntentState(one.state),
                attempt=one.attempt,
                removed=self._is_removed(one),
                error=None if one.error is None else json.loads(one.error)["message"],
            )
            for one in sorted(self.intents(kind.name), key=lambda one: one.number)
        ]

    def _request(self, kind: CreatableKind[RequestT], intent: IntentRecord) -> RequestT:
        try:
            return kind.request.model_validate_json(intent.request)
        except ValidationError as error:
            raise no_longer_fits(intent.run_id, f"request for {intent.name}", error) from None

    def _is_removed(self, intent: IntentRecord) -> bool:
        row = None if intent.cloud_id is None else self._inventory.resource(intent.kind, intent.cloud_id)
        return row is not None and row.state == ResourceState.ABSENT

    def _wait_for(self, intent: IntentRecord, left: timedelta) -> NotYet:
        now = self._clock.now()
        wait = f"a lost request for {intent.kind} {intent.name} to show"
        return NotYet(wait, now + min(self._pause(), left), now + left, "not seen")

    def _pause(self) -> timedelta:
        """Give the time between two looks for what comes or goes: short beside the settle window."""
        return max(self.runtime.settle / 20, timedelta(milliseconds=50))

    def _send(
        self,
        kind: ResourceKind,
        number: int,
        name: str,
        request: ObjectRequest,
        make: Callable[[], Found],
    ) -> Found | NotYet:
        self.runtime.check_stop()
        now = to_text(self._clock.now())
        intent = self._inventory.intents.get((kind.name, number))
        lost = intent is not None and intent.state == IntentState.SENT
        if intent is None:
            intent = IntentRecord(
                run_id=self._inventory.run_id,
                stage=self._stage,
                kind=kind.name,
                number=number,
                name=name,
                request="",
                state=IntentState.SENT.value,
                attempt=self._attempt,
                sent_at=now,
            )
        intent.name, intent.request = name, request.model_dump_json(exclude_unset=True)
        intent.state, intent.attempt, intent.sent_at = IntentState.SENT.value, self._attempt, now
        intent.sends += 1
        intent.error = None
        self.note(EventKind.INTENT_SENT, f"asking for {kind.name} {name}")
        self.pending.append(intent)
        self.flush()
        self._inventory.intents[kind.name, number] = intent
        try:
            found = make()
        except OutcomeUnknown as error:
            intent.sent_at, intent.error = to_text(self._clock.now()), json.dumps(describe(error))
            self._inventory.given_up[kind.name, number] = self._clock.steady()
            self._inventory.lost[kind.name, number] += 1
            self.pending.append(intent)
            self.note(
                EventKind.OUTCOME_UNKNOWN, f"no usable answer to the request for {kind.name} {name}: {error.message}"
            )
            return NotYet(f"a lost request for {kind.name} {name} to show", self._clock.now(), status="not seen")
        except EnvagentError as error:
            late = self._made(kind, {number}) if lost else []
            if late:  # an earlier request came through after all, which may be why this one was refused
                return self._close(kind, intent, late[0], Ownership.ADOPTED, late)
            intent.state = IntentState.REFUSED.value
            if error.retryable:
                intent.attempt = 0  # never reached the service: the next entry sends it again
            intent.error = json.dumps(describe(error))
            self.note(EventKind.INTENT_REFUSED, f"{kind.name} {name} refused: {error.message}")
            self.pending.append(intent)
            raise
        # A look that fails leaves the intent as sent: whoever enters again finds what there is.
        there = self._made(kind, self._repeated(kind)) if intent.sends > 1 else []
        return self._close(kind, intent, found, Ownership.OWNED, there)

    def _made(self, kind: ResourceKind, numbers: Collection[int]) -> list[Found]:
        """List what there is of some numbers' requests; what is tagged and does not fit is disowned."""
        tagged = [one for one in kind.find(self._inventory.run_id) if one.number in numbers]
        ours = [one for one in tagged if self.owns(kind.name, one)]
        for foreign in tagged:
            if foreign not in ours:
                self.adopt(kind.name, foreign)
        return ours

    def _repeated(self, kind: ResourceKind) -> set[int]:
        """List the numbers that were asked for more than once."""
        intents = self._inventory.intents
        return {number for (name, number), one in intents.items() if name == kind.name and one.sends > 1}

    def _close(
        self, kind: ResourceKind, intent: IntentRecord, found: Found, ownership: Ownership, there: Sequence[Found]
    ) -> Found | NotYet:
        """Settle on an object; what else is there was asked for as well, and nobody uses it."""
        intent.state, intent.cloud_id = IntentState.DONE.value, found.id
        self.pending.append(intent)
        self._record(kind.name, found, ownership)
        for surplus in there:
            self.adopt(kind.name, surplus)
        return self._alone(kind, intent)

    def _alone(self, kind: ResourceKind, intent: IntentRecord) -> Found | NotYet:
        """Return an intent's object, once no surplus is left."""
        return self._remove_surplus(kind) or self._known(intent)

    def _remove_surplus(self, kind: ResourceKind) -> NotYet | None:
        """Remove what no intent knows, however often that must be asked for."""
        known = {one.cloud_id for one in self._inventory.intents.values() if one.kind == kind.name}
        for row in self._held(kind.name):
            if row.ownership == Ownership.ADOPTED and row.cloud_id not in known:
                left = self.remove(kind, row.cloud_id)
                if left is not None:
                    return left
        return None

    def _record(self, kind: str, found: Found, ownership: Ownership) -> None:
        row = self._inventory.resource(kind, found.id)
        if row is None:
            row = ResourceRecord(
                run_id=self._inventory.run_id,
                stage=self._stage,
                kind=kind,
                cloud_id=found.id,
                name=found.name,
                ownership=ownership.value,
                state=ResourceState.PRESENT.value,
                created_at=to_text(self._clock.now()),
                detail=json.dumps(dict(found.detail)),
            )
            self._inventory.resources.append(row)
        elif row.state == ResourceState.ABSENT:  # a keypair that is made again keeps its name, and so its row
            row.stage, row.ownership, row.state, row.removed_at = self._stage, ownership.value, "present", None
        self.pending.append(row)
        event, verb = _RECORDED[ownership]
        self.note(event, f"{verb} {kind} {found.name}", {"kind": kind, "id": found.id})

    def _known(self, intent: IntentRecord) -> Found:
        row = self._inventory.resource(intent.kind, intent.cloud_id or "")
        if row is None:
            raise AssertionError(f"intent {intent.id} is done and its resource is not recorded")
        return Found(row.cloud_id, row.name, row.run_id, intent.number, json.loads(row.detail))


def describe(error: EnvagentError) -> dict[str, Any]:
    """Write an error as the journal stores it."""
    return {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint.dump(),
        "service_said": error.service_said,
        "request_id": error.request_id,
        "exit_code": error.exit_code,
    }


def revive(stored: Mapping[str, Any]) -> EnvagentError:
    """Make an error again from what the journal stored."""
    found: type[EnvagentError] = EnvagentError
    pending: list[type[EnvagentError]] = [EnvagentError]
    while pending:
        candidate = pending.pop()
        if candidate.__name__ == stored["error"]:
            found = candidate
        pending.extend(candidate.__subclasses__())
    return found(
        stored["message"],
        hint=Hint.load(stored.get("hint")),
        service_said=stored.get("service_said"),
        request_id=stored.get("request_id"),
    )


def unsettled(intent: IntentRecord, inventory: Inventory, settle: timedelta, now: datetime, steady: float) -> timedelta:
    """Tell how long after a look a sent intent's object may still appear; at zero its absence may be believed.

    The window opens when the answer was given up. A process that died in the call cannot say when that was: for what
    it had sent, the window opens at the first look of this process, unless that is very long after. From then on the
    steady clock counts, so that setting the clock neither opens nor closes a window.

    Args:
        now: when the look began.
        steady: the same moment on the steady clock.
    """
    opened = inventory.given_up.get((intent.kind, intent.number))
    if opened is None:
        since = now - from_text(intent.sent_at)
        if intent.error is None:
            since -= LONGEST_CALL
        opened = inventory.given_up[intent.kind, intent.number] = steady - max(since, timedelta()).total_seconds()
    return settle - timedelta(seconds=steady - opened)
