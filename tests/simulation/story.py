"""The seeded simulation: faults, kills and user commands mixed, on a virtual clock.

The real steps and the real engine run on a real journal against `SimulatedCloud`. Each seed is one story of one
run; after every call the cloud's own books are checked. A failing seed replays the same.
"""

from __future__ import annotations

import random
import tempfile
import threading
from collections import Counter
from concurrent.futures import Executor, Future
from datetime import timedelta
from pathlib import Path
from typing import Any

from envagent.advice.advisor import Advisor
from envagent.config import Settings
from envagent.engine.execution import Outcome
from envagent.engine.journal import Journal
from envagent.engine.loop import run_until_idle
from envagent.engine.pipeline import Pipeline
from envagent.engine.removal import Teardown
from envagent.engine.runner import Runner
from envagent.engine.runtime import Runtime
from envagent.engine.step import Stopped, stage
from envagent.errors import CloudError, EnvagentError, LeftoversExist
from envagent.repository.results import Analysis, Requirements, Sizing
from envagent.steps import PROVISIONING
from envagent.steps.analyze_repository import AnalyzedRepository, AnalyzeRepository
from envagent.steps.initialize import Initialized
from envagent.steps.request import RunRequest
from envagent.steps.resources import registered_keys, removal_order
from envagent.steps.services import Services, StepContext
from tests.simulation.cloud import CALM, Killed, SimulatedCloud, VirtualClock

SETTLE = timedelta(seconds=60)
KINDS = ("lease", "server", "floating_ip", "keypair")


class Read(AnalyzeRepository):
    """Analysis without a repository: the story is about the cloud."""

    @stage
    def analyze(self, context: StepContext, request: RunRequest, initialized: Initialized) -> AnalyzedRepository:
        sizing = Sizing(cpu_cores=4, ram_gb=8, disk_gb=20)
        analysis = Analysis(requirements=Requirements(), sizing=sizing)
        return AnalyzedRepository(url=request.repository, commit=None, analysis=analysis)


Read.name = AnalyzeRepository.name
PIPELINE = Pipeline(
    PROVISIONING.name,
    RunRequest,
    [Read() if step.name == Read.name else step for step in PROVISIONING.steps.values()],
)


class Inline(Executor):
    """Runs at once what is submitted: one order of events for one seed."""

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except BaseException as error:
            future.set_exception(error)
        return future


