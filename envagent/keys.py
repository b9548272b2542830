"""SSH key files: create a private key, read both halves in all usual formats, refuse what ssh or a server would refuse.

Private keys are written once, readable by their owner only, and never overwritten, printed or sent anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from envagent import children
from envagent.drafts import draft_of
from envagent.errors import ConfigurationError
from envagent.hints import Hint, Option, Shell

LARGEST = 64 << 10
"""Bytes of a key file."""
SHORTEST_RSA = 2048
"""Bits that current servers accept."""
TOOL_SECONDS = 10

_OPENSSH = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----(.+?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL)
_MAGIC = b"openssh-key-v1\0"
_PEM = re.compile(rb"-----BEGIN (?:(?:RSA|EC|DSA|ENCRYPTED) )?PRIVATE KEY-----")
_TYPE = re.compile(r"(?:ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-)[a-z0-9-]+(?:@openssh\.com)?")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What a private key shows without its passphrase."""

    public_key: str | None
    """The public half, `TYPE BODY`; None when only the passphrase reveals it."""
    locked: bool
    """Whether it has a passphrase."""


def create_private_key(path: Path) -> bool:
    """Create an ed25519 private key; the file appears whole or not at all, with mode 0600.

    Returns:
        False when the file exists already.

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
        with draft_of(path, private) as draft:
            os.link(draft, path)  # fails when the name exists: nothing is overwritten
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(f"cannot write the private key {path}: {error.strerror}") from None
    return True


def public_key_of(path: Path) -> str:
    """Read the public half of a private key file, `TYPE BODY`.

    Raises:
        ConfigurationError: a passphrase hides it, or the file is not a private key.
    """
    public = read_private_key(path).public_key
    if public is None:
        raise ConfigurationError(
            f"the private key {path} has a passphrase, and there is no {_public(path).name} next to it",
            hint=_export(path),
        )
    return public


def read_private_key(path: Path) -> PrivateKey:
    """Read a private key file: OpenSSH's own format, or PEM as Horizon and openssl write it.

    Raises:
        ConfigurationError: it cannot be read, or is not a private key.
    """
    data = _contents(path, "private")
    key = _from_openssh(data) or _from_pem(data)
    if key is None:
        raise ConfigurationError(f"{path} is not a private key that ssh can read", hint=_repair(path, data))
    if key.public_key is None:
        for public in (_public(path), path.with_suffix(".pub")):
            try:
                return PrivateKey(read_public_key(public), key.locked)
            except ConfigurationError:
                continue
    return key


def check_private_key(path: Path) -> PrivateKey:
    """Read a private key file for ssh, and refuse what ssh would refuse.

    Raises:
        ConfigurationError: it is not a private key, other users can read it, or ssh cannot use it.
    """
    key = read_private_key(path)
    status = path.stat()
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        raise ConfigurationError(
            f"other users can read the private key {path} (mode {status.st_mode & 0o7777:04o}): ssh refuses to use it",
            hint=Hint(Shell("chmod", "600", str(path))),
        )
    if key.locked or shutil.which("ssh-keygen") is None:
        return key
    done = children.run(["ssh-keygen", "-y", "-P", "", "-f", str(path)], TOOL_SECONDS)
    if done is not None and done.returncode != 0:
        raise ConfigurationError(
            f"ssh cannot read the private key {path}",
            service_said=done.stderr.decode(errors="replace").strip()[-300:],
            hint=_repair(path, _contents(path, "private")),
        )
    return key


def read_public_key(path: Path) -> str:
    """Read a public key file: one OpenSSH line; its comment is reduced to what every service accepts.

    Raises:
        ConfigurationError: it cannot be read, is not an OpenSSH public key, or no server would accept it.
    """
    path = path.expanduser()
    data = _contents(path, "public")
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    _refuse_other_formats(path, text)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ConfigurationError(f"{path} contains no public key", hint=_new_key())
    kind = lines[0].split(None, 1)[0]
    if len(lines) > 1 and _TYPE.fullmatch(kind):
        if any(_TYPE.fullmatch(word) for line in lines[1:] for word in line.split()):
            raise ConfigurationError(
                f"{path} contains {len(lines)} keys, but a server is launched with one",
                hint=Hint("put one in a file of its own:", Shell("grep", "-m1", kind, str(path)), "> one.pub"),
            )
        raise ConfigurationError(
            f"the public key in {path} is split over {len(lines)} lines", hint=Hint("join them into one line")
        )
    return checked_public_key(lines[0], path)


def checked_public_key(line: str, source: Path | str) -> str:
    """Return one line of a public key as every server accepts it, `TYPE BODY COMMENT`.

    Args:
        line: untrusted.
        source: where it comes from, for the message.

    Raises:
        ConfigurationError: it is not an OpenSSH public key, or no server would accept it.
    """
    kind, body, comment = (*line.split(None, 2), "", "", "")[:3]
    if not _TYPE.fullmatch(kind):
        raise _not_a_key(source, line)
    if kind == "ssh-dss":
        raise ConfigurationError(f"{source} is a DSA key, which servers no longer accept", hint=_new_key())
    if "-cert-" in kind:
        raise ConfigurationError(
            f"{source} is a certificate, not a public key", hint=Hint("use the .pub file that it was issued for")
        )
    bits = _rsa_bits(f"{kind} {body}", source)
    if bits is not None and bits < SHORTEST_RSA:
        raise ConfigurationError(
            f"{source} is an RSA key of {bits} bits; servers require at least {SHORTEST_RSA}", hint=_new_key()
        )
    return f"{kind} {body} {_plain(comment)}".rstrip()


def fingerprint(public_key: str) -> str:
    """Return the fingerprint of a public key as ssh-keygen shows it.

    >>> fingerprint("ssh-ed25519 AAAA someone")
    'SHA256:cJ6AyISHokEeHuTfufIqhhSS0gxHZRUMDHlKvXD4FHw'
    """
    digest = hashlib.sha256(base64.b64decode(public_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def find_private_key(public_key: str, candidates: Iterable[Path]) -> Path | None:
    """Find the private key that a public one belongs to."""
    wanted = public_key.split()[:2]
    for path in candidates:
        try:
            known = read_private_key(path).public_key
        except ConfigurationError:
            continue
        if known is not None and known.split()[:2] == wanted:
            return path
    return None


def pair_of(public_file: Path) -> tuple[str, Path | None]:
    """Read a public key file and find the private half, in the same folder or in ~/.ssh.

    Returns:
        The public key, and the path of the private one; None if it is not on this machine.

    Raises:
        ConfigurationError: a half cannot be used.
    """
    public_key = read_public_key(public_file)
    private = find_private_key(public_key, [*names_of(public_file.expanduser()), *own_keys()])
    if private is not None:
        check_private_key(private)
    return public_key, private


def own_keys() -> list[Path]:
    """List the files in ~/.ssh that may be private keys."""
    return keys_in(Path.home() / ".ssh")


def keys_in(folder: Path) -> list[Path]:
    """List the files of a folder that may be private keys."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix != ".pub" and path.is_file())
    except OSError:
        return []


