from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from envagent.cli.render.hint_text import hint_text
from envagent.errors import RepositoryRefused
from envagent.repository.fetch import Limits, fetch
from envagent.repository.git import Cancelled
from tests.kit.git import ENVIRONMENT, git, git_version
from tests.unit.repository.conftest import Make


def test_a_work_tree_gives_its_commit_listing_and_telling_files(make: Make) -> None:
    folder = make({"README.md": "# it\n", "src/main.c": "int main;\n", "requirements.txt": "numpy\n"})
    snapshot = fetch(str(folder))
    assert snapshot.commit == git(folder, "rev-parse", "HEAD")
    assert {e.path: e.size for e in snapshot.entries} == {"README.md": 5, "requirements.txt": 6, "src/main.c": 10}
    assert snapshot.files == {"README.md": "# it\n", "requirements.txt": "numpy\n"}


def test_what_is_not_committed_is_not_seen_and_that_is_said(make: Make) -> None:
    folder = make()
    (folder / "README.md").write_text("changed")
    snapshot = fetch(str(folder))
    assert snapshot.files["README.md"] == "# it\n"
    assert any("uncommitted" in note for note in snapshot.notes)


def test_a_bare_repository_and_a_packed_one(make: Make, tmp_path: Path) -> None:
    folder = make()
    git(tmp_path, "clone", "-q", "--bare", str(folder), "bare.git")
    git(tmp_path / "bare.git", "gc", "-q")
    assert fetch(str(tmp_path / "bare.git")).files == {"README.md": "# it\n"}


def test_a_linked_work_tree_is_read_at_its_own_commit(make: Make, tmp_path: Path) -> None:
    folder = make()
    git(folder, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    (tmp_path / "linked" / "README.md").write_text("other\n")
    git(tmp_path / "linked", "commit", "-qam", "second")
    assert fetch(str(tmp_path / "linked")).files == {"README.md": "other\n"}
    assert fetch(str(folder)).files == {"README.md": "# it\n"}


def test_branch_tag_and_commit_can_be_named(make: Make) -> None:
    folder = make()
    first = git(folder, "rev-parse", "HEAD")
    git(folder, "tag", "v1")
    (folder / "README.md").write_text("second\n")
    git(folder, "commit", "-qam", "second")
    for ref in ("v1", first):
        assert fetch(str(folder), ref=ref).commit == first
    assert fetch(str(folder), ref="main").files["README.md"] == "second\n"
    with pytest.raises(RepositoryRefused, match="no branch, tag or commit 'v9'"):
        fetch(str(folder), ref="v9")


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_a_repository_of_sha256_is_read(make: Make, packed: bool) -> None:
    folder = make({"README.md": "# it\n"}, "modern", "--object-format=sha256")
    if packed:
        git(folder, "gc", "-q")
    commit = git(folder, "rev-parse", "HEAD")
    assert len(commit) == 64
    for ref in (None, "main", commit):
        snapshot = fetch(str(folder), ref=ref)
        assert (snapshot.commit, snapshot.files) == (commit, {"README.md": "# it\n"})


@pytest.mark.parametrize("name", ["feature/x", "issue#40", "功能", "release+1,(x)", "@scope/a@1.0", "100%"])
def test_a_branch_may_have_any_name_that_git_takes(make: Make, name: str) -> None:
    folder = make()
    git(folder, "branch", name)
    assert fetch(str(folder), ref=name).commit == git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("here", "taken"), [(["trunk"], "trunk"), (["dev", "main"], "main"), (["dev", "master"], "master")]
)
def test_a_head_that_names_no_branch_is_replaced_by_the_likeliest(make: Make, here: list[str], taken: str) -> None:
    folder = make()
    git(folder, "branch", "-m", here[0])
    for name in here[1:]:
        git(folder, "branch", name)
    git(folder, "symbolic-ref", "HEAD", "refs/heads/gone")
    snapshot = fetch(str(folder))
    assert (snapshot.ref, snapshot.files) == (taken, {"README.md": "# it\n"})
    assert any(f"read {taken}" in note for note in snapshot.notes)


