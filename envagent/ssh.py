"""SSH keys and logins: make a key pair, read a public key, see whether a server lets its user in.

Private keys are written once, for their owner alone, and are never overwritten, printed or sent anywhere.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from envagent.errors import ConfigurationError

CONNECT_SECONDS = 10


def create_private_key(path: Path) -> bool:
    """Make an ed25519 private key; the file appears whole or not at all, mode 0600.

    Returns:
        Whether it was made; False when the file is there already.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # created 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(private)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # fails when the name exists: nothing is ever overwritten
        finally:
            Path(draft).unlink()
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(f"the private key {path} cannot be written: {error.strerror}") from None
    return True


def public_key_of(private_path: Path) -> str:
    """Read the public half of an unencrypted private key file, as an OpenSSH line.

    Raises:
        ConfigurationError: the file is no private key that can be read without a passphrase.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_ssh_private_key(private_path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigurationError(f"the private key {private_path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(f"{private_path} is no OpenSSH private key without a passphrase") from None
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()


def read_public_key(path: Path) -> str:
    """Read a public key file, one OpenSSH line.

    Raises:
        ConfigurationError: it cannot be read, or is no public key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        text = path.expanduser().read_text(encoding="ascii").strip()
        serialization.load_ssh_public_key(text.encode())
    except OSError as error:
        raise ConfigurationError(f"the public key {path} cannot be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"{path} is no OpenSSH public key", hint="give the .pub file, such as ~/.ssh/id_ed25519.pub"
        ) from None
    return text


def find_private_key(public_key: str, candidates: list[Path]) -> Path | None:
    """Find the private key whose public half (in its .pub file, or read from it) is the given one."""
    wanted = public_key.split()[:2]
    for path in candidates:
        try:
            beside = path.with_name(path.name + ".pub")
            known = beside.read_text(encoding="ascii") if beside.is_file() else public_key_of(path)
        except (OSError, UnicodeDecodeError, ConfigurationError):
            continue
        if known.split()[:2] == wanted:
            return path
    return None


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


def try_login(address: str, user: str, private_key: Path | None, known_hosts: Path, port: int = 22) -> Login:
    """Try once, in at most some seconds, to reach a server by SSH and log in.

    The host key is trusted at the first contact and kept in `known_hosts`, a file of the run's own.
    """
    banner = _banner(address, port)
    if banner is None:
        return Login(reached=False, logged_in=False, said="no answer")
    if not banner.startswith("SSH-"):
        return Login(reached=False, logged_in=False, said="something else than SSH answers")
    if private_key is None:
        return Login(reached=True, logged_in=False, said="the private key is not here", provable=False)
    if shutil.which("ssh") is None:
        return Login(reached=True, logged_in=False, said="there is no ssh client here", provable=False)
    locked = _is_locked(private_key)
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": str(known_hosts),
        "IdentitiesOnly": "yes",
        "ForwardAgent": "no",
        "LogLevel": "ERROR",
    }
    command = ["ssh", "-F", "none", "-i", str(private_key), "-p", str(port)]
    command += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    try:
        done = subprocess.run(
            [*command, "--", f"{user}@{address}", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=3 * CONNECT_SECONDS,
            check=False,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": os.environ.get("HOME", "/"),
                **({"SSH_AUTH_SOCK": os.environ.get("SSH_AUTH_SOCK", "")} if locked else {}),
            },
        )
    except subprocess.TimeoutExpired:
        return Login(reached=True, logged_in=False, said="the login took too long")
    if locked and done.returncode != 0:
        said = "the private key needs its passphrase, and no agent has it"
        return Login(reached=True, logged_in=False, said=said, provable=False)
    said = done.stderr.decode(errors="replace").strip()[-300:]
    return Login(reached=True, logged_in=done.returncode == 0, said=said or "logged in")


def _is_locked(private_key: Path) -> bool:
    try:
        public_key_of(private_key)
    except ConfigurationError:
        return True
    return False


def command_line(address: str, user: str, private_key: Path | None) -> str:
    """Give the command that a user pastes."""
    identity = "" if private_key is None else f"-i {_quoted(private_key)} "
    return f"ssh {identity}{user}@{address}"


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def _banner(address: str, port: int) -> str | None:
    try:
        with socket.create_connection((address, port), timeout=CONNECT_SECONDS) as connection:
            connection.settimeout(CONNECT_SECONDS)
            return connection.recv(64).decode("ascii", errors="replace")
    except OSError:
        return None
