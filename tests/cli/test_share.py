"""Somebody else's public key on the server of a run: let in once, listed, removed; never anything but a public key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from envagent import keys, ssh
from envagent.cli.home import Home
from envagent.errors import OutcomeUnknown
from envagent.steps.shared_access import AccessRequest, AdmittedKeys
from tests.cli.conftest import Cli
from tests.kit.servers import HttpServer, QuietHandler


class Reviewer:
    """Somebody with a key of their own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.private, self.public = folder / name, folder / f"{name}.pub"
        keys.create_private_key(self.private)
        self.public.write_text(f"{keys.public_key_of(self.private)} {name}\n")
        self._hosts = folder / f"{name}.hosts"

    def can_log_in(self, run: dict[str, str], port: int) -> bool:
        return ssh.try_login(run["floating_ip"], "cc", self.private, self._hosts, port).logged_in


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A server with the public keys of users, by their path."""
    published: dict[str, str] = {}

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            text = published.get(self.path)
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

    server = HttpServer(Handler)
    monkeypatch.setenv("ENVAGENT_KEY__GITHUB", server.url)
    yield published
    server.close()


def test_reviewers_are_let_in_and_out_again(
    cli: Cli, repository: Path, tmp_path: Path, github: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cli.run(repository, "--no-ai")
    run_id, port = run["run_id"], int(run["ssh"].partition("-p ")[2].split()[0])
    ada, octo = Reviewer(tmp_path, "ada"), Reviewer(tmp_path, "octo")
    github["/octo-cat.keys"] = f"{octo.public.read_text()}ssh-ed25519 $(touch${{IFS}}/tmp/x);reboot\nssh-dss AAAA old\n"
    assert f"Nobody else can log in to the server of run {run_id}" in cli("share", run_id).out
    assert not ada.can_log_in(run, port)

    for _ in range(2):
        ended = cli("share", run_id, "--key", str(ada.public), "--json")
        assert ended.code == 0, ended.err
        assert [(one["who"], one["state"]) for one in ended.document["keys"]] == [("ada", "admitted")]
    real = AdmittedKeys.reach

    def lose_response(self: AdmittedKeys, request: AccessRequest) -> None:
        monkeypatch.setattr(AdmittedKeys, "reach", real)
        real(self, request)
        raise OutcomeUnknown("lost")

    monkeypatch.setattr(AdmittedKeys, "reach", lose_response)
    ended = cli("share", run_id, "--key", "gh:octo-cat")
    assert (ended.code, ended.err.count("it is left out")) == (0, 2), ended.err
    assert "gh:octo-cat" in ended.out and "ada" in ended.out
    assert ada.can_log_in(run, port) and octo.can_log_in(run, port)
    hosts = cli.home / "runs" / run_id / "known_hosts"
    target = ssh.Target(run["floating_ip"], "cc", Path(run["private_key"]), hosts, port)
    admitted = AdmittedKeys(target).text()
    assert admitted.count("envagent-shared-") == 2
    with Home(cli.home).opened_journal() as journal:
        changes = [one for one in journal.intents(run_id) if one.kind == "change of access"]
    assert [one.state for one in changes] == ["done", "done"]
    assert "reboot" not in "".join(one.request for one in changes) + admitted

    def lose_request(self: AdmittedKeys, request: AccessRequest) -> None:
        raise SystemExit(137)  # as a kill: the intent is on disk, and nothing was sent

    monkeypatch.setattr(AdmittedKeys, "reach", lose_request)
    assert cli("share", run_id, "--remove", "gh:octo-cat").code == 137
    monkeypatch.setattr(AdmittedKeys, "reach", real)
    assert "not confirmed" in cli("share", run_id).out
    ended = cli("share", run_id, "--remove", "gh:octo-cat", "--json")
    assert [one["who"] for one in ended.document["keys"]] == ["ada"], ended.err
    assert ada.can_log_in(run, port) and not octo.can_log_in(run, port)
    [shown] = ended.document["keys"]
    assert cli("share", run_id, "--remove", shown["fingerprint"], "--json").document["keys"] == []
    assert not ada.can_log_in(run, port)
    assert len(AdmittedKeys(target).text().splitlines()) == 1  # the run's own
    cli("teardown", run_id, "--yes")
    gone = cli("share", run_id, "--key", str(ada.public))
    assert (gone.code, "its server is gone" in gone.err) == (10, True)


def test_nothing_but_public_keys(cli: Cli, tmp_path: Path, github: dict[str, str]) -> None:
    ada = Reviewer(tmp_path, "ada")
    secret = ada.private.read_text()
    (tmp_path / "options").write_text('command="reboot" ' + ada.public.read_text())
    github["/none.keys"] = "\n"
    for source, words in (
        (str(ada.private), "is a private key"),
        (secret, "not a file"),
        (str(tmp_path / "options"), "begins with options"),
        (str(tmp_path / "nowhere"), "does not exist"),
        ("gh:../x", "not the name of a user"),
        ("gh:none", "no public key that can be used"),
        ("gh:unknown", "there are no keys at"),
    ):
        ended = cli("share", "last", "--key", source)
        assert (ended.code, words in ended.err, ended.err.count("hint:")) == (2, True, 1), ended.err
        assert not any(line in ended.err + ended.out for line in secret.splitlines()[1:-1])
