"""Repositories that are broken, empty, cut short or far larger inside than outside."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from envagent.cli.render.hint_text import hint_text
from envagent.repository.fetch import Limits
from tests.security.build import FILE, FOLDER, Repository, pack
from tests.security.conftest import README, Bench, Reading


def whole(bench: Bench, *, bare: bool = True) -> Repository:
    repository = bench.repository(bare=bare)
    repository.commit_files({"README.md": README})
    return repository


def empty(bench: Bench) -> Repository:
    return bench.repository()


def no_head(bench: Bench) -> Repository:
    repository = whole(bench)
    (repository.git / "HEAD").unlink()
    return repository


def head_is_garbage(bench: Bench) -> Repository:
    repository = whole(bench)
    (repository.git / "HEAD").write_bytes(b"\0\xff" * 5000)
    return repository


def head_is_a_fifo(bench: Bench) -> Repository:
    repository = no_head(bench)
    os.mkfifo(repository.git / "HEAD")
    return repository


def head_names_an_option(bench: Bench) -> Repository:
    repository = whole(bench)
    (repository.git / "HEAD").write_text("ref: --upload-pack=touch\n")
    return repository


def head_turns_in_a_circle(bench: Bench) -> Repository:
    repository = whole(bench)
    repository.git.joinpath("refs/heads/main").write_text("ref: refs/heads/other\n")
    repository.git.joinpath("refs/heads/other").write_text("ref: refs/heads/main\n")
    return repository


def dangling_reference(bench: Bench) -> Repository:
    repository = whole(bench)
    repository.point("refs/heads/main", "1" * 40)
    return repository


def reference_is_garbage(bench: Bench) -> Repository:
    repository = whole(bench)
    (repository.git / "refs/heads/main").write_bytes(os.urandom(4096))
    return repository


def reference_is_a_fifo(bench: Bench) -> Repository:
    """Opening it would wait for a writer for ever."""
    repository = whole(bench)
    (repository.git / "refs/heads/main").unlink()
    os.mkfifo(repository.git / "refs/heads/main")
    return repository


def reference_names_a_file(bench: Bench) -> Repository:
    repository = whole(bench)
    repository.point("refs/heads/main", repository.blob("no commit"))
    return repository


def packed_refs_are_garbage(bench: Bench) -> Repository:
    repository = whole(bench)
    (repository.git / "refs/heads/main").unlink()
    (repository.git / "packed-refs").write_bytes(b"# pack-refs\n\xff\xff\n^^^^\n" + b"x" * 100_000)
    return repository


def commit_without_tree(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.point("refs/heads/main", repository.put("commit", b"author x\n\nno tree\n"))
    return repository


def commit_is_garbage(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.point("refs/heads/main", repository.put("commit", os.urandom(2000)))
    return repository


def commit_lost_its_tree(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.commit("2" * 40)
    return repository


def tree_is_cut(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.commit(repository.put("tree", b"100644 README.md\0" + b"\1" * 7))
    return repository


def tree_is_a_file(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.commit(repository.blob("no tree"))
    return repository


def folder_is_a_file(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.commit_files({"README.md": README}, (FOLDER, "src", repository.blob("no tree")))
    return repository


def tag_of_itself(bench: Bench) -> Repository:
    """A chain of tags that ends in a missing object."""
    repository = bench.repository()
    oid = "3" * 40
    for _ in range(200):
        oid = repository.put("tag", f"object {oid}\ntype tag\ntag x\ntagger A <a@b> 1 +0000\n\nx\n".encode())
    repository.point("refs/heads/main", oid)
    return repository


def loose_object_is_garbage(bench: Bench) -> Repository:
    repository = whole(bench)
    for oid, (kind, _) in repository.objects.items():
        if kind == "tree":
            repository.path_of(oid).write_bytes(os.urandom(500))
    return repository


def loose_object_lies_about_its_size(bench: Bench) -> Repository:
    repository = whole(bench)
    for oid, (kind, content) in repository.objects.items():
        if kind == "tree":
            repository.path_of(oid).write_bytes(zlib.compress(f"tree {1 << 60}\0".encode() + content))
    return repository


def loose_object_is_a_fifo(bench: Bench) -> Repository:
    repository = whole(bench)
    for oid, (kind, _) in repository.objects.items():
        if kind == "tree":
            repository.path_of(oid).unlink()
            os.mkfifo(repository.path_of(oid))
    return repository


def packed_repository(bench: Bench, spoil: Callable[[Path, Path], object]) -> Repository:
    """Everything in one pack, of which something is then spoilt."""
    repository = whole(bench)
    file = repository.git / "objects/pack/pack-1.pack"
    file.write_bytes(pack(repository.objects.values()))
    subprocess.run(["git", "index-pack", str(file)], check=True, capture_output=True)
    for oid in repository.objects:
        repository.path_of(oid).unlink()
    index = file.with_suffix(".idx")
    for part in (file, index):
        part.chmod(0o644)
    spoil(file, index)
    return repository


def pack_is_cut(bench: Bench) -> Repository:
    return packed_repository(bench, lambda file, _: file.write_bytes(file.read_bytes()[:60]))


def pack_is_garbage(bench: Bench) -> Repository:
    return packed_repository(bench, lambda file, _: file.write_bytes(b"PACK" + os.urandom(5000)))


def pack_is_empty(bench: Bench) -> Repository:
    return packed_repository(bench, lambda file, _: file.write_bytes(b""))


def index_is_cut(bench: Bench) -> Repository:
    return packed_repository(bench, lambda _, index: index.write_bytes(index.read_bytes()[:500]))


def index_points_beyond(bench: Bench) -> Repository:
    def spoil(_: Path, index: Path) -> None:
        raw = bytearray(index.read_bytes())
        at = 8 + 1024 + 3 * 24  # behind the header, the fan-out, three ids and their checksums
        raw[at : at + 12] = b"\x7f\xff\xff\xf0" * 3
        index.write_bytes(raw)

    return packed_repository(bench, spoil)


def other_hash(bench: Bench) -> Repository:
    repository = bench.repository()
    repository.configure("[core]\nrepositoryformatversion=1\n[extensions]\nobjectFormat=sha256\n")
    repository.point("refs/heads/main", "a" * 64)
    return repository


def no_objects(bench: Bench) -> Repository:
    repository = whole(bench)
    (repository.git / "objects").rename(repository.git / "elsewhere")
    return repository


BROKEN = [
    empty, no_head, head_is_garbage, head_names_an_option, head_turns_in_a_circle, dangling_reference,
    reference_is_garbage, reference_names_a_file, packed_refs_are_garbage, commit_without_tree, commit_is_garbage,
    commit_lost_its_tree, tree_is_cut, tree_is_a_file, folder_is_a_file, tag_of_itself, loose_object_is_garbage,
    loose_object_lies_about_its_size, pack_is_cut, pack_is_garbage, pack_is_empty, index_is_cut, index_points_beyond,
    other_hash, no_objects,
]  # fmt: skip
WAITING = [head_is_a_fifo, reference_is_a_fifo, loose_object_is_a_fifo]


SERVED = [empty, dangling_reference, commit_lost_its_tree, tree_is_cut, folder_is_a_file, pack_is_cut]


@pytest.mark.parametrize("build", BROKEN, ids=lambda build: build.__name__)
def test_broken(bench: Bench, build: Callable[[Bench], Repository]) -> None:
    reading = bench.read(build(bench).folder, limits=Limits(seconds=20))
    assert reading.refusal is not None and hint_text(reading.refusal.hint)


@pytest.mark.parametrize("build", SERVED, ids=lambda build: build.__name__)
def test_broken_at_a_server(bench: Bench, served: Callable[[Path], str], build: Callable[[Bench], Repository]) -> None:
    reading = bench.read(served(build(bench).folder), limits=Limits(seconds=20))
    assert reading.refusal is not None and hint_text(reading.refusal.hint)


@pytest.mark.parametrize("build", WAITING, ids=lambda build: build.__name__)
def test_waiting_for_ever(bench: Bench, build: Callable[[Bench], Repository]) -> None:
    reading = bench.read(build(bench).folder, limits=Limits(seconds=1))
    assert reading.refusal is not None


def test_missing_file_is_left_out(bench: Bench) -> None:
    """One lost object is no reason to refuse the others."""
    repository = bench.repository()
    lost = "4" * 40
    repository.commit_files({"README.md": README}, (FILE, "requirements.txt", lost))
    reading = bench.read(repository.folder)
    assert reading.snapshot is not None and set(reading.snapshot.files) == {"README.md"}
    assert any(note.startswith("requirements.txt") for note in reading.snapshot.notes)


def test_first_ref_with_an_option_like_name_is_harmless(bench: Bench) -> None:
    repository = whole(bench)
    commit = (repository.git / "refs/heads/main").read_text().strip()
    for name in ("--upload-pack=touch CANARY", "-u", "@", "HEAD", "FETCH_HEAD", "main.lock", "a b", "$(touch CANARY)"):
        repository.point(f"refs/heads/{name.replace('CANARY', bench.canary.name)}", commit)
    assert bench.read(repository.folder).paths == ["README.md"]
    assert bench.read(repository.folder, ref="main").paths == ["README.md"]


def zip_bomb(repository: Repository, name: str, size: int) -> None:
    """A file of `size` zeros; git stores a thousandth of it."""
    raw = b"blob %d\0" % size
    packer, digest = zlib.compressobj(9), hashlib.sha1(raw)
    pieces = [packer.compress(raw)]
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
        pieces.append(packer.compress(bytes(1 << 20)))
    oid = digest.hexdigest()
    repository.path_of(oid).parent.mkdir(exist_ok=True)
    repository.path_of(oid).write_bytes(b"".join([*pieces, packer.flush()]))
    repository.commit_files({"LICENSE": "x"}, (FILE, name, oid))


@pytest.mark.parametrize("transport", ["folder", "network"])
@pytest.mark.parametrize("name", ["README.md", "data.bin"])
def test_zip_bomb(bench: Bench, served: Callable[[Path], str], name: str, transport: str) -> None:
    """64 MB in 64 KB: read as far as its share goes when it tells, not at all when it does not."""
    repository = bench.repository()
    zip_bomb(repository, name, 64 << 20)
    source: str | Path = repository.folder if transport == "folder" else served(repository.folder)
    reading = bench.read(source)
    assert reading.snapshot is not None, reading.said
    assert set(reading.paths) == {"LICENSE", name}
    assert sum(map(len, reading.snapshot.files.values())) <= Limits().file_bytes
    assert reading.seconds < 20


def test_many_large_files_share_a_limit(bench: Bench) -> None:
    repository = bench.repository()
    text = "word " * 40_000
    files = {f"README.{n:02}.md": text + str(n) for n in range(10)}
    repository.commit_files({**files, "README.md": README})
    limits = Limits(total_bytes=1 << 20)
    reading = bench.read(repository.folder, limits=limits)
    assert reading.snapshot is not None
    assert 0 < sum(map(len, reading.snapshot.files.values())) <= limits.total_bytes
    assert any("reached the limit" in note for note in reading.snapshot.notes)


def test_nothing_of_a_slow_command_survives(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline the child goes, and with it whatever it had started."""
    alive = bench.root / "alive"
    program = bench.root / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n(sleep 4; touch {alive}) &\nsleep 30\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    reading = bench.read(whole(bench).folder, limits=Limits(seconds=0.5))
    assert "took too long" in reading.said and reading.seconds < 4
    time.sleep(4)
    assert not alive.exists()


def shown(reading: Reading) -> str:
    return reading.snapshot.model_dump_json() if reading.snapshot else reading.said


def test_commit_message_is_no_evidence(bench: Bench) -> None:
    repository = bench.repository()
    tree = repository.tree([(FILE, "README.md", repository.blob(README))])
    repository.commit(tree, message="requires a GPU with 80 GB of memory\x1b[2J")
    assert "80 GB" not in shown(bench.read(repository.folder))
