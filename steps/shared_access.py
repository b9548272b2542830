"""Public keys of others on the server of a run: each is added or removed once, by an intent that names the state.

A key is appended to the file by which the server admits its user, with a mark of our own as its comment; a line
without the mark is never touched. Key text goes to the server as the input of a command, never as a part of one.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from envagent import keys, ssh
from envagent.engine.changes import ChangeLedger
from envagent.engine.kinds import CHANGE, ObjectRequest
from envagent.engine.step import NotYet
from envagent.engine.tables import IntentRecord, IntentState
from envagent.errors import OutcomeUnknown, ServerUnreachable
from envagent.hints import Hint

KIND = f"{CHANGE}access"
"""The kind of the intents that let somebody in, or end that."""

FILE = ".ssh/authorized_keys"
DRAFT = ".ssh/.envagent-keys"
"""Files on the server, in the home of its user."""
SECONDS = 60

_AGAIN = Hint("repeat the command once you can log in")


class AccessRequest(ObjectRequest):
    """The state of one key that is to be reached."""

    public_key: str
    """`TYPE BODY`."""
    who: str
    """Whose key it is, as the user named it: `gh:USER`, or the key's own comment."""
    allowed: bool

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint."""
        return keys.fingerprint(self.public_key)

    @property
    def mark(self) -> str:
        """The comment of the key's line on the server."""
        return f"envagent-shared-{hashlib.sha256(self.public_key.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Shared:
    """A key as the journal knows it.

    Attributes:
        since: when its state was requested.
        settled: whether the server is known to be in that state.
    """

    request: AccessRequest
    since: str
    settled: bool


class AdmittedKeys:
    """The keys that a server admits.

    Args:
        target: its login.
        run: runs a command there; another one in tests.
    """

    def __init__(self, target: ssh.Target, run: Callable[..., ssh.Ran] = ssh.run_command) -> None:
        self._target = target
        self._run = run

    def text(self) -> str:
        """Return the file that lists them (untrusted).

        Raises:
            ServerUnreachable: the server does not answer, or keeps its keys elsewhere.
        """
        ran = self._run(self._target, f"cat {FILE}", seconds=SECONDS)
        if ran.code is None:
            raise ServerUnreachable("the server does not answer by SSH", service_said=ran.said or None, hint=_AGAIN)
        if ran.code != 0:
            raise ServerUnreachable(f"the server has no ~/{FILE}", service_said=ran.said or None, hint=_AGAIN)
        return ran.output

    def is_reached(self, request: AccessRequest) -> bool:
        """Return whether the file is as a request wants it."""
        return (request.mark in self.text()) == request.allowed

    def reach(self, request: AccessRequest) -> None:
        """Add a key, or remove it.

        Raises:
            OutcomeUnknown: no answer; it may have happened.
        """
        mark = shlex.quote(request.mark)
        if not request.allowed:
            self._changed(f"grep -vF {mark} {FILE} > {DRAFT} && chmod 600 {DRAFT} && mv {DRAFT} {FILE}", None)
            return
        before = self.text()
        if request.mark in before:
            return
        gap = "" if before.endswith("\n") or not before else "\n"
        with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pub") as given:
            given.write(f"{gap}{' '.join(request.public_key.split()[:2])} {request.mark}\n")
            given.flush()  # the mark ends the line: a part of it is never appended
            append = f"cat > {DRAFT} && grep -qF {mark} {DRAFT} && cat {DRAFT} >> {FILE} && rm -f {DRAFT}"
            self._changed(append, Path(given.name))

    def _changed(self, command: str, given: Path | None) -> None:
        ran = self._run(self._target, command, given=given, seconds=SECONDS)
        if ran.code != 0:
            raise OutcomeUnknown("the server did not confirm the change of its keys", service_said=ran.said or None)


def shared_keys(intents: Sequence[IntentRecord]) -> list[Shared]:
    """Return each key that was ever shared with the state that was requested last, oldest first."""
    found: dict[str, Shared] = {}
    for intent in sorted(intents, key=lambda one: one.number):
        if intent.kind == KIND and intent.state != IntentState.REFUSED:
            request = AccessRequest.model_validate_json(intent.request)
            settled = intent.state == IntentState.DONE
            found.pop(request.public_key, None)
            found[request.public_key] = Shared(request, intent.sent_at, settled)
    return list(found.values())


def change_access(ledger: ChangeLedger, admitted: AdmittedKeys, request: AccessRequest) -> NotYet | None:
    """Let a key in, or end that; None once the server is as wanted.

    Raises:
        ServerUnreachable: the server does not answer.
    """
    intents = ledger.intents(KIND)
    number = next((one.number for one in intents if _is_unfinished(one, request)), None)
    if number is None:
        known = next((one for one in shared_keys(intents) if one.request.public_key == request.public_key), None)
        as_wanted = known is not None and known.settled and known.request.allowed == request.allowed
        if as_wanted and admitted.is_reached(request):
            return None
        number = ledger.next_number(KIND)
    return ledger.change(
        KIND,
        number,
        f"{KIND} for {request.who}",
        request,
        lambda: admitted.reach(request),
        lambda: admitted.is_reached(request),
    )


def _is_unfinished(intent: IntentRecord, request: AccessRequest) -> bool:
    return intent.state == IntentState.SENT and AccessRequest.model_validate_json(intent.request) == request