class Story:
    """One seed: one run, from its beginning to proven absence."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(~seed)
        self.clock = VirtualClock()
        self.cloud = SimulatedCloud(seed, self.clock)
        self.folder = folder
        self.run_id = "".join(self.rng.choices("abcdefghjkmnpqrstvwxyz23456789", k=10))
        self.counts: Counter[str] = Counter()
        settings = Settings(home=folder)
        self.settings = settings.model_copy(update={"ssh": settings.ssh.model_copy(update={"enabled": False})})

    def run(self) -> None:
        ended = self._life(begin=True)
        lives = 1
        while ended not in (Outcome.SUCCEEDED, None) and lives < 12:
            if self.rng.random() < 0.1:
                self._teardown()
                break
            self.clock.at += timedelta(seconds=self.rng.choice([0, 0.2, 5, 70, 4000]))
            ended = self._life()
            lives += 1
            self.counts["resumes"] += 1
        torn = self._row().teardown_at is not None
        self.cloud.mischief = CALM
        if not torn:
            ended = self._finish_calmly(ended)
        self._tear_down_for_good()

    def _finish_calmly(self, ended: Outcome | None) -> Outcome | None:
        for _ in range(3):
            if ended is Outcome.SUCCEEDED:
                break
            ended = self._life()
        if ended is Outcome.SUCCEEDED:
            self.counts["succeeded"] += 1
            counts = {kind: len(self.cloud.live(kind, self.run_id)) for kind in KINDS}
            if not self.cloud.lost_to_somebody:
                address = counts.pop("floating_ip")
                if set(counts.values()) != {1} or address > 1:
                    self.cloud.violations.append(f"a succeeded run has {counts}, {address} floating IPs")
        elif self.cloud.lost_to_somebody:
            self.counts["lost to somebody"] += 1
        else:
            self.cloud.violations.append(f"the run does not end well in calm weather: {self._row().error}")
        return ended

    def _tear_down_for_good(self) -> None:
        self.cloud.mischief = type(self.cloud.mischief)(fails=0, somebody=0)
        for _ in range(self.rng.choice([0, 1, 3])):
            self._teardown()
        self.cloud.mischief = CALM
        if not self._teardown():
            self.cloud.violations.append("teardown does not end in calm weather")
        self.clock.at += timedelta(hours=1)
        self.cloud._arrive()
        for kind in KINDS:
            if self.cloud.live(kind, self.run_id):
                self.cloud.violations.append(f"left behind: {self.cloud.live(kind, self.run_id)}")
        self.cloud.check(self.run_id)

    def _row(self) -> Any:
        journal = Journal.open(self.folder / "journal.db")
        try:
            return journal.run("last")
        finally:
            journal.close()

    def _open(self) -> tuple[Journal, Services, threading.Event]:
        self.cloud.dead = False
        stop = threading.Event()
        self.cloud.on_stop = stop.set
        journal = Journal.open(self.folder / "journal.db")
        journal.before_commit = self._commit
        services = Services(
            self.settings,
            run_folder=self.folder / "run",
            key_folder=self.folder / "keys",
            connect=lambda: self.cloud,
            advise=Advisor,
        )
        return journal, services, stop

    def _commit(self) -> None:
        if self.cloud.dead:
            raise Killed
        if self.cloud.rng.random() < self.cloud.mischief.kill / 3:
            self.cloud._die("at a commit")

    def _runtime(self, journal: Journal, stop: threading.Event) -> Runtime:
        return Runtime(journal, self.clock, settle=SETTLE, stop=stop)

    def _life(self, *, begin: bool = False) -> Outcome | None:
        """One process: begin or resume, until it ends or is killed."""
        journal, services, stop = self._open()
        runner: Runner[Services] = Runner(PIPELINE, self._runtime(journal, stop), pool=Inline())
        try:
            if begin:
                request = RunRequest(repository="https://example.org/a/thing", output_folder=self.folder)
                journal.before_commit = None
                execution = runner.begin(request, services, run_id=self.run_id)
                runner.approve(execution)
                journal.before_commit = self._commit
            else:
                execution = runner.resume(journal.run("last"), services)
            progress = run_until_idle(runner, [execution])[0].checked()
        except Killed:
            self.counts["kills"] += 1
            return Outcome.STOPPED
        else:
            self.counts[progress.outcome.value] += 1
            return progress.outcome
        finally:
            journal.close()

    def _teardown(self) -> bool:
        journal, services, stop = self._open()
        try:
            kinds = list(removal_order(services.cloud, registered_keys(journal.intents(self.run_id))))
            Teardown(self._runtime(journal, stop), kinds).run(journal.run("last"))
        except (Killed, Stopped, LeftoversExist, CloudError):
            self.counts["teardowns cut short"] += 1
            return False
        else:
            return True
        finally:
            journal.close()


def play(seed: int) -> Story:
    """Tell one story.

    Raises:
        AssertionError: it broke a promise; the story's trail is in the message.
    """
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="envagent-simulation-", dir=base) as folder:
        story = Story(seed, Path(folder))
        try:
            story.run()
        except (EnvagentError, AssertionError, KeyError, ValueError) as error:
            story.cloud.violations.append(f"{type(error).__name__}: {error}")
    if story.cloud.violations:
        trail = "\n".join(story.cloud.trail)
        raise AssertionError(f"seed {seed}: {story.cloud.violations[0]}\n{trail}")
    return story
