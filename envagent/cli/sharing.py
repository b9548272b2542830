"""Let others log in to the server of a run: their public keys are added, listed and removed over the run's own login.

Only public keys are read, and what is not one is never shown: somebody may name or paste a private key by mistake.
"""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envagent import keys, ssh
from envagent.cli.audience import Audience
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.share_models import SharedDocument, SharedKeyPart
from envagent.cli.home import Home, read_settings
from envagent.cli.logins import check_client, login_of
from envagent.cli.render.progress import ProgressLines
from envagent.cli.wiring import access_ledger
from envagent.config import Settings
from envagent.engine.journal import Journal
from envagent.engine.step import NotYet
from envagent.engine.tables import RunRecord
from envagent.errors import ConfigurationError, DocumentUnreachable, ServerUnreachable, UsageError
from envagent.hints import THIS_RUN, Command, Hint, Option
from envagent.repository.download import download
from envagent.steps.shared_access import AccessRequest, AdmittedKeys, Shared, change_access, shared_keys

GITHUB = "gh:"
_USER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")

MOST_KEYS = 20
"""Of one user."""
LARGEST = 64 << 10
"""Bytes of a user's keys."""
SECONDS = 20.0
TRIES = 3
"""How often a change is sent that the server does not confirm."""


@dataclass(frozen=True)
class Offered:
    """A public key that is to be let in."""

    public_key: str
    who: str


def share_run(
    run_id: str,
    audience: Audience,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    config: Sequence[Path] | None = None,
) -> SharedDocument:
    """Let keys in to the server of a run, or end that; return whose keys it admits.

    Args:
        run_id: the run.
        audience: who sees it.
        add: files of public keys, or `gh:USER`.
        remove: the same, or fingerprints.
        config: the files named by --config.

    Raises:
        UsageError: something is not a public key, or was never shared.
        RunStateError: the run has no server that can be logged in to from here.
    """
    settings = read_settings(config)
    home = Home.of(settings)
    offered = [one for source in add for one in offered_keys(source, settings, audience)]
    with home.opened_journal(to_read=True) as journal:
        found = journal.run(run_id)
        if not add and not remove:
            return _document(home, journal, found)
        with home.acting_on(journal, found.run_id) as row:
            _change(home, journal, settings, row, audience, offered, remove)
            return _document(home, journal, journal.run(row.run_id))


def _change(
    home: Home,
    journal: Journal,
    settings: Settings,
    row: RunRecord,
    audience: Audience,
    offered: Sequence[Offered],
    remove: Sequence[str],
) -> None:
    run = StoredRun.load(journal, row, working=False)
    login = login_of(home, run)
    check_client(run, login)
    known = shared_keys(journal.intents(row.run_id))
    requests = [AccessRequest(public_key=_body(one.public_key), who=one.who, allowed=True) for one in offered]
    for word in remove:
        requests += [one.request.model_copy(update={"allowed": False}) for one in _meant(word, known, row.run_id)]
    output = ProgressLines(audience.terminal)
    ledger = access_ledger(journal, settings, row, output, threading.Event())
    admitted = AdmittedKeys(login.target)
    for request in requests:
        for _ in range(TRIES):
            if not isinstance(change_access(ledger, admitted, request), NotYet):
                break
        else:
            raise ServerUnreachable(
                f"the server did not confirm the key of {request.who}", hint=Hint("repeat the command")
            )


def offered_keys(source: str, settings: Settings, audience: Audience) -> list[Offered]:
    """Read the public keys that a word of the user means.

    Raises:
        UsageError: there is none, or it is not a public key.
    """
    if "PRIVATE KEY" in source or "\n" in source:
        raise UsageError("that is the text of a key, not a file", hint=_PUBLIC)
    if source.startswith(GITHUB):
        return _of_github(source, settings, audience)
    path = Path(source)
    try:
        key = keys.read_public_key(path)
    except ConfigurationError as error:
        raise UsageError(error.message, hint=_PUBLIC) from None
    comment = key.split(None, 2)[2:]
    return [Offered(key, comment[0] if comment else path.name)]


def _of_github(source: str, settings: Settings, audience: Audience) -> list[Offered]:
    user = source.removeprefix(GITHUB)
    if not _USER.fullmatch(user):
        raise UsageError(f"{source!a} is not the name of a user at GitHub", hint=Hint(Option("key", "gh:USER")))
    address = f"{settings.key.github.rstrip('/')}/{user}.keys"
    try:
        data = download(address, most=LARGEST, seconds=SECONDS).data
    except UsageError:
        raise UsageError(f"there are no keys at {address}", hint=Hint("check the name of the user")) from None
    except DocumentUnreachable as error:
        error.hint = Hint("try again, or save the user's key to a file and name that")
        raise
    lines = [line.strip() for line in data.decode("ascii", errors="replace").splitlines() if line.strip()]
    found = []
    for line in lines[:MOST_KEYS]:
        try:
            found.append(Offered(keys.checked_public_key(line, f"a key of {source}"), source))
        except ConfigurationError as error:
            audience.terminal.line(("note: ", "yellow"), f"{error.message}; it is left out")
    if not found:
        raise UsageError(f"{source} has no public key that can be used", hint=_PUBLIC)
    return found


def _meant(word: str, known: Sequence[Shared], run_id: str) -> list[Shared]:
    """Return the shared keys that a word means: whose they are, a fingerprint, or the file of one."""
    present = [one for one in known if one.request.allowed or not one.settled]
    found = [one for one in present if word in (one.request.who, one.request.fingerprint)]
    if not found and Path(word).is_file():
        try:
            body = _body(keys.read_public_key(Path(word)))
        except ConfigurationError as error:
            raise UsageError(error.message, hint=_PUBLIC) from None
        found = [one for one in present if one.request.public_key == body]
    if not found:
        unknown = UsageError(f"no such key was shared: {word!a}", hint=Hint("to see which were:", _LIST))
        unknown.run_id = run_id
        raise unknown
    return found


def _document(home: Home, journal: Journal, row: RunRecord) -> SharedDocument:
    run = StoredRun.load(journal, row, working=home.is_worked_on(row.run_id))
    target, document = login_of(home, run).target, run_document(run)
    port = [] if target.port == ssh.PORT else ["-p", str(target.port)]
    shown = [one for one in shared_keys(journal.intents(row.run_id)) if one.request.allowed or not one.settled]
    return SharedDocument(
        run_id=row.run_id,
        keys=[
            SharedKeyPart(
                who=one.request.who,
                fingerprint=one.request.fingerprint,
                since=one.since,
                state="admitted" if one.settled else "unknown",
            )
            for one in shown
        ],
        login=shlex.join(["ssh", *port, f"{target.user}@{target.address}"]),
        until=None if document.cost is None else document.cost.lease_end,
    )


def _body(public_key: str) -> str:
    return " ".join(public_key.split()[:2])


_PUBLIC = Hint("name the file of a public key, such as ~/.ssh/id_ed25519.pub, with", Option("key"))
_LIST = Command("share", (THIS_RUN,))
