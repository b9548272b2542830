"""Logins by SSH: whether a server lets its user in, and the command with which the user logs in.

A host key is trusted until the first login succeeds, because a machine may regenerate its keys while it is set up;
from then on the run's own `known_hosts` counts, and another key is refused.
"""

from __future__ import annotations

import shlex
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envagent import children, keys
from envagent.errors import ConfigurationError

PORT = 22
CONNECT_SECONDS = 10
FAILED = 255
"""The exit code of ssh itself; any other is the command's."""


@dataclass(frozen=True, slots=True)
class Login:
    """The result of one attempt to log in."""

    reached: bool
    """Whether something that speaks SSH responded."""
    logged_in: bool
    said: str
    """The message of the client or the network, for the user (untrusted)."""
    repeatable: bool = True
    """Whether another attempt may succeed: not without a client, or with a key whose passphrase is needed."""
    changed: bool = False
    """Whether the server shows another host key than at an earlier login."""
    output: str = ""
    """What the command printed (untrusted)."""
    unclear: bool = False
    """Whether the command took too long or failed there, so that nothing is known of the login."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to log in to: where, as whom, with which key.

    Attributes:
        known_hosts: the run's own file, in which the server's host key is pinned.
    """

    address: str
    user: str
    private_key: Path | None
    known_hosts: Path
    port: int = PORT

    def command(self) -> list[str]:
        """Return the command that logs in, as `try_login` does; a command for the server may follow."""
        return ["ssh", *_identity(self.private_key, self.known_hosts, self.port), f"{self.user}@{self.address}"]

    def config_entry(self, names: Sequence[str]) -> str:
        """Return this login as an entry of an ssh configuration file, under these names."""
        options = {"HostName": self.address, "User": self.user, "Port": str(self.port)}
        if self.private_key is not None:
            options |= {"IdentityFile": _value(self.private_key), "IdentitiesOnly": "yes"}
        options["UserKnownHostsFile"] = _value(self.known_hosts)
        if self.known_hosts.exists():
            options["StrictHostKeyChecking"] = "yes"
        return "".join([f"Host {' '.join(names)}\n", *(f"    {name} {value}\n" for name, value in options.items())])


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command on a server came to; its texts are untrusted."""

    code: int | None
    """The command's exit code; None if nothing is known of it: no connection, or one that broke."""
    output: str
    said: str
    """The end of what it or the client wrote as errors."""


def run_command(target: Target, command: str, *, given: Path | None = None, seconds: float = 60) -> Ran:
    """Run a command on a server whose host key was verified at a login, for a limited time.

    Args:
        target: the server.
        command: for the shell there.
        given: the file that the command reads as its input.
        seconds: after how long to give up; what was started there may go on.
    """
    words = ["ssh", "-F", "none", *_quiet("yes"), *_identity(target.private_key, target.known_hosts, target.port)]
    words += ["--", f"{target.user}@{target.address}", command]
    done = children.run(words, seconds, "SSH_AUTH_SOCK", given=given)
    if done is None:
        return Ran(None, "", f"no answer within {seconds:.0f} s")
    said = done.stderr.decode(errors="replace").strip()[-300:]
    return Ran(None if done.returncode == FAILED else done.returncode, done.stdout.decode(errors="replace"), said)


def no_client() -> str | None:
    """Say that there is no ssh client to log in with; None when there is one."""
    return None if shutil.which("ssh") else "there is no ssh client on this machine"


def obstacle(private_key: Path | None) -> str | None:
    """Say why this machine cannot log in, whatever the server does; None when it can."""
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
        return f"the private key has a passphrase and is in no SSH agent (ssh-add {shlex.quote(str(private_key))})"
    return None


def try_login(
    address: str, user: str, private_key: Path | None, known_hosts: Path, port: int = PORT, command: str = "true"
) -> Login:
    """Try once to log in to a server and run a command that succeeds, for at most half a minute.

    `known_hosts` is the run's own file, which the first successful login creates.
    """
    banner = _banner(address, port)
    if banner is None:
        return Login(reached=False, logged_in=False, said="no response")
    if not banner.startswith("SSH-"):
        return Login(reached=False, logged_in=False, said="something other than SSH responds")
    reason = obstacle(private_key)
    if private_key is None or reason is not None:
        return Login(reached=True, logged_in=False, said=reason or "", repeatable=False)
    verified = known_hosts.exists()
    hosts = known_hosts if verified else known_hosts.with_name(f"{known_hosts.name}.unverified")
    if not verified:
        hosts.unlink(missing_ok=True)
    words = ["ssh", "-F", "none", *_quiet("yes" if verified else "accept-new")]
    words += [*_identity(private_key, hosts, port), "--", f"{user}@{address}", command]
    done = children.run(words, 3 * CONNECT_SECONDS, "SSH_AUTH_SOCK")
    if done is None:
        return Login(reached=True, logged_in=False, said="the login took too long", unclear=True)
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == 0:
        if not verified and hosts.exists():  # ssh may have failed to write it: then the key stays unverified
            hosts.replace(known_hosts)
        output = done.stdout.decode(errors="replace")
        return Login(reached=True, logged_in=True, said=said[-300:] or "logged in", output=output)
    changed = verified and "Host key verification failed" in said
    ran = done.returncode != FAILED
    return Login(reached=True, logged_in=False, said=said[-300:], changed=changed, unclear=ran)


def command_line(address: str, user: str, private_key: Path | None, known_hosts: Path, port: int = PORT) -> str:
    """Return the command that a user pastes into a shell: it logs in as `try_login` does."""
    return shlex.join(Target(address, user, private_key, known_hosts, port).command())


def _quiet(strict: str) -> list[str]:
    """List the options of a login that asks nothing and forwards nothing."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "StrictHostKeyChecking": strict,
        "ForwardAgent": "no",
        "LogLevel": "ERROR",
    }
    return [word for pair in options.items() for word in ("-o", "=".join(pair))]


def _identity(private_key: Path | None, known_hosts: Path, port: int) -> list[str]:
    """List the options for the user's key and the server's."""
    options = []
    if private_key is not None:
        named = ["-o", f"IdentityFile={_value(private_key)}"] if "%" in str(private_key) else ["-i", str(private_key)]
        options += [*named, "-o", "IdentitiesOnly=yes"]
    options += ["-o", f"UserKnownHostsFile={_value(known_hosts)}"]
    return options if port == PORT else [*options, "-p", str(port)]


def _value(path: Path) -> str:
    """Write a path as the value of an ssh option: a list of words in which % starts a token."""
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
