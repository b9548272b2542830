"""Logins by SSH: see whether a server lets its user in, and the command with which the user does the same.

A host key is taken on trust until the first login has succeeded, because a machine may make its keys anew while it is
set up; from then on the run's own `known_hosts` holds, and another key is refused.
"""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from envagent import keys
from envagent.children import environment
from envagent.errors import ConfigurationError

PORT = 22
CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Login:
    """What came of one try to log in."""

    reached: bool
    """Whether something that speaks SSH answered."""
    logged_in: bool
    said: str
    """The client's or the network's own words, for the user (untrusted text)."""
    provable: bool = True
    """Whether another try could end better here: not without a client, or with a key that only its owner opens."""
    changed: bool = False
    """Whether the server shows another host key than at an earlier login."""


def no_client() -> str | None:
    """Say so where there is no ssh client to prove a login with."""
    return None if shutil.which("ssh") else "there is no ssh client on this machine"


def obstacle(private_key: Path | None) -> str | None:
    """Say why no login can be proved from here, whatever the server does; None when one can."""
    if private_key is None:
        return "its private key is not on this machine"
    missing = no_client()
    if missing is not None:
        return missing
    try:
        key = keys.check_private_key(private_key)
    except ConfigurationError as error:
        return error.message
    if key.locked and not keys.held_by_agent(key.public_key):
        return f"the private key has a passphrase, and no SSH agent holds it (ssh-add {shlex.quote(str(private_key))})"
    return None


def try_login(address: str, user: str, private_key: Path | None, known_hosts: Path, port: int = PORT) -> Login:
    """Try once, in at most some seconds, to reach a server by SSH and log in.

    Args:
        address: of the server.
        user: to log in as.
        private_key: the key to log in with.
        known_hosts: the run's own file; it comes to be with the first login that succeeds.
        port: of the SSH server.
    """
    banner = _banner(address, port)
    if banner is None:
        return Login(reached=False, logged_in=False, said="no answer")
    if not banner.startswith("SSH-"):
        return Login(reached=False, logged_in=False, said="something other than SSH answers")
    reason = obstacle(private_key)
    if private_key is None or reason is not None:
        return Login(reached=True, logged_in=False, said=reason or "", provable=False)
    proved = known_hosts.exists()
    hosts = known_hosts if proved else known_hosts.with_name(f"{known_hosts.name}.unproved")
    if not proved:
        hosts.unlink(missing_ok=True)
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "StrictHostKeyChecking": "yes" if proved else "accept-new",
        "ForwardAgent": "no",
        "LogLevel": "ERROR",
    }
    command = ["ssh", "-F", "none", *(word for pair in options.items() for word in ("-o", "=".join(pair)))]
    command += [*_identity(private_key, hosts, port), "--", f"{user}@{address}", "true"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=3 * CONNECT_SECONDS,
            check=False,
            env=environment("SSH_AUTH_SOCK"),
        )
    except subprocess.TimeoutExpired:
        return Login(reached=True, logged_in=False, said="the login took too long")
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == 0:
        if not proved and hosts.exists():  # not where ssh could not write it: then the key stays unproved
            hosts.replace(known_hosts)
        return Login(reached=True, logged_in=True, said=said[-300:] or "logged in")
    changed = proved and "Host key verification failed" in said
    return Login(reached=True, logged_in=False, said=said[-300:], changed=changed)


def command_line(address: str, user: str, private_key: Path | None, known_hosts: Path, port: int = PORT) -> str:
    """Give the command that a user pastes: what `try_login` proves, for a shell."""
    return shlex.join(["ssh", *_identity(private_key, known_hosts, port), f"{user}@{address}"])


def _identity(private_key: Path | None, known_hosts: Path, port: int) -> list[str]:
    """List the options that decide who logs in, and whom the server may be."""
    options = []
    if private_key is not None:
        named = ["-o", f"IdentityFile={_value(private_key)}"] if "%" in str(private_key) else ["-i", str(private_key)]
        options += [*named, "-o", "IdentitiesOnly=yes"]
    options += ["-o", f"UserKnownHostsFile={_value(known_hosts)}"]
    return options if port == PORT else [*options, "-p", str(port)]


def _value(path: Path) -> str:
    """Write a path as the value of an ssh option: a list of words in which % begins a token."""
    text = str(path).replace("%", "%%")
    if not any(one in text for one in " \t\"'\\"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _banner(address: str, port: int) -> str | None:
    try:
        with socket.create_connection((address, port), timeout=CONNECT_SECONDS) as connection:
            connection.settimeout(CONNECT_SECONDS)
            return connection.recv(64).decode("ascii", errors="replace")
    except OSError:
        return None
