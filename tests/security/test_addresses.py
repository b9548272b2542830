"""What stands where a repository's address should: other transports, options, credentials, controls, climbing paths."""

from __future__ import annotations

import pytest

from envagent.cli.render.hint_text import hint_text
from tests.security.conftest import Bench

REFUSED = {
    "ext transport": "ext::sh -c 'touch CANARY'",
    "ext transport, remote helper": "ext::git-upload-pack /etc",
    "fd transport": "fd::17",
    "any helper": "evil::https://github.com/a/b",
    "file url": "file:///etc/passwd",
    "file url of a repository": "FILE:///srv/git/repository",
    "file url with host": "file://localhost/etc",
    "ssh url": "ssh://github.com/a/b",
    "ssh url with option as host": "ssh://-oProxyCommand=touch%20CANARY/x",
    "scp form": "git@github.com:a/b.git",
    "scp form with option": "-oProxyCommand=touch CANARY:x",
    "git protocol": "git://github.com/a/b",
    "git protocol to another loopback": "git://127.0.0.2/a",
    "git protocol with credentials": "git://me@127.0.0.1/a",
    "git protocol climbing": "git://127.0.0.1/../a%2f..",
    "git protocol with a line end": "git://127.0.0.1/a\nhost=evil",
    "ftp": "ftp://example.org/a/b",
    "plain http": "http://github.com/a/b",
    "gopher": "gopher://127.0.0.1:6379/_x",
    "option -u": "-u=touch CANARY",
    "option --upload-pack": "--upload-pack=touch CANARY",
    "option -c": "-ccore.sshCommand=touch CANARY",
    "option in the path": "https://github.com/--upload-pack=x/b",
    "option as host": "https://-oProxyCommand=x/a/b",
    "user name": "https://me@github.com/a/b",
    "user name and password": "https://me:hunter2@github.com/a/b",
    "token": "https://ghp_secret@github.com/a/b",
    "host behind an at sign": "https://github.com@evil.example/a/b",
    "port": "https://github.com:8443/a/b",
    "bad port": "https://github.com:99999/a/b",
    "metadata service by port": "https://169.254.169.254:80/a/b",
    "IPv6 literal": "https://[::1]/a/b",
    "backslash host": "https://github.com\\@evil.example/a/b",
    "climbing": "https://github.com/a/../../etc",
    "climbing, encoded": "https://github.com/a/%2e%2e/b",
    "dots": "https://github.com/./..",
    "line end": "https://github.com/a/b\nfile:///etc",
    "carriage return": "https://github.com/a/b\rx",
    "zero byte": "https://github.com/a/b\0x",
    "escape": "https://github.com/a/\x1b[2Jb",
    "direction mark": "https://github.com/a/\u202eb",
    "look-alike letters": "https://gіthub.com/a/b",
    "space": "https://github.com/a/b c",
    "shell words": "https://github.com/a/$(touch CANARY)",
    "back quotes": "https://github.com/a/`touch CANARY`",
    "semicolon": "https://github.com/a/b;touch CANARY",
    "too long": "https://github.com/a/" + "b" * 3000,
    "no path": "https://github.com/",
    "owner only": "https://github.com/a",
    "empty": "",
    "blanks": "   ",
    "option as branch": "https://github.com/a/b/tree/--upload-pack=x",
    "range as branch": "https://github.com/a/b/tree/a..b",
    "not there": "/no/such/folder",
    "a device": "/dev/zero",
    "a process's folder": "/proc/self",
    "a file": "/etc/passwd",
}  # fmt: skip


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED.keys())
def test_address_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    # A git that is asked at all would make the canary: refusing is done before anything is started.
    program = bench.root / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {bench.canary}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    reading = bench.read(address.replace("CANARY", str(bench.canary)))
    assert reading.refusal is not None
    assert hint_text(reading.refusal.hint)
    assert "hunter2" not in reading.said and "ghp_secret" not in reading.said
    assert reading.said.isprintable(), "the refusal would carry its controls to the terminal"


REFS = [
    "-x",
    "--upload-pack=touch CANARY",
    "a..b",
    "a b",
    "a\nb",
    "x@{1}",
    "refs/heads/x.lock",
    "a:b",
    "^main",
    "a~1",
    "",
]


@pytest.mark.parametrize("ref", REFS)
def test_reference_is_refused(bench: Bench, ref: str) -> None:
    repository = bench.repository()
    repository.commit_files({"README.md": "x"})
    assert "Not a valid branch, tag or commit" in bench.read(repository.folder, ref=ref).said
