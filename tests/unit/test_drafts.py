from pathlib import Path

import pytest

from envagent.drafts import draft_of, write_whole


def test_a_file_is_replaced_as_a_whole_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)  # the draft's name is its own
    write_whole(path, "old")
    write_whole(path, b"new", mode=0o640)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_what_does_not_get_the_name_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_whole(taken, "text")
    with draft_of(tmp_path / "unused", "text") as draft:
        assert draft.read_text() == "text" and draft.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]
