"""A pack of a finished run: what is in the folder, what is not, and the same run made again from it alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from envagent.repository import fetch
from tests.cli.conftest import Cli
from tests.kit.git import make_repository

URL = "https://github.com/owner/toy"
FILES = {
    "requirements.txt": "torch==2.1\n",
    "README.md": "# toy\n\nNeeds a GPU with 16 GB; ask ada.lovelace@example.org or use token=abcdef123456 there.\n",
    "tests/test_it.py": "def test_it():\n    pass\n",
}
SECRETS = ("ada.lovelace@example.org", "abcdef123456", "PRIVATE KEY")


@pytest.fixture
def at_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A repository with a public address, read from a folder of this machine; give what takes both away."""
    folder = make_repository(tmp_path / "toy", FILES)
    read = fetch.fetch

    def of_folder(source: str, **options: Any) -> Any:
        assert source == URL
        return read(str(folder), **{**options, "ref": None}).model_copy(update={"url": f"{URL}.git"})

    monkeypatch.setattr(fetch, "fetch", of_folder)
    monkeypatch.setattr(fetch, "find", lambda source, **options: None)

    def gone() -> None:
        def unreachable(*_: Any, **__: Any) -> None:
            raise AssertionError("the repository is read again")

        shutil.rmtree(folder)
        monkeypatch.setattr(fetch, "fetch", unreachable)
        monkeypatch.setattr(fetch, "find", unreachable)

    return gone


def test_a_pack_of_a_finished_run_is_run_again_from_its_folder_alone(
    cli: Cli, at_github: Callable[[], None], real_cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = cli("run", URL, "--cloud", "sandbox", "--hours", "3", "--setup", "--no-ai", "--json")
    assert ended.code == 0, ended.err
    run = ended.document
    made = cli("pack", run["run_id"], "-o", "artifact", "--json")
    assert made.code == 0, made.err
    packed = made.document
    folder = tmp_path / "moved"
    (cli.work / "artifact").rename(folder)
    assert {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()} == set(packed["files"])
    assert packed["missing"] == ["a proof: the server is simulated"]
    script = cli("plan", URL, "--cloud", "sandbox", "--show-setup", "--no-ai").out
    assert (folder / "setup.sh").read_text().splitlines()[1:] == [
        line.replace(SECRETS[0], "[e-mail address]").replace(SECRETS[1], "[redacted]")
        for line in script.splitlines()[1:]
    ]
    subprocess.run(["bash", "-n", folder / "setup.sh"], check=True)
    everything = "".join((folder / name).read_text() for name in packed["files"])
    for word in (*SECRETS, str(cli.home), str(tmp_path), run["floating_ip"], run["private_key"]):
        assert word not in everything
    assert "Model name" in (folder / "node" / "lscpu.txt").read_text()
    assert json.loads((folder / "result.json").read_text())["cost"]["su_estimate"] == run["cost"]["su_estimate"]
    assert "nothing is proved" in (folder / "README.md").read_text()
    root = ROCrate(folder).root_dataset
    assert {part.id for part in root["hasPart"]} == set(packed["files"]) - {"ro-crate-metadata.json", "trovi.json"}
    assert root["author"][0]["name"] == "The authors of owner/toy" and isinstance(root["keywords"], str)

    refused(cli, folder, "setup.sh", b"reboot\n", "was changed after it was packed: setup.sh")
    refused(cli, folder, "pack.json", b'"hours": 3', "was changed after it was packed: pack.json", b'"hours": 4')
    refused(cli, folder, "result.json", None, "was changed after it was packed: result.json")
    (folder / "README.md").write_text("Ours.\n")
    kept = cli("pack", run["run_id"], "-o", str(folder))
    assert (kept.code, "is not an unchanged pack" in kept.err) == (2, True)

    at_github()
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "elsewhere"))
    ended = cli("run", "--from", str(folder), "--cloud", real_cloud, "--yes", "--json")
    assert ended.code == 0, ended.err
    again = ended.document
    for name in ("repository", "requirements", "node_type", "image"):
        assert again[name] == run[name], name
    assert again["plan"]["hours"] == 3
    steps = [(one["name"], one["commands"], one["state"]) for one in again["setup"]["steps"]]
    assert steps == [(one["name"], one["commands"], "succeeded") for one in run["setup"]["steps"]]
    settled = cli("run", "--from", str(folder), "--hours", "5")
    assert (settled.code, "the pack settles --hours" in settled.err) == (2, True)
    cli("teardown", again["run_id"], "--yes")
    late = cli("pack", again["run_id"], "--json").document
    assert "its server is gone" in late["missing"][0] and "setup.sh" in late["files"]


def refused(cli: Cli, folder: Path, name: str, old: bytes | None, words: str, new: bytes = b"") -> None:
    """Change a file of a pack, see that a run of it is refused in one error with a hint, and change it back."""
    path = folder / name
    content = path.read_bytes()
    if old is None:
        path.unlink()
        path.symlink_to("/etc/passwd")
    else:
        path.write_bytes(content.replace(old, new) if old in content else content + old)
    ended = cli("run", "--from", str(folder))
    assert (ended.code, words in ended.err, ended.err.count("hint:")) == (2, True, 1), ended.err
    path.unlink()
    path.write_bytes(content)
