"""Folders of packed runs that somebody else wrote: what is refused, and that none is half written or overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envagent.cli import pack_folder
from envagent.cli.pack_folder import PACK, SCRIPT, PackFile, check_target, pack_file, read_pack, write_folder
from envagent.environment.setup_plan import SetupPlan, SetupStep
from envagent.environment.setup_script import setup_script
from envagent.errors import PlanOutdated, UsageError
from envagent.repository.results import Analysis, Requirements, Sizing
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.packed_run import PackedRun

URL, COMMIT, RUN = "https://github.com/owner/toy", "a" * 40, "k3j9"
PLAN = SetupPlan(
    url=URL,
    commit=COMMIT,
    name="toy",
    steps=(SetupStep(name="one", phase="build", title="build it", commands=(("verbatim", "make"),)),),
)
PACKED = PackedRun(
    repository=URL,
    commit=COMMIT,
    site="CHI@UC",
    node_type="compute_skylake",
    image_id="1",
    image_name="CC-Ubuntu24.04",
    hours=2,
    setup=True,
    analyzed=AnalyzedRepository(
        url=URL,
        commit=COMMIT,
        analysis=Analysis(requirements=Requirements(), sizing=Sizing(cpu_cores=1, ram_gb=1, disk_gb=1)),
        setup=PLAN,
    ),
)
FILES = {SCRIPT: setup_script(PLAN), "README.md": "# toy\n", "node/lscpu.txt": "CPU\n"}


def contents() -> dict[str, str]:
    return {**FILES, PACK: pack_file(RUN, PACKED, FILES)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pack"
    write_folder(path, RUN, contents())
    return path


def change(**values: Any) -> Callable[[Path], None]:
    """Change `packed` in the file and compute its checksum again, as whoever means harm would."""

    def forge(folder: Path) -> None:
        stored = PackFile.model_validate_json((folder / PACK).read_text())
        for path, value in values.items():
            *parents, last = path.split("__")
            place: Any = stored.packed
            for name in parents:
                place = place[int(name) if name.isdigit() else name]
            place[last] = value
        stored.digest = stored.own_digest
        (folder / PACK).write_text(stored.model_dump_json())

    return forge


def rewrite(**values: Any) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        (folder / PACK).write_text(json.dumps({**json.loads((folder / PACK).read_text()), **values}))

    return forge


def link(name: str) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        (folder / name).rename(folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return forge


def pipe(folder: Path) -> None:
    (folder / SCRIPT).unlink()
    os.mkfifo(folder / SCRIPT)


def huge(folder: Path) -> None:
    with (folder / PACK).open("wb") as file:
        file.truncate(1 << 34)


def test_what_was_written_is_read(folder: Path) -> None:
    assert read_pack(folder) == PACKED
    (folder / "README.md").write_text("Ours.\n")
    (folder / "notes.txt").write_text("Ours, too.\n")
    assert read_pack(folder) == PACKED


@pytest.mark.parametrize(
    "forge",
    [
        change(hours=900),
        change(repository="/etc"),
        change(repository="https://github.com/other/toy"),
        change(commit="main"),
        change(image_id="../../tasks"),
        change(analyzed__setup__name=".."),
        change(analyzed__setup__folder="../../x"),
        change(analyzed__setup__steps__0__name="../../x"),
        change(analyzed__setup__steps__0__minutes=10**9),
        change(analyzed__setup__steps__0__commands=[["verbatim", "reboot"]]),
        change(analyzed__setup__steps__0__commands=[["verbatim", "make\x1b[2J"]]),
        change(further=1),
        rewrite(files={"../outside": "0"}),
        rewrite(files={f"x{number}": "0" for number in range(1000)}),
        rewrite(kind="something"),
        rewrite(envagent="1; reboot"),
        link(PACK),
        link(SCRIPT),
        link("node"),
        pipe,
        huge,
    ],
)
def test_a_forged_folder_is_refused(folder: Path, forge: Callable[[Path], None]) -> None:
    forge(folder)
    with pytest.raises(UsageError) as refused:
        read_pack(folder)
    assert len(refused.value.message) < 600 and refused.value.message.isprintable()


def test_another_version_is_named(folder: Path) -> None:
    rewrite(envagent="99.0")(folder)
    with pytest.raises(PlanOutdated, match=r"packed by envagent 99\.0"):
        read_pack(folder)


def test_a_folder_is_written_whole_and_over_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(folder, RUN, contents())  # an untouched pack of the same run
    with pytest.raises(UsageError):
        check_target(folder, "other")
    for other in (folder.parent, Path("/etc/passwd")):
        with pytest.raises(UsageError):
            check_target(other, RUN)
    before = sorted(folder.rglob("*"))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("_give_name", "check_target"):
        with monkeypatch.context() as patched:
            patched.setattr(pack_folder, name, full)
            with pytest.raises(UsageError, match="No space left"):
                write_folder(folder, RUN, contents())
    assert sorted(folder.rglob("*")) == before and read_pack(folder) == PACKED
    assert [one.name for one in folder.parent.iterdir()] == ["pack"]
