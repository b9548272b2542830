"""A slip that can be seen at once leaves nothing: no run, no folder, no key, no entry in the list."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from envagent import keys
from tests.cli.conftest import Cli
from tests.kit.git import git


@pytest.fixture
def unchanged(cli: Cli) -> Iterator[None]:
    """What the home folder holds is the same afterwards."""

    def held() -> set[Path]:
        return {*cli.home.glob("keys/*"), *cli.home.glob("runs/*")}

    def runs() -> list[tuple[str, str]]:
        return [(one["run_id"], one["updated_at"]) for one in cli("status", "--json").document["runs"]]

    before, files = runs(), held()
    yield
    assert runs() == before
    assert held() == files


def refused(cli: Cli, *arguments: str) -> tuple[int, str]:
    ended = cli("run", "--cloud", "sandbox", "--json", *arguments)
    assert "run_id" not in ended.document
    assert "Traceback" not in ended.err
    return ended.code, ended.document["error"]["message"]


def test_a_repository_or_a_branch_that_is_not_there(
    cli: Cli, repository: Path, unchanged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for proxy in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    empty = cli.work / "empty"
    empty.mkdir()
    assert refused(cli, str(empty)) == (9, f"{empty} is not a git repository")
    git(empty, "init", "-q")
    assert refused(cli, str(empty)) == (9, f"The repository has no commits: {empty}")
    code, said = refused(cli, str(repository), "--ref", "nosuch")
    assert (code, said.endswith("has no branch, tag or commit 'nosuch'")) == (9, True)
    code, said = refused(cli, "https://nowhere.invalid/owner/name")
    assert (code, "https://nowhere.invalid/owner/name" in said) == (9, True)


def test_without_git(cli: Cli, repository: Path, unchanged: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(cli.work))
    assert refused(cli, str(repository)) == (9, "git is not installed")


def test_in_a_folder_that_cannot_be_written_to(
    cli: Cli, repository: Path, unchanged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/proc")
    code, said = refused(cli, str(repository))
    assert (code, said.startswith("cannot write SERVER_info.json into the current folder /proc")) == (2, True)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
@pytest.mark.parametrize("by", ["flag", "setting"])
def test_a_key_file_that_cannot_be_used(
    cli: Cli, repository: Path, unchanged: None, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    key = cli.work / "key"
    keys.create_private_key(key)

    def told(path: Path) -> str:
        arguments = [str(repository)]
        if by == "flag":
            arguments += ["--public-key", str(path)]
        else:
            monkeypatch.setenv("ENVAGENT_KEY__PUBLIC_KEY", str(path))
        code, said = refused(cli, *arguments)
        assert code == 2
        return said

    assert told(cli.work / "nowhere.pub") == f"the public key {cli.work}/nowhere.pub does not exist"
    assert told(key) == f"{key} is a private key; the public half is needed"
    public = cli.work / "key.pub"
    public.write_text(f"{keys.public_key_of(key)} me\n")
    key.chmod(0o644)
    assert told(public) == f"other users can read the private key {key} (mode 0644): ssh refuses to use it"


def test_a_cloud_that_is_not_configured_or_an_ai_that_is_demanded(
    cli: Cli, repository: Path, unchanged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("run", str(repository), "--cloud", "nosuch").code == 2
    monkeypatch.setenv("ENVAGENT_AI__REQUIRED", "true")
    assert cli("run", str(repository), "--cloud", "sandbox").code == 8
