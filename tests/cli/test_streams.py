"""What cannot be written is told by the exit code: no traceback, no lost document that looks like success."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

STDOUT_LOST = {"closed": ">&-", "full": ">/dev/full"}
LOST = 12


def in_a_shell(words: str, redirections: str = "") -> subprocess.CompletedProcess[str]:
    command = f"set -o pipefail; {sys.executable} -m envagent {words} {redirections}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ("--help", "closed"),
        ("--version", "full"),
        ("run --help", "full"),
        ("status", "closed"),
        ("status --json", "closed"),
        ("status --json", "full"),
        ("sandbox log --json", "full"),
    ],
)
def test_a_result_that_cannot_be_written_is_no_success(cli: Cli, words: str, lost: str) -> None:
    ended = in_a_shell(words, STDOUT_LOST[lost])
    assert ended.returncode == LOST
    assert ended.stderr.startswith("error: the result could not be written to stdout: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("redirection", STDOUT_LOST.values(), ids=STDOUT_LOST)
def test_the_completion_of_a_line_that_cannot_be_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, redirection: str
) -> None:
    monkeypatch.setenv("_ENVAGENT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "envagent status la")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert in_a_shell("").stdout.split() == ["last"]
    ended = in_a_shell("", redirection)
    assert ended.returncode == LOST
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("redirection", STDOUT_LOST.values(), ids=STDOUT_LOST)
def test_the_failure_itself_stays_the_exit_code(cli: Cli, redirection: str) -> None:
    ended = in_a_shell("status nosuchrun --json", redirection)
    assert ended.returncode == 10
    assert ended.stderr.count("error: ") == 2
    assert "could not be written" in ended.stderr


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_whoever_cannot_read_the_progress_still_gets_the_document(cli: Cli, redirection: str) -> None:
    ended = in_a_shell("status --json", redirection)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "runs" in json.loads(ended.stdout)
    assert in_a_shell("status nosuchrun --json", redirection).returncode == 10
    assert in_a_shell("nonsense", redirection).returncode == 2


def test_with_nothing_open_at_all_only_the_exit_code_tells(cli: Cli) -> None:
    assert in_a_shell("status --json", "<&- >&- 2>&-").returncode == LOST


def test_a_pipe_that_ends_loses_documents_but_is_no_trouble_for_a_person(cli: Cli) -> None:
    lost = in_a_shell("status --json", "| true")
    assert lost.returncode == LOST
    assert "Broken pipe" in lost.stderr
    for words in ("--help", "status"):
        left = in_a_shell(words, "| true")
        assert (left.returncode, left.stderr) == (0, "")


def test_a_run_whose_result_is_lost_is_done_and_says_so(cli: Cli, repository: Path) -> None:
    ended = in_a_shell(f"run {repository} --cloud sandbox --json", ">&-")
    assert ended.returncode == LOST
    assert "envagent status last --json" in ended.stderr
    document = cli("status", "last", "--json").document
    assert document["state"] == "succeeded"
    assert (cli.home / "journal.db").read_bytes().startswith(b"SQLite format 3")
    assert cli("teardown", document["run_id"]).code == 0


def test_no_file_takes_the_place_of_a_closed_stream(cli: Cli) -> None:
    """Whatever is printed there, by us or by a child, would be written into it."""
    code = (
        "import os, sys\n"
        "from envagent.cli.render.terminal import safe_streams\n"
        "with safe_streams():\n"
        "    print('lost')\n"
        "    number = os.open(os.devnull, os.O_WRONLY)\n"
        "os._exit(number)\n"
    )
    ended = subprocess.run(["bash", "-c", f'exec {sys.executable} -c "$0" <&- >&- 2>&-', code], check=False)
    assert ended.returncode > 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_is_cut_short_is_lost(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    cut = tmp_path / "cut"
    ended = subprocess.run(
        ["bash", "-c", f"ulimit -f 1; {sys.executable} -m envagent run --help > {cut}"], capture_output=True, text=True
    )
    assert cut.stat().st_size == 1024
    assert ended.returncode == LOST
    assert "File too large" in ended.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_takes_nothing_now_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    command = [sys.executable, "-m", "envagent", "status", "--json"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode == LOST
    assert "could not be written to stdout" in ended.stderr
    for one in (reading, writing):
        os.close(one)
