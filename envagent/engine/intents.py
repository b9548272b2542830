"""Creating and removing objects in the cloud: exactly one per tag, through any crash.

The rules, in order:

1. The intent is on disk before the call that creates the object (`sent`).
2. The object carries its tag, the run's id and the intent's number, from the very request that creates it.
3. A stage that is entered again looks first and adopts what matches the request: a tag alone proves nothing, since
   anybody can copy it.
4. A request whose outcome is unknown may still take effect. It is sent again only after the settle window, and not
   forever.
5. Whatever else matches the request is surplus: it is removed, and the run waits until it is gone.
6. Whatever has the tag and does not match is foreign: it is reported and never touched.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from envagent.engine.clock import from_text, to_text
from envagent.engine.kinds import CreatableKind, Found, ObjectRequest, RequestT, ResourceKind, Try, object_text
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
from envagent.wire import LONGEST_CALL

REPEAT_DELETE = timedelta(seconds=15)
"""How long to wait before a delete is sent again."""

MOST_LOST = 5
"""How many requests for one object may go unanswered before a process gives up: do not flood a failing service."""

MOST_RECENT = 100
"""How many objects of other runs are read at most."""

_RECORDED = {
    Ownership.OWNED: (EventKind.RESOURCE_OWNED, "created"),
    Ownership.ADOPTED: (EventKind.RESOURCE_ADOPTED, "found and adopted"),
    Ownership.FOREIGN: (EventKind.RESOURCE_FOREIGN, "using"),
}
"""The event that records a resource, and the verb of its message."""


class Ledger:
    """The intents and resources of one run, for one entry of one stage.

    What must be on disk before a call is written immediately. What the call returned waits in `pending` for the
    stage's next checkpoint; if a crash comes first, adoption recovers it.

    Args:
        attempt: which attempt of the stage this is; 0 for a teardown.
        patience: how long a removal may take; None if the caller keeps the deadline.
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
            self.runtime.store(*self.pending)
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
        """Return the one object of (kind, number): already known, adopted, or created now by `make`.

        Returns:
            The object, or NotYet while an unanswered request may still take effect or a surplus object still exists.

        Raises:
            OutcomeUnknown: several requests in a row went unanswered and created nothing.
            EnvagentError: raised by `make`; nothing was created.
        """
        intent = self._inventory.intents.get((kind.name, number))
        if intent is not None and intent.state == IntentState.DONE and not self._is_removed(intent):
            return self._without_surplus(kind, intent)
        if intent is not None and intent.state == IntentState.SENT:
            now, steady = self._clock.now(), self._clock.steady()
            found = self._created(kind, {number})
            if found:
                return self._close(kind, intent, found[0], Ownership.ADOPTED, found)
            left = self._time_to_settle(intent, now, steady)
            if left > timedelta():
                return self._wait_for(intent, left)
            if self._inventory.lost[kind.name, number] >= MOST_LOST and intent.error is not None:
                self._inventory.lost[kind.name, number] = 0
                raise load_error(json.loads(intent.error))
        return self._send(kind, number, name, request, make)

    def remove(self, kind: ResourceKind, cloud_id: str, why: str = "") -> NotYet | None:
        """Remove one object of the run and verify that it is gone; return None once it is.

        A delete that has no effect is repeated until the ledger's patience ends. `why` is stored for the stage, which
        may be entered again by another process before the object is gone.

        Raises:
            ProvisioningError: the object is still there.
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
            self.note(EventKind.RESOURCE_REMOVING, f"removing {object_text(kind.name, row.name)}")
            self.pending.append(row)
            self.flush()
            # Busy, already being removed, or no response: only a look at the cloud can tell.
            with contextlib.suppress(Conflict, OutcomeUnknown):
                kind.delete(cloud_id)
            self._inventory.asked[kind.name, cloud_id] = now
        if kind.exists(cloud_id):
            began = self._inventory.removing.setdefault((kind.name, cloud_id), self._clock.steady())
            if self._patience is not None and self._clock.steady() - began >= self._patience.total_seconds():
                del self._inventory.removing[kind.name, cloud_id]
                raise ProvisioningError(
                    f"{object_text(kind.name, row.name)} ({cloud_id}) is still there "
                    f"{self._patience.total_seconds():.0f} s after its removal was requested"
                )
            return NotYet(f"removal of {object_text(kind.name, row.name)}", now + self._pause(), status="still there")
        row.state = ResourceState.ABSENT.value
        row.removed_at = to_text(self._clock.now())
        self.note(EventKind.RESOURCE_REMOVED, f"removed {object_text(kind.name, row.name)}")
        self.pending.append(row)
        return None

    def reconcile(self, kinds: Iterable[ResourceKind], *, act: bool = True) -> NotYet | None:
        """Compare the run's record with what the cloud shows, and correct the record.

        Objects that are gone or renamed are noted, tagged ones that do not match are disowned, and the surplus of a
        repeated request is removed. An object whose request is still unanswered is left to the stage that sent it.

        Args:
            kinds: the kinds to look at; one of which the run requested nothing costs no call.
            act: whether to remove surplus objects or only record them.

        Returns:
            None, or NotYet while a surplus object still exists.
        """
        for kind in kinds:
            if self._inventory.intents_of(kind.name):
                left = self._reconcile(kind, act=act)
                if left is not None:
                    return left
        return None

    def _reconcile(self, kind: ResourceKind, *, act: bool) -> NotYet | None:
        tagged = {one.id: one for one in kind.find(self._inventory.run_id)}
        for row in self._recorded(kind.name):
            found = tagged.pop(row.cloud_id, None)
            if found is not None:
                self._correct(row, found)
            elif row.state != ResourceState.ABSENT and not kind.exists(row.cloud_id):
                self.record_gone(kind.name, row.cloud_id)
        for found in tagged.values():
            intent = self._inventory.intents.get((kind.name, found.number))
            if intent is not None and intent.state == IntentState.SENT and self.owns(kind.name, found):
                continue
            if self.adopt(kind.name, found):
                self.note(
                    EventKind.WARNING,
                    f"{object_text(kind.name, found.name)} ({found.id}) was created by a repeated request "
                    "and is unused",
                )
        return self._remove_surplus(kind) if act else None

    def _recorded(self, kind: str) -> list[ResourceRecord]:
        """List the recorded objects of a kind that the run created."""
        return [one for one in self._inventory.resources if one.kind == kind and one.ownership != Ownership.FOREIGN]

    def record_found(self, kind: str, found: Found) -> None:
        """Record the current name and details of an object of the run."""
        row = self._inventory.resource(kind, found.id)
        if row is not None:
            self._correct(row, found)

    def _correct(self, row: ResourceRecord, found: Found) -> None:
        if row.state == ResourceState.ABSENT:
            row.state, row.removed_at = ResourceState.PRESENT.value, None
            known_as = object_text(row.kind, found.name)
            self.note(EventKind.WARNING, f"{known_as} ({row.cloud_id}) was recorded as gone but exists")
            self.pending.append(row)
        detail = {**json.loads(row.detail), **found.detail}
        if row.name != found.name:
            self.note(EventKind.WARNING, f"{object_text(row.kind, row.name)} was renamed to {found.name}")
        if (row.name, json.loads(row.detail)) != (found.name, detail):
            row.name, row.detail = found.name, json.dumps(detail)
            self.pending.append(row)

    def owns(self, kind: str, found: Found) -> bool:
        """Return whether a tagged object is what one of this run's requests asked for."""
        return self._mismatch(kind, found) is None

    def _mismatch(self, kind: str, found: Found) -> str | None:
        """Describe how an object differs from its request; None for an object of this run."""
        intent = self._inventory.intents.get((kind, found.number))
        if intent is None:
            return f"it never sent request {found.number}"
        if intent.cloud_id == found.id:
            return None  # the cloud itself named it in a response; its traits may have been changed since
        asked = {"name": intent.name, **json.loads(intent.request)}
        for trait, shown in found.traits.items():
            wanted = asked.get(trait)
            if shown is not None and wanted is not None and wanted != shown:
                return f"its {trait.removesuffix('_id').replace('_', ' ')} is {shown or 'none'}"
        return None

    def adopt(self, kind: str, found: Found) -> bool:
        """Record a tagged object whose id is in no intent.

        Returns:
            Whether it is the run's. One that does not match its request is recorded as foreign and reported once.
        """
        mismatch = self._mismatch(kind, found)
        if mismatch is None:
            if self._inventory.resource(kind, found.id) is None:
                self._record(kind, found, Ownership.ADOPTED)
            return True
        if self._inventory.resource(kind, found.id) is None:
            self.note(
                EventKind.WARNING,
                f"{object_text(kind, found.name)} ({found.id}) has the tag of run {self._inventory.run_id}, "
                f"but that run did not create it ({mismatch}); it is left alone",
            )
            self._record(kind, found, Ownership.FOREIGN)
        return False

    def record_gone(self, kind: str, cloud_id: str) -> None:
        """Record that an object no longer exists and that this run did not remove it."""
        row = self._inventory.resource(kind, cloud_id)
        if row is None or row.state == ResourceState.ABSENT:
            return
        row.state, row.removed_at = ResourceState.ABSENT.value, to_text(self._clock.now())
        self.note(EventKind.RESOURCE_GONE, f"{object_text(kind, row.name)} ({cloud_id}) is gone")
        self.pending.append(row)

    def is_gone(self, kind: str, cloud_id: str) -> bool:
        """Return whether an object that the run created or used is recorded as gone."""
        row = self._inventory.resource(kind, cloud_id)
        return row is not None and row.state == ResourceState.ABSENT

    def intents(self, kind: str) -> list[IntentRecord]:
        """List the run's intents of a kind."""
        return self._inventory.intents_of(kind)

    def use(self, kind: str, cloud_id: str, name: str) -> None:
        """Record an object that the run uses but did not create; teardown leaves it alone."""
        if self._inventory.resource(kind, cloud_id) is None:
            self._record(kind, Found(cloud_id, name, self._inventory.run_id, 0), Ownership.FOREIGN)

    def current(self, kind: CreatableKind[RequestT]) -> Try[RequestT] | None:
        """Return the try of a kind that has, or may have, an object: the one to continue after a restart."""
        for try_ in reversed(self.tries(kind)):
            if try_.state == IntentState.SENT or (try_.state == IntentState.DONE and not try_.removed):
                return try_
        return None

    def failed(self, kind: CreatableKind[RequestT]) -> list[Try[RequestT]]:
        """List this attempt's tries of a kind that were refused, or whose object was removed again."""
        return [
            try_
            for try_ in self.tries(kind)
            if try_.attempt == self._attempt and (try_.removed or try_.state == IntentState.REFUSED)
        ]

    def next_number(self, kind: str) -> int:
        """Return the number for the next try of a kind; no number is used twice."""
        return 1 + max((one.number for one in self._inventory.intents_of(kind)), default=0)

    def why_removing(self, kind: str, cloud_id: str) -> str | None:
        """Return why the run itself requested the removal of an object; None if it did not."""
        row = self._inventory.resource(kind, cloud_id)
        if row is None or row.state == ResourceState.PRESENT:
            return None
        why: str | None = json.loads(row.detail).get("why")  # missing if somebody else removed it
        return why

    def tries(self, kind: CreatableKind[RequestT]) -> list[Try[RequestT]]:
        """List the tries of a kind, oldest first, whichever stage made them."""
        return [self._try(kind, one) for one in sorted(self.intents(kind.name), key=lambda one: one.number)]

    def _try(self, kind: CreatableKind[RequestT], intent: IntentRecord) -> Try[RequestT]:
        row = None if intent.cloud_id is None else self._inventory.resource(intent.kind, intent.cloud_id)
        return Try(
            number=intent.number,
            name=intent.name,
            request=self._request(kind, intent),
            state=IntentState(intent.state),
            attempt=intent.attempt,
            removed=self._is_removed(intent),
            removed_at=None if row is None or row.removed_at is None else from_text(row.removed_at),
            error=None if intent.error is None else json.loads(intent.error)["message"],
            cloud_id=intent.cloud_id,
            detail={} if row is None else json.loads(row.detail),
            is_new=False,
        )

    def annotate(self, kind: str, cloud_id: str, detail: Mapping[str, Any]) -> None:
        """Add to what is recorded of an object; written with the next checkpoint, or before its removal."""
        row = self._inventory.resource(kind, cloud_id)
        if row is not None:
            row.detail = json.dumps({**json.loads(row.detail), **detail})
            self.pending.append(row)

    def recent(self, kind: str, key: str, since: datetime) -> list[dict[str, Any]]:
        """List what this journal's runs recorded under a key of objects of a kind since then, newest first."""
        found = self.runtime.journal.recent_resources(kind, key, to_text(since), limit=MOST_RECENT)
        details = [json.loads(one.detail) for one in found]
        return [one[key] for one in details if key in one]

    def _request(self, kind: CreatableKind[RequestT], intent: IntentRecord) -> RequestT:
        try:
            return kind.request.model_validate_json(intent.request)
        except ValidationError as error:
            raise no_longer_fits(intent.run_id, f"request for {intent.name}", error) from None

    def _is_removed(self, intent: IntentRecord) -> bool:
        row = None if intent.cloud_id is None else self._inventory.resource(intent.kind, intent.cloud_id)
        return row is not None and row.state == ResourceState.ABSENT

    def _time_to_settle(self, intent: IntentRecord, now: datetime, steady: float) -> timedelta:
        """Return how long a sent intent's object may still appear; record when its window opened, if nobody has.

        Each advance by a worker is a first look; without the record, the window would begin again with each.
        """
        left = time_to_settle(intent, self._inventory, self.runtime.settle, now, steady)
        if left > timedelta() and intent.error is None:
            lost = OutcomeUnknown("the process that sent the request has ended without a response")
            intent.sent_at = to_text(now - (self.runtime.settle - left))
            intent.error = json.dumps(dump_error(lost))
            self.pending.append(intent)
        return left

    def _wait_for(self, intent: IntentRecord, left: timedelta) -> NotYet:
        now = self._clock.now()
        return NotYet(_outcome_of(intent), now + min(self._pause(), left), now + left, "unknown")

    def _pause(self) -> timedelta:
        """Return the time between two looks at the cloud: short compared with the settle window."""
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
        before = self._inventory.intents.get((kind.name, number))
        lost = before is not None and before.state == IntentState.SENT
        intent = self._store_sent(kind.name, number, name, request)
        try:
            found = make()
        except OutcomeUnknown as error:
            return self._unanswered(intent, error)
        except EnvagentError as error:
            late = self._created(kind, {number}) if lost else []
            if late:  # an earlier request took effect after all, which may be why this one was refused
                return self._close(kind, intent, late[0], Ownership.ADOPTED, late)
            self._refused(intent, error)
            raise
        # If this look fails, the intent stays as sent, and the next entry finds what exists.
        there = self._created(kind, self._sent_twice(kind)) if intent.sends > 1 else []
        return self._close(kind, intent, found, Ownership.OWNED, there)

    def _store_sent(self, kind: str, number: int, name: str, request: ObjectRequest) -> IntentRecord:
        """Write the intent to disk, before its request goes out."""
        now = to_text(self._clock.now())
        intent = self._inventory.intents.get((kind, number))
        if intent is None:
            intent = IntentRecord(
                run_id=self._inventory.run_id,
                stage=self._stage,
                kind=kind,
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
        self.note(EventKind.INTENT_SENT, f"requesting {object_text(kind, name)}")
        self.pending.append(intent)
        self.flush()
        self._inventory.intents[kind, number] = intent
        return intent

    def _unanswered(self, intent: IntentRecord, error: OutcomeUnknown) -> NotYet:
        """Record that a request got no response."""
        intent.sent_at, intent.error = to_text(self._clock.now()), json.dumps(dump_error(error))
        self._inventory.given_up[intent.kind, intent.number] = self._clock.steady()
        self._inventory.lost[intent.kind, intent.number] += 1
        self.pending.append(intent)
        what = f"outcome of the request for {object_text(intent.kind, intent.name)} unknown: {error.message}"
        self.note(EventKind.OUTCOME_UNKNOWN, what)
        return NotYet(_outcome_of(intent), self._clock.now(), status="unknown")

    def _refused(self, intent: IntentRecord, error: EnvagentError) -> None:
        """Record that a request was refused, and changed nothing."""
        intent.state = IntentState.REFUSED.value
        if error.retryable:
            intent.attempt = 0  # it never reached the service: the next entry sends it again
        intent.error = json.dumps(dump_error(error))
        self.note(EventKind.INTENT_REFUSED, f"{object_text(intent.kind, intent.name)} refused: {error.message}")
        self.pending.append(intent)

    def _created(self, kind: ResourceKind, numbers: Collection[int]) -> list[Found]:
        """List what the requests with these numbers created; disown what is tagged and does not match."""
        tagged = [one for one in kind.find(self._inventory.run_id) if one.number in numbers]
        ours = [one for one in tagged if self.owns(kind.name, one)]
        for foreign in tagged:
            if foreign not in ours:
                self.adopt(kind.name, foreign)
        return ours

    def _sent_twice(self, kind: ResourceKind) -> set[int]:
        """List the numbers that were requested more than once."""
        return {one.number for one in self._inventory.intents_of(kind.name) if one.sends > 1}

    def _close(
        self, kind: ResourceKind, intent: IntentRecord, found: Found, ownership: Ownership, there: Sequence[Found]
    ) -> Found | NotYet:
        """Settle on an object; the others that exist are surplus."""
        intent.state, intent.cloud_id = IntentState.DONE.value, found.id
        self.pending.append(intent)
        self._record(kind.name, found, ownership)
        for surplus in there:
            self.adopt(kind.name, surplus)
        return self._without_surplus(kind, intent)

    def _without_surplus(self, kind: ResourceKind, intent: IntentRecord) -> Found | NotYet:
        """Return an intent's object once no surplus is left."""
        return self._remove_surplus(kind) or self._known(intent)

    def _remove_surplus(self, kind: ResourceKind) -> NotYet | None:
        """Remove adopted objects that are in no intent."""
        known = {one.cloud_id for one in self._inventory.intents_of(kind.name)}
        for row in self._recorded(kind.name):
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
        elif row.state == ResourceState.ABSENT:  # a keypair that is created again keeps its name, and so its row
            row.stage, row.ownership, row.state, row.removed_at = self._stage, ownership.value, "present", None
        self.pending.append(row)
        event, verb = _RECORDED[ownership]
        self.note(event, f"{verb} {object_text(kind, found.name)}", {"kind": kind, "id": found.id})

    def _known(self, intent: IntentRecord) -> Found:
        row = self._inventory.resource(intent.kind, intent.cloud_id or "")
        if row is None:
            raise AssertionError(f"intent {intent.id} is done and its resource is not recorded")
        return Found(row.cloud_id, row.name, row.run_id, intent.number, json.loads(row.detail))


def _outcome_of(intent: IntentRecord) -> str:
    """Name what is waited for when a request got no response."""
    return f"the outcome of the request for {object_text(intent.kind, intent.name)}"


def dump_error(error: EnvagentError) -> dict[str, Any]:
    """Return an error as the journal stores it."""
    return {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint.dump(),
        "service_said": error.service_said,
        "request_id": error.request_id,
        "exit_code": error.exit_code,
    }


def load_error(stored: Mapping[str, Any]) -> EnvagentError:
    """Recreate an error from what the journal stored."""
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


def time_to_settle(
    intent: IntentRecord, inventory: Inventory, settle: timedelta, now: datetime, steady: float
) -> timedelta:
    """Return how long after a look a sent intent's object may still appear; at zero its absence can be relied on.

    The settle window opens when the process stops waiting for the response. A process that died during the call left
    no such time: the window then opens at this process's first look, or LONGEST_CALL after the request if that is
    earlier. From then on the steady clock counts, so that setting the wall clock neither opens nor closes a window.

    Args:
        intent: a sent one.
        inventory: of the intent's run; it keeps when the window opened.
        settle: the length of the window.
        now: when the look began.
        steady: the same moment on the steady clock.
    """
    opened = inventory.given_up.get((intent.kind, intent.number))
    if opened is None:
        since = now - from_text(intent.sent_at)
        if intent.error is None:
            since -= timedelta(seconds=LONGEST_CALL)
        opened = inventory.given_up[intent.kind, intent.number] = steady - max(since, timedelta()).total_seconds()
    return settle - timedelta(seconds=steady - opened)
