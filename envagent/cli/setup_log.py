"""What the steps of a set-up have written: from this machine once a step has ended, from the server while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envagent.cli.documents.run_document import StoredRun
from envagent.cli.documents.setup_document import stored_setup
from envagent.cli.documents.setup_models import JobPart, SetupLogDocument
from envagent.cli.home import Home
from envagent.cli.logins import login_of
from envagent.cli.render.terminal import out, print_document
from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord
from envagent.errors import RunStateError, ServerUnreachable
from envagent.hints import THIS_RUN, Command, Hint
from envagent.steps.node_jobs import Node
from envagent.steps.setup_pipeline import setup_id

PAUSE = 1.0
"""Seconds between two looks with --follow."""


@dataclass(frozen=True, slots=True)
class JobLog:
    """What a job has written (untrusted)."""

    job: str
    text: str
    running: bool


class SetupLog:
    """Reads what the jobs of a run's set-up have written.

    Args:
        folder: where the logs of jobs that have ended are kept.
        node: the server; None if it cannot be logged in to.
    """

    def __init__(self, journal: Journal, run_id: str, folder: Path, node: Node | None) -> None:
        self._journal = journal
        self._run_id = run_id
        self._folder = folder
        self._node = node
        self._shown: dict[str, int] = {}

    def jobs(self) -> list[JobLog]:
        """List the jobs, oldest first, with all that they have written."""
        found = []
        for row in self._journal.resources(setup_id(self._run_id)):
            kept = self._folder / f"{row.cloud_id}.log"
            if kept.exists():
                found.append(JobLog(row.cloud_id, kept.read_text("utf-8", errors="replace"), running=False))
            elif self._node is not None:
                try:
                    found.append(JobLog(row.cloud_id, self._node.log(row.cloud_id), running=True))
                except ServerUnreachable:
                    continue
        return found

    def new_lines(self, jobs: list[JobLog]) -> Iterator[tuple[str, str | None]]:
        """Yield each line that was not shown before, after its job; None stands above the first one of a job."""
        for one in jobs:
            if one.job not in self._shown:
                self._shown[one.job] = 0
                yield one.job, None
            text = one.text[self._shown[one.job] :]
            whole = text[: text.rfind("\n") + 1] if one.running else text
            self._shown[one.job] += len(whole)
            yield from ((one.job, line) for line in whole.splitlines())


def show_setup_log(home: Home, run_id: str, *, follow: bool, as_json: bool) -> int:
    """Print what the jobs of a set-up have written; with `follow`, until none works any more.

    Raises:
        RunStateError: there is no set-up.
    """
    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        if stored_setup(journal, row.run_id) is None:
            how = Hint("to do so:", Command("setup", (THIS_RUN,)))
            error = RunStateError(f"the server of run {row.run_id} has not been set up", hint=how)
            error.run_id = row.run_id
            raise error
        log = SetupLog(journal, row.run_id, home.run(row.run_id) / "setup", _node(home, journal, row))
        if as_json and not follow:
            jobs = [JobPart(job=one.job, output=one.text) for one in log.jobs()]
            print_document(SetupLogDocument(run_id=row.run_id, jobs=jobs))
            return 0
        working = True
        while working:
            attended = home.is_worked_on(setup_id(row.run_id))  # before the last look, so that nothing is missed
            seen = log.jobs()
            for job, line in log.new_lines(seen):
                if not as_json:
                    out().whole((job, "bold") if line is None else f"  {line}")
                elif line is not None:
                    print_document(JobPart(job=job, output=line), in_line=True)
            working = follow and (attended or any(one.running for one in seen))
            if working:
                time.sleep(PAUSE)
    return 0


def _node(home: Home, journal: Journal, row: RunRecord) -> Node | None:
    """Return the server of a run; None once it is gone: what had ended is kept here."""
    try:
        return Node(login_of(home, StoredRun.load(journal, row, working=False)).target, row.run_id)
    except RunStateError:
        return None
