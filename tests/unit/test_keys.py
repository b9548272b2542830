"""Key files as people have them: read where that is possible, else refused with a sentence and a command that works."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from envagent import keys
from envagent.cli.render.hint_text import hint_text
from envagent.errors import ConfigurationError

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


def keygen(*arguments: str) -> str:
    return subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, text=True).stdout


def make(path: Path, *arguments: str, passphrase: str = "") -> Path:
    """Make a key pair as ssh-keygen does, and give the private half."""
    keygen("-q", "-N", passphrase, "-C", "me@here", "-f", str(path), *(arguments or ("-t", "ed25519")))
    return path


def public(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def words(line: str) -> list[str]:
    return line.split()[:2]


def paste(hint: str, folder: Path) -> None:
    """Carry out the command of a hint."""
    command = hint.partition(": ")[2] if ": " in hint else hint
    subprocess.run(command.partition(", then ")[0], shell=True, check=True, cwd=folder, capture_output=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace("me@here", "josé@portátil").encode(),
        lambda line: line.replace("me@here", "josé@portátil").encode("latin-1"),
        lambda line: b"\xef\xbb\xbf" + line.encode(),
        lambda line: line.encode("utf-16"),
        lambda line: line.replace("\n", "\r\n").encode(),
        lambda line: line.replace(" ", "\t").encode(),
        lambda line: b"# my laptop\n\n" + line.encode(),
        lambda line: line.replace(" me@here", "").encode(),
        lambda line: line.rstrip().encode(),
    ],
    ids=["utf-8", "latin-1", "bom", "utf-16", "crlf", "tabs", "comment-line", "no-comment", "no-newline"],
)
def test_a_public_key_is_read_and_sent_in_ascii(tmp_path: Path, change: Callable[[str], bytes]) -> None:
    line = public(make(tmp_path / "key")).read_text()
    given, sent = tmp_path / "given.pub", tmp_path / "sent.pub"
    given.write_bytes(change(line))
    read = keys.read_public_key(given)
    assert words(read) == words(line)
    assert read.isascii() and read.isprintable()
    sent.write_text(read + "\n")
    keygen("-l", "-f", str(sent))
    assert keys.find_private_key(read, [tmp_path / "key"]) == tmp_path / "key"


def test_what_is_a_key_in_another_form_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    key, folder = make(tmp_path / "the key", "-t", "rsa", "-b", "2048"), tmp_path
    line, extra = public(key).read_text(), public(make(tmp_path / "other")).read_text()
    forms = {
        "SSH2": keygen("-e", "-m", "RFC4716", "-f", str(key)),
        "PKCS8": keygen("-e", "-m", "PKCS8", "-f", str(key)),
        "PEM": keygen("-e", "-m", "PEM", "-f", str(key)),
        "2 keys": line + extra,
        "options": f'command="/bin/true",no-pty {line}',
    }
    for name, content in forms.items():
        given = folder / f"given {name}"
        given.write_text(content)
        with pytest.raises(ConfigurationError) as refused:
            keys.read_public_key(given)
        assert str(given) in refused.value.message
        before = set(folder.iterdir())
        paste(hint_text(refused.value.hint), folder)
        (made,) = set(folder.iterdir()) - before
        assert words(keys.read_public_key(made)) == words(line), name
        made.unlink()


def test_a_private_key_in_place_of_the_public_one(tmp_path: Path) -> None:
    key = make(tmp_path / "key")
    with pytest.raises(ConfigurationError, match="is a private key") as refused:
        keys.read_public_key(key)
    assert hint_text(refused.value.hint) == f"--public-key {public(key)}"
    line = public(key).read_text()
    public(key).unlink()
    with pytest.raises(ConfigurationError, match="is a private key") as refused:
        keys.read_public_key(key)
    paste(hint_text(refused.value.hint), tmp_path)
    assert words(keys.read_public_key(public(key))) == words(line)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "PuTTY"),
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAJ me\n", "DSA"),
        ("ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5 me\n", "certificate"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me\n", "damaged"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\nAAAAIByyyyy me\n", "split over 2 lines"),
        ("ssh-ed25519\n", "damaged"),
        ("", "contains no public key"),
        ("# nothing\n", "contains no public key"),
        ("hello\n", "not an OpenSSH public key"),
    ],
)
def test_what_is_not_a_usable_public_key_has_its_own_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "given.pub").write_text(text)
    with pytest.raises(ConfigurationError, match=said) as refused:
        keys.read_public_key(tmp_path / "given.pub")
    assert refused.value.exit_code == 2
    assert hint_text(refused.value.hint)


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RSA key of 1024 bits"):
        keys.read_public_key(public(make(tmp_path / "key", "-t", "rsa", "-b", "1024")))


def test_what_is_not_a_file_is_not_read_for_ever(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(ConfigurationError, match="public key"):
            keys.read_public_key(path)


RSA, ECDSA = ("-t", "rsa", "-b", "2048"), ("-t", "ecdsa")


@pytest.mark.parametrize(
    ("form", "passphrase", "known"),
    [
        (("-t", "ed25519"), "", True),
        ((*RSA, "-m", "PEM"), "", True),
        ((*RSA, "-m", "PKCS8"), "", True),
        ((*ECDSA, "-m", "PEM"), "", True),
        ((*ECDSA, "-m", "PKCS8"), "", True),
        (("-t", "ed25519"), "secret", True),
        ((*RSA, "-m", "PEM"), "secret", False),
        ((*RSA, "-m", "PKCS8"), "secret", False),
    ],
    ids=["openssh", "pkcs1", "rsa-pkcs8", "ec", "ec-pkcs8", "openssh-locked", "pkcs1-locked", "pkcs8-locked"],
)
def test_a_private_key_is_found_in_every_format(
    tmp_path: Path, form: tuple[str, ...], passphrase: str, known: bool
) -> None:
    """Horizon and clouds name it NAME.pem; an encrypted PEM file tells its public half by the .pub beside it alone."""
    key = make(tmp_path / "lab", *form, passphrase=passphrase)
    line = public(key).read_text()
    named = key.rename(tmp_path / "lab.pem")
    for beside in (True, False):
        if not beside:
            public(key).unlink()
        candidates = keys.names_of(tmp_path / "lab.pub")
        assert keys.find_private_key(line, candidates) == (named if beside or known else None)
        assert keys.find_private_key(line, keys.keys_in(tmp_path)) == (named if beside or known else None)
    assert keys.check_private_key(named).locked is bool(passphrase)


def test_the_private_key_counts_and_not_a_stale_half_beside_it(tmp_path: Path) -> None:
    key, other = make(tmp_path / "key"), make(tmp_path / "other")
    line = public(key).read_text()
    public(key).write_text(public(other).read_text())
    assert keys.find_private_key(line, [key]) == key
    assert keys.find_private_key(public(other).read_text(), [key]) is None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda key: key.chmod(0o644), "other users can read"),
        (lambda key: key.write_bytes(key.read_bytes().replace(b"\n", b"\r\n")), "ssh cannot read"),
        (lambda key: key.write_bytes(key.read_bytes().rstrip()), "ssh cannot read"),
    ],
    ids=["0644", "crlf", "no-newline"],
)
def test_a_private_key_that_ssh_would_refuse_comes_with_the_command_that_mends_it(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    key = make(tmp_path / "the key")
    spoil(key)
    if subprocess.run(["ssh-keygen", "-y", "-P", "", "-f", str(key)], capture_output=True, check=False).returncode == 0:
        pytest.skip("this version of ssh reads it")
    with pytest.raises(ConfigurationError, match=said) as refused:
        keys.check_private_key(key)
    paste(hint_text(refused.value.hint), tmp_path)
    assert keys.check_private_key(key).public_key is not None


@pytest.mark.parametrize("body", ["", "AAAA\n"])
@pytest.mark.parametrize("kind", ["OPENSSH ", "RSA ", ""])
def test_what_is_no_private_key(tmp_path: Path, kind: str, body: str) -> None:
    (tmp_path / "key").write_text(f"-----BEGIN {kind}PRIVATE KEY-----\n{body}-----END {kind}PRIVATE KEY-----\n")
    with pytest.raises(ConfigurationError, match="not a private key that ssh can read"):
        keys.read_private_key(tmp_path / "key")
