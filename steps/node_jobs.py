"""Jobs on a node: steps of a set-up that outlive the connection, each started once, whatever happens to this process.

A job is an object that the run creates: its intent is on disk before it is started, its folder on the node carries the
run's id and its number, and a job that is found there is adopted. `supervise.sh` starts it at most once by itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from envagent import ssh
from envagent.engine.kinds import Found, ObjectRequest
from envagent.environment.setup_plan import SetupStep
from envagent.errors import OutcomeUnknown, ServerUnreachable

JobState = Literal["new", "running", "ended", "died"]

_JOB = re.compile(
    r"job (?P<name>[\w.-]{1,80}) (?P<state>new|running|ended|died) (?P<code>-|\d{1,3}) (?P<digest>[0-9a-f]{0,64}) "
    r"(?P<seconds>-?\d{1,9})(?: (?P<last>.*))?"
)
_NAME = re.compile(r"(?P<step>\d{2})-(?P<words>[\w-]+)\.(?P<number>\d{1,4})")
_TRANSFER_SECONDS = 120
_START_SECONDS = 90


@dataclass(frozen=True, slots=True)
class SeenJob:
    """What the node shows of a job; the text is untrusted."""

    name: str
    state: JobState
    code: int | None
    """Its exit status, once it has ended."""
    digest: str
    seconds: int
    last_line: str


class Node:
    """The node of a run, reached by SSH: its folder for one set-up.

    Args:
        target: its login.
        run_id: the run's id.
        run: runs a command there; another one in tests.
    """

    def __init__(self, target: ssh.Target, run_id: str, run: Callable[..., ssh.Ran] = ssh.run_command) -> None:
        self._target = target
        self._run = run
        self.folder = f".envagent/{run_id}"

    def send(self, path: Path, name: str) -> None:
        """Put a file into the folder, whole or not at all.

        Raises:
            ServerUnreachable: it does not answer, or cannot store the file.
        """
        place = f"{self.folder}/{name}"
        self._asked(f"mkdir -p {self.folder}/jobs", seconds=_TRANSFER_SECONDS)
        self._asked(f"cat > {place}.part", given=path, seconds=_TRANSFER_SECONDS)
        self._asked(f"mv {place}.part {place}", seconds=_TRANSFER_SECONDS)

    def start(self, name: str, number: int, step: SetupStep) -> SeenJob:
        """Start a job, unless it was started before.

        Raises:
            OutcomeUnknown: no answer; it may have been started.
        """
        words = ("start", name, str(number), str(step.minutes * 60), step.digest)
        ran = self._run(self._target, self._command(*words), seconds=_START_SECONDS)
        for job in _read(ran.output):
            if job.name == name and job.state != "new":
                return job
        raise OutcomeUnknown(f"the server did not confirm the start of step {number}", service_said=ran.said or None)

    def look(self) -> list[SeenJob]:
        """Return all jobs of the set-up.

        Raises:
            ServerUnreachable: it does not answer.
        """
        return _read(self._asked(self._command("look")))

    def log(self, name: str) -> str:
        """Return what a job has written (untrusted): the beginning, and the end if it is long.

        Raises:
            ServerUnreachable: it does not answer.
        """
        return self._asked(self._command("read", name), seconds=_TRANSFER_SECONDS)

    def _command(self, *words: str) -> str:
        return shlex.join(["sh", f"{self.folder}/supervise.sh", *words])

    def _asked(self, command: str, *, given: Path | None = None, seconds: float = 60) -> str:
        ran = self._run(self._target, command, given=given, seconds=seconds)
        if ran.code != 0:
            raise ServerUnreachable("the server does not answer by SSH", service_said=ran.said or None)
        return ran.output


def _read(output: str) -> list[SeenJob]:
    found = []
    for line in output.splitlines():
        if shown := _JOB.fullmatch(line):
            state: JobState = shown["state"]  # type: ignore[assignment]  # one of the words of the pattern
            code = None if shown["code"] == "-" else int(shown["code"])
            job = SeenJob(shown["name"], state, code, shown["digest"], int(shown["seconds"]), shown["last"] or "")
            found.append(job)
    return found


class JobRequest(ObjectRequest):
    """What is requested of a job; its digest must be what the node shows."""

    digest: str


@dataclass(frozen=True, slots=True)
class JobKind:
    """The jobs that carry out one step: one, and another after each failure."""

    node: Node
    number: int
    step: SetupStep
    request: type[JobRequest] = JobRequest

    @property
    def name(self) -> str:
        """The kind's name: the step."""
        return f"step {self.number}"

    def job(self, number: int) -> str:
        """Return the name of a job's folder on the node."""
        return f"{self.number:02d}-{self.step.name}.{number}"

    def start(self, number: int) -> Found:
        """Start the job of an intent."""
        return self._found(self.node.start(self.job(number), self.number, self.step), number)

    def find(self, run_id: str | None) -> list[Found]:
        """List the jobs of the step that were started."""
        found = []
        for job in self.node.look():
            named = _NAME.fullmatch(job.name)
            if named and job.state != "new" and job.name == self.job(int(named["number"])):
                found.append(self._found(job, int(named["number"])))
        return found

    def delete(self, cloud_id: str, /) -> None:
        """Leave it: a job's folder is its number, so that there is never a second one."""

    def exists(self, cloud_id: str) -> bool:
        """Return whether the job was started."""
        return any(job.name == cloud_id for job in self.node.look())

    def _found(self, job: SeenJob, number: int) -> Found:
        run_id = ""  # the folder's: the node shows the jobs of one run only
        return Found(job.name, self.step.name, run_id, number, traits={"digest": job.digest})
