"""What `bench.setups` measures: a mirror may lack the contents of large files, and a failure has a class."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import setups
from tests.kit.git import git, make_repository


def test_a_commit_is_measured_without_the_files_that_the_mirror_lacks(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "one", {"a.py": "1\n", "data/large file.zip": "2\n", "b.py": "3\n"})
    commit = git(repository, "rev-parse", "HEAD")
    assert setups.whole(repository, commit) == commit
    blob = git(repository, "rev-parse", "HEAD:data/large file.zip")
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    made = setups.whole(repository, commit)
    assert git(repository, "ls-tree", "-r", "--name-only", made).split() == ["a.py", "b.py"]
    told = ("show", "-s", "--format=%an %ad %cd %s %P")
    assert git(repository, *told, made) == git(repository, *told, commit)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("fatal: remote error: upload-pack: not our ref 6c2ae5f", "not whole in the mirror"),
        ("py310: skipped because could not find python interpreter with spec(s): py310", "unreachable here"),
        ("FAILED tests/test_a.py\nE   NameResolutionError: example.org", "unreachable here"),
        ("ModuleNotFoundError: No module named 'torch'", "missing module"),
        ("1 failed, 3 passed", "tests failed"),
        ("nothing that is known", None),
    ],
)
def test_a_failure_is_classed_by_what_was_written_last(end: str, expected: str | None) -> None:
    assert setups.classed(f"error: before\n{'.' * 6000}\n{end}") == expected