def names_of(path: Path) -> list[Path]:
    """List the usual names of a key's private half: NAME, or NAME.pem as Horizon and other clouds call it."""
    plain = path.with_suffix("") if path.suffix == ".pub" else path
    return [plain, plain.with_name(plain.name + ".pem")]


def held_by_agent(public_key: str | None) -> bool:
    """Return whether the user's SSH agent has a key."""
    if public_key is None or not os.environ.get("SSH_AUTH_SOCK") or shutil.which("ssh-add") is None:
        return False
    done = children.run(["ssh-add", "-L"], TOOL_SECONDS, "SSH_AUTH_SOCK")
    if done is None:
        return False
    wanted = public_key.split()[:2]
    return any(line.split()[:2] == wanted for line in done.stdout.decode(errors="replace").splitlines())


def _contents(path: Path, half: str) -> bytes:
    try:
        if not path.is_file():  # reading a pipe or a device might never end
            what = "is not a file" if path.exists() else "does not exist"
            raise ConfigurationError(f"the {half} key {path} {what}", hint=Hint("check the path of the key"))
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the {half} key {path}: {error.strerror}",
            hint=Hint("check its permissions:", Shell("ls", "-l", str(path))),
        ) from None
    if len(data) > LARGEST:
        raise ConfigurationError(f"{path} is larger than any {half} key", hint=Hint("check the path of the key"))
    return data


