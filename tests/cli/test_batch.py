"""A file of repositories: worked on as a whole, continued as a whole, asked about once, removed as a whole."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import pytest

from envagent.cli.batch_file import read_lines
from envagent.errors import UsageError
from tests.cli.conftest import Cli, Sandbox
from tests.kit.git import PLAIN, make_repository

ONCE = {("POST", kind) for kind in ("lease", "server", "keypair")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two repositories next to it, and one that is not there."""
    for name in ("one", "two"):
        make_repository(tmp_path / "class" / name, PLAIN)
    path = tmp_path / "class" / "repos.txt"
    path.write_text("# artifacts\none --hours 2\n\nmissing  # soon\ntwo --hours 3\n")
    return path


def test_a_file_is_worked_on_as_a_whole(cli: Cli, sandbox: Sandbox, file: Path) -> None:
    first = cli("run", "--file", str(file), "--cloud", "sandbox", "--json", "--csv", "result.csv")
    assert first.code == 9, "that of the line that failed"
    lines = first.document["lines"]
    assert [(one["line"], one["state"], one["exit_code"]) for one in lines] == [
        (2, "succeeded", 0),
        (4, "refused", 9),
        (5, "succeeded", 0),
    ]
    assert "no such repository" in lines[1]["error"]["message"]
    with (cli.work / "result.csv").open() as table:
        assert [row["run_id"] for row in csv.DictReader(table)] == [one["run_id"] or "" for one in lines]

    make_repository(file.parent / "missing", PLAIN)
    file.write_text("two --hours 3  # moved up\n" + file.read_text().replace("two --hours 3\n", ""))
    again = cli("run", "--file", str(file), "--cloud", "sandbox", "--json")
    assert again.code == 0, again.err
    runs = {one["repository"].rpartition("/")[2]: one["run_id"] for one in again.document["lines"]}
    assert (runs["one"], runs["two"]) == (lines[0]["run_id"], lines[2]["run_id"])
    assert all(sorted(sandbox.writes(run_id)) == sorted(ONCE) for run_id in runs.values())

    file.unlink()
    removed = cli("teardown", "--file", str(file))
    assert (removed.code, "3 of 3 runs are torn down" in removed.out) == (0, True), removed.err
    for run_id in runs.values():
        assert sorted(sandbox.writes(run_id)) == sorted(ONCE | {("DELETE", kind) for _, kind in ONCE})


def test_nothing_is_reserved_beyond_the_ceiling_for_all(cli: Cli, sandbox: Sandbox, file: Path) -> None:
    file.write_text("one --hours 20\ntwo --hours 3\n")
    ended = cli("run", "--file", str(file), "--cloud", "sandbox", "--max-su-total", "10", "--json")
    beyond, within = ended.document["lines"]
    assert (ended.code, beyond["state"], within["state"]) == (5, "interrupted", "succeeded")
    assert "and 10 of 10 SU are left" in beyond["error"]["message"]
    assert sandbox.writes(beyond["run_id"]) == []
    assert ended.document["su_ceiling"] == within["su_ceiling"] <= 10
    more = cli("resume", "--file", str(file), "--max-su-total", "60", "--json")
    assert [one["state"] for one in more.document["lines"]] == ["succeeded", "succeeded"], more.err
    assert cli("teardown", "--file", str(file)).code == 0


def test_a_person_is_asked_once_with_the_sum(cli: Cli, sandbox: Sandbox, file: Path, real_cloud: str) -> None:
    file.write_text("one --hours 2\ntwo --hours 3\n")
    silent = cli("run", "--file", str(file), "--cloud", real_cloud)
    assert (silent.code, "2 servers, at most 5 SU in all" in silent.err) == (2, True), silent.err
    child = cli.on_terminal("run", "--file", str(file), "--cloud", real_cloud)
    child.until("Reserve 2 servers, at most 5 SU in all?")
    child.type("y\n")
    assert child.end() == 0
    assert child.plain.count("?") == 1 and "2 of 2 are up" in child.plain
    assert cli("teardown", "--file", str(file), "--yes").code == 0


def test_a_stop_stops_all_and_all_continue(cli: Cli, sandbox: Sandbox, file: Path) -> None:
    file.write_text("one --hours 2\ntwo --hours 3\n")
    sandbox.speed(20)
    child = cli.start("run", "--file", str(file), "--cloud", "sandbox", "--json")
    for name in ("one", "two"):
        child.until(f"-1-{name}")  # its lease
    second = cli("run", "--file", str(file), "--cloud", "sandbox")
    assert (second.code, "another process is working on" in second.err) == (10, True)
    child.send(signal.SIGINT)
    assert child.wait() == 130
    sandbox.speed(5000)
    ended = cli("resume", "--file", str(file), "--json")
    assert ended.code == 0, ended.err
    for one in ended.document["lines"]:
        assert sorted(sandbox.writes(one["run_id"])) == sorted(ONCE)
    assert cli("teardown", "--file", str(file)).code == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a b", "unrecognized arguments: b"),
        ("--hours 3", "required: repo"),
        ("a --hours 400", "from 1 to 168, not 400"),
        ("a --max-su nan", "from 0 to 1000000"),
        ("a --server-name x", "unrecognized"),
        ("ftp://host/a", ""),
        ('a "b', "no closing quotation"),
    ],
)
def test_a_line_that_is_not_valid_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "repos.txt"
    path.write_text(f"# one\nfine\n{line}\n")
    with pytest.raises(UsageError) as refused:
        read_lines(path)
    assert f"{path}:3: " in refused.value.message
    assert said in refused.value.message


def test_options_of_a_file_need_one(cli: Cli) -> None:
    ended = cli("run", "https://github.com/a/b", "--max-su-total", "3")
    assert (ended.code, ended.err) == (2, "error: --max-su-total needs a file of repositories\nhint: --file\n")