def test_a_head_that_names_no_branch_is_asked_for_where_none_is_likely(make: Make) -> None:
    folder = make()
    git(folder, "branch", "-m", "one")
    git(folder, "branch", "two")
    git(folder, "symbolic-ref", "HEAD", "refs/heads/gone")
    with pytest.raises(RepositoryRefused, match="one, two") as refused:
        fetch(str(folder))
    assert "--ref one" in hint_text(refused.value.hint)
    assert fetch(str(folder), ref="two").ref == "two"
    git(folder, "branch", "-m", "one", "a;$(reboot)")
    with pytest.raises(RepositoryRefused) as refused:
        fetch(str(folder))
    assert "--ref 'a;$(reboot)'" in hint_text(refused.value.hint)


def as_reftable(folder: Path) -> str:
    """Lay a repository out as git 3 does, without the tables themselves; gives its commit."""
    commit = git(folder, "rev-parse", "HEAD")
    dot = folder / ".git"
    (dot / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\trefStorage = reftable\n"
    )
    (dot / "HEAD").write_text("ref: refs/heads/.invalid\n")
    for path in (dot / "refs").rglob("*"):
        if path.is_file():
            path.unlink()
    shutil.rmtree(dot / "refs" / "heads")
    (dot / "refs" / "heads").write_text("this repository uses the reftable format\n")
    (dot / "reftable").mkdir()
    (dot / "reftable" / "tables.list").write_text("")
    return commit


@pytest.mark.skipif(git_version() >= (2, 45), reason="this git reads reftable")
def test_reftable_is_recognised_by_a_git_that_cannot_read_it(make: Make) -> None:
    folder = make()
    commit = as_reftable(folder)
    with pytest.raises(RepositoryRefused, match="stores its branches as reftable") as refused:
        fetch(str(folder))
    assert "2.45" in hint_text(refused.value.hint) and "--ref" in hint_text(refused.value.hint)
    assert fetch(str(folder), ref=commit).files == {"README.md": "# it\n"}


@pytest.mark.skipif(git_version() < (2, 45), reason="needs git 2.45")
@pytest.mark.parametrize("objects", ["sha1", "sha256"])
def test_reftable_is_read_by_a_git_that_can(make: Make, tmp_path: Path, objects: str) -> None:
    folder = make({"README.md": "# it\n"}, "modern", "--ref-format=reftable", f"--object-format={objects}")
    git(folder, "branch", "topic/x")
    snapshot = fetch(str(folder))
    assert (snapshot.commit, snapshot.files) == (git(folder, "rev-parse", "HEAD"), {"README.md": "# it\n"})
    assert fetch(str(folder), ref="topic/x").ref == "topic/x"
    git(folder, "worktree", "add", "-q", str(tmp_path / "linked"), "topic/x")
    with pytest.raises(RepositoryRefused, match="linked work tree") as refused:
        fetch(str(tmp_path / "linked"))
    assert "--ref" in hint_text(refused.value.hint)
    assert fetch(str(tmp_path / "linked"), ref="topic/x").ref == "topic/x"
    git(folder, "symbolic-ref", "HEAD", "refs/heads/gone")
    assert fetch(str(folder)).ref == "main"


def test_each_way_of_not_being_a_repository_has_its_own_words(tmp_path: Path, make: Make) -> None:
    plain, empty, inside = tmp_path / "plain", tmp_path / "empty", make() / "sub"
    for folder in (plain, empty, inside):
        folder.mkdir()
    git(empty, "init", "-q")
    (tmp_path / "file").write_text("x")
    expected = {
        plain: "is not a git repository",
        empty: "no commits",
        inside: "inside the repository",
        tmp_path / "file": "is a file",
        tmp_path / "absent": "There is no repository",
    }
    for path, words in expected.items():
        with pytest.raises(RepositoryRefused, match=words) as refused:
            fetch(str(path))
        assert hint_text(refused.value.hint)
        assert refused.value.exit_code == 9


def test_a_hint_works_when_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "my project; x"
    folder.mkdir()
    (folder / "README.md").write_text("# it\n")
    with pytest.raises(RepositoryRefused) as refused:
        fetch(str(folder))
    command = hint_text(refused.value.hint).removeprefix("make it one: ")
    subprocess.run(["sh", "-c", command], check=True, capture_output=True, env={**os.environ, **ENVIRONMENT})
    assert fetch(str(folder)).files == {"README.md": "# it\n"}


