"""Logins to the servers of runs: from the journal to an address, a user and a key.

What is not there is said as an error of the run: no server yet, lease ended, torn down, key elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from envagent import keys, ssh
from envagent.cli.documents.costs import over_since
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.run_list import Labels
from envagent.cli.home import Home
from envagent.cli.render import times
from envagent.engine.journal import Journal, moved_away
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import RunState
from envagent.errors import RunStateError
from envagent.hints import Hint, Shell, command, resume, status, teardown
from envagent.steps.ensure_keypair import ChosenKey
from envagent.steps.verify import Verified

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class ServerLogin:
    """How to log in to the server of a run."""

    run_id: str
    server_name: str
    repository: str
    """The URL or path of the run's repository (untrusted)."""
    target: ssh.Target
    name: str | None = None
    """The run's."""


def login_of(home: Home, run: StoredRun) -> ServerLogin:
    """Return how to log in to a run's server.

    Raises:
        RunStateError: it has none, or none any more.
    """
    document, verified = run_document(run), run.output(Verified)
    run_id = document.run_id
    if document.state == "moved":
        raise moved_away(run_id)
    if document.teardown_started_at is not None or document.state == "torn_down":
        state = "has been torn down" if document.state == "torn_down" else "is being torn down"
        raise _refused(run_id, f"run {run_id} {state}: its server is gone", Hint(command("run", "URL")))
    ended = None if document.cost is None else over_since(document.cost)
    if ended is not None:
        when = times.until(datetime.fromisoformat(ended), times.now())
        gone = f"the lease of run {run_id} ended {when}, and its server with it"
        raise _refused(run_id, gone, Hint("remove what is left of it:", teardown()))
    if verified is None or document.ssh is None or document.server is None:
        how = Hint("watch it:", status()) if document.state == "running" else Hint("continue the run:", resume())
        raise _refused(run_id, f"run {run_id} has no server to log in to", how)
    address = verified.floating_ip or verified.fixed_ip or ""
    if not (_is_address(address) and _USER.fullmatch(verified.ssh_user)):
        raise _refused(run_id, f"not a login: {verified.ssh_user}@{address}", Hint(status()))
    key = None if document.private_key is None else Path(document.private_key)
    known_hosts = home.run(document.run_id) / "known_hosts"
    target = ssh.Target(address, verified.ssh_user, key, known_hosts, verified.ssh_port)
    return ServerLogin(document.run_id, document.server.name, document.repository.url, target, document.name)


def check_client(run: StoredRun, login: ServerLogin) -> None:
    """Check that this machine can log in: it has an ssh client, and the key or an agent that holds it.

    Raises:
        RunStateError: it cannot.
        ConfigurationError: ssh would refuse the private key.
    """
    missing = ssh.no_client()
    if missing is not None:
        raise RunStateError(missing, hint=Hint("install OpenSSH"))
    if login.target.private_key is not None:
        keys.check_private_key(login.target.private_key)
        return
    chosen = run.output(ChosenKey)
    if chosen is None or not keys.held_by_agent(chosen.public_key):
        name = "" if chosen is None else f" {chosen.name}"
        raise RunStateError(
            f"the private key{name} of run {login.run_id} is not on this machine, and no SSH agent has it",
            hint=Hint("log in on the machine that has it, or add it to the agent:", Shell("ssh-add", "FILE")),
        )


def current_logins(home: Home, journal: Journal) -> list[ServerLogin]:
    """List the logins to all servers that exist, newest run first."""
    now, found = times.now(), []
    for row in journal.runs(RunQuery(holding="server", archived=True)):
        end = Labels.of(row).lease_end
        if row.state == RunState.TORN_DOWN or (end is not None and datetime.fromisoformat(end) <= now):
            continue
        try:
            found.append(login_of(home, StoredRun.load(journal, row, working=False)))
        except RunStateError:
            continue
    return found


def _refused(run_id: str, message: str, hint: Hint) -> RunStateError:
    error = RunStateError(message, hint=hint)
    error.run_id = run_id
    return error


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