def _from_openssh(data: bytes) -> PrivateKey | None:
    """Read OpenSSH's own format, which shows the public half and the cipher without the passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    match = _OPENSSH.search(data)
    if match is None:
        return None
    try:
        blob = base64.b64decode(match[1])
        if not blob.startswith(_MAGIC):
            return None
        cipher, rest = _field(blob[len(_MAGIC) :])
        _, rest = _field(rest)  # the key derivation function
        _, rest = _field(rest)
        public, _ = _field(rest[4:])  # after the number of keys, which is always one
        kind = _field(public)[0].decode("ascii")
        if cipher == b"none" and not kind.startswith("sk-"):
            serialization.load_ssh_private_key(data, password=None)
    except (ValueError, TypeError, struct.error, UnsupportedAlgorithm):
        return None
    return PrivateKey(f"{kind} {base64.b64encode(public).decode()}", cipher != b"none")


def _from_pem(data: bytes) -> PrivateKey | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    match = _PEM.search(data)
    if match is None:
        return None
    try:
        key = serialization.load_pem_private_key(data[match.start() :], password=None)
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    except TypeError:  # it has a passphrase
        return PrivateKey(None, locked=True)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return PrivateKey(public.decode(), locked=False)


def _field(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    return data[4 : 4 + length], data[4 + length :]


def _new_key() -> Hint:
    path = Path.home() / ".ssh" / "chameleon"
    return Hint(
        "create another key:",
        Shell("ssh-keygen", "-t", "ed25519", "-f", str(path)),
        ", then use",
        Option("public_key", str(_public(path))),
    )


def _repair(path: Path, data: bytes) -> Hint:
    """Say how to turn a file into a private key that ssh reads."""
    if data.startswith(b"PuTTY-User-Key-File"):
        return _from_putty(path)
    if b"\r\n" in data:
        return Hint("change its line endings to Unix ones:", Shell("perl", "-pi", "-e", "s/\\r//", str(path)))
    if b"PRIVATE KEY-----" in data and not data.endswith(b"\n"):
        return Hint("terminate its last line:", "echo >>", Shell(str(path)))
    return _new_key()


def _export(private: Path) -> Hint:
    """Return the command that writes the public half of a private key to a file."""
    return Hint(Shell("ssh-keygen", "-y", "-f", str(private)), ">", Shell(str(_public(private))))


def _from_putty(path: Path) -> Hint:
    private = path.with_suffix("")
    return Hint(
        "convert it:",
        Shell("puttygen", str(path), "-O", "private-openssh", "-o", str(private)),
        "&&",
        _export(private),
        ", then use",
        Option("public_key", str(_public(private))),
    )


def _refuse_other_formats(path: Path, text: str) -> None:
    """Refuse a key in another format, with the command that converts it."""
    start = text.lstrip()
    if start.startswith("PuTTY-User-Key-File"):
        raise ConfigurationError(f"{path} is PuTTY's private key, not an OpenSSH public key", hint=_from_putty(path))
    if "PRIVATE KEY-----" in text:
        public = _public(path)
        use = Option("public_key", str(public))
        raise ConfigurationError(
            f"{path} is a private key; the public half is needed",
            hint=Hint(use) if public.is_file() else Hint(_export(path), ", then use", use),
        )
    converted = str(path.with_suffix(".openssh.pub"))
    for begin, format_ in (
        ("---- BEGIN SSH2 PUBLIC KEY", "RFC4716"),
        ("-----BEGIN PUBLIC KEY-----", "PKCS8"),
        ("-----BEGIN RSA PUBLIC KEY-----", "PEM"),
    ):
        if start.startswith(begin):
            raise ConfigurationError(
                f"{path} is a public key in {format_} format, not in OpenSSH's",
                hint=Hint(
                    Shell("ssh-keygen", "-i", "-m", format_, "-f", str(path)),
                    ">",
                    Shell(converted),
                    ", then use",
                    Option("public_key", converted),
                ),
            )


def _not_a_key(path: Path | str, line: str) -> ConfigurationError:
    """Return the error for a line that is not a key; in authorized_keys, options come before one."""
    words = line.split()
    found = next((word for word in words if _TYPE.fullmatch(word)), None)
    if found is not None:
        return ConfigurationError(
            f"{path} begins with options of authorized_keys, not with the key",
            hint=Hint("remove them:", Shell("grep", "-o", f"{found} .*", str(path)), "> one.pub"),
        )
    return ConfigurationError(
        f"{path} is not an OpenSSH public key", hint=Hint("use the .pub file, such as ~/.ssh/id_ed25519.pub")
    )


def _rsa_bits(key: str, path: Path | str) -> int | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        loaded = serialization.load_ssh_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"the public key in {path} is damaged or of an unknown type",
            hint=Hint("copy the whole line of the .pub file: type, body and comment"),
        ) from None
    return loaded.key_size if isinstance(loaded, RSAPublicKey) else None


def _plain(comment: str) -> str:
    """Reduce a comment to ASCII, which Nova and its clients require."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in comment.strip())


def _public(path: Path) -> Path:
    """Name the public half as ssh-keygen does."""
    return path.with_name(path.name + ".pub")