def test_a_broken_repository_is_refused(make: Make) -> None:
    folder = make({"README.md": "x" * 1000})
    for loose in (folder / ".git" / "objects").glob("??/*"):
        loose.chmod(0o644)
        loose.write_bytes(b"garbage")
    with pytest.raises(RepositoryRefused, match="cannot be read"):
        fetch(str(folder))


def test_borrowed_objects_are_not_followed(make: Make, tmp_path: Path) -> None:
    folder = make()
    git(tmp_path, "clone", "-q", "--shared", str(folder), "borrower")
    with pytest.raises(RepositoryRefused, match="borrows its objects") as refused:
        fetch(str(tmp_path / "borrower"))
    assert "repack" in hint_text(refused.value.hint)


def test_a_file_whose_content_is_missing_is_noted(make: Make) -> None:
    folder = make({"README.md": "# it\n", "setup.py": "setup()\n"})
    oid = git(folder, "rev-parse", "HEAD:setup.py")
    (folder / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    snapshot = fetch(str(folder))
    assert set(snapshot.files) == {"README.md"}
    assert any("setup.py" in note for note in snapshot.notes)
    assert {e.path: e.size for e in snapshot.entries}["setup.py"] is None


def test_long_files_are_cut_and_binaries_left_out_with_a_note(make: Make) -> None:
    folder = make({"README.md": "a" * 5000, "INSTALL.md": b"\x7fELF\x00\x00\x01" * 10})
    snapshot = fetch(str(folder), limits=Limits(file_bytes=1000))
    assert snapshot.files == {"README.md": "a" * 1000}
    assert any("README.md" in note for note in snapshot.notes)
    assert any("INSTALL.md: binary" in note for note in snapshot.notes)


def test_the_sum_of_all_files_is_bounded(make: Make) -> None:
    folder = make({f"requirements-{n}.txt": f"p{n}\n" + "#" * 900 for n in range(10)})
    snapshot = fetch(str(folder), limits=Limits(total_bytes=3000))
    assert len(snapshot.files) == 3
    assert sum("reached the limit" in note for note in snapshot.notes) == 7


def test_the_top_folder_comes_first_when_a_listing_is_cut(make: Make) -> None:
    folder = make({"a/1": "", "a/2": "x", "a/3": "y", "zz-readme.md": "z", "README.md": "r"})
    snapshot = fetch(str(folder), limits=Limits(entries=3))
    assert {"README.md", "zz-readme.md"} <= {e.path for e in snapshot.entries}
    assert any("Only the first 3" in note for note in snapshot.notes)


def test_links_and_submodules_are_counted_not_followed(make: Make) -> None:
    folder = make()
    (folder / "link.md").symlink_to("/etc/hostname")
    git(folder, "add", "-A")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{git(folder, 'rev-parse', 'HEAD')},sub")
    git(folder, "commit", "-qm", "second")
    snapshot = fetch(str(folder))
    assert [e.path for e in snapshot.entries] == ["README.md"]
    assert any("1 symbolic links, 1 submodules" in note for note in snapshot.notes)


def test_time_and_interruption_end_it_and_nothing_stays(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with pytest.raises(RepositoryRefused, match="too long"):
        fetch(str(folder), limits=Limits(seconds=-1))
    with pytest.raises(Cancelled):
        fetch(str(folder), cancelled=lambda: True)
    fetch(str(folder))
    assert list(scratch.iterdir()) == []


def test_a_listing_of_twenty_thousand_files_is_quick(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main", "--bare")
    stream = "commit refs/heads/main\ncommitter a <a@example.org> 1700000000 +0000\ndata 1\nx\n"
    stream += "".join(f"M 100644 inline d{n % 97}/f{n}.py\ndata 2\nx\n\n" for n in range(20_000))
    git(folder, "fast-import", "--quiet", stdin=stream.encode())
    started = time.perf_counter()
    assert len(fetch(str(folder)).entries) == 20_000
    assert time.perf_counter() - started < 20
