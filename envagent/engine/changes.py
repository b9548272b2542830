"""Changing an object of a run in the cloud: once, through any crash.

The request names the state to reach, so that repeating it changes nothing more. It is on disk before it is sent; one
whose response was lost is looked for in the object itself, and is sent again only after the settle window.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from envagent.engine.intents import Ledger
from envagent.engine.kinds import ObjectRequest
from envagent.engine.step import NotYet
from envagent.engine.tables import IntentRecord, IntentState
from envagent.errors import EnvagentError, OutcomeUnknown


class ChangeLedger(Ledger):
    """A ledger that also changes objects."""

    def change(
        self,
        kind: str,
        number: int,
        name: str,
        request: ObjectRequest,
        send: Callable[[], None],
        took_effect: Callable[[], bool],
    ) -> NotYet | None:
        """Change an object of the run.

        Args:
            kind: the kind of change: `CHANGE` and the kind of the object.
            number: of the change in the run.
            name: the object's name.
            request: what is stored before anything is sent.
            send: requests the change.
            took_effect: returns whether the object shows it.

        Returns:
            None once it has taken effect; NotYet while an unanswered request may still do so.

        Raises:
            EnvagentError: the change was refused.
        """
        intent = self._inventory.intents.get((kind, number))
        if intent is not None and intent.state == IntentState.DONE:
            return None
        if intent is not None and intent.state == IntentState.SENT:
            now, steady = self._clock.now(), self._clock.steady()
            if took_effect():
                self._close_change(intent)
                return None
            left = self._time_to_settle(intent, now, steady)
            if left > timedelta():
                return self._wait_for(intent, left)
        self.runtime.check_stop()
        intent = self._store_sent(kind, number, name, request)
        try:
            send()
        except OutcomeUnknown as error:
            waiting = self._unanswered(intent, error)
            self.flush()
            return waiting
        except EnvagentError as error:
            if intent.sends == 1 or not took_effect():  # else an earlier request did, and this one came too late
                self._refused(intent, error)
                self.flush()
                raise
        self._close_change(intent)
        return None

    def _close_change(self, intent: IntentRecord) -> None:
        intent.state = IntentState.DONE.value
        self.pending.append(intent)
        self.flush()
