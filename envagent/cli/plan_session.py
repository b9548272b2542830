"""A plan without a run: the steps of a run in a journal that is thrown away, up to the approval that nobody gives.

It is the same pipeline, request and advisor, so a plan and the run that follows it differ only in what the cloud shows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli.audience import Audience
from envagent.cli.clouds import CloudAccess
from envagent.cli.documents.plan_document import plan_document
from envagent.cli.documents.run_document import StoredRun
from envagent.cli.home import Home
from envagent.cli.wiring import make_runner, make_services
from envagent.engine.execution import Outcome
from envagent.engine.intents import load_error
from envagent.engine.journal import Journal
from envagent.engine.loop import run_until_idle
from envagent.engine.tables import EventKind, new_run_id
from envagent.steps import PROVISIONING
from envagent.steps.plan import Approved

if TYPE_CHECKING:
    from envagent.cli.documents.run_models import PlanDocument
    from envagent.cli.render.progress import ProgressLines
    from envagent.engine.runtime import Listener
    from envagent.steps.request import RunRequest


def planned(home: Home, access: CloudAccess, request: RunRequest, audience: Audience) -> PlanDocument | int:
    """Make the plan of a request; nothing is written to the cloud, and no run is recorded.

    Returns:
        The plan, or the exit code of a stop request.

    Raises:
        EnvagentError: what would fail a run before its approval.
    """
    output, run_id = audience.progress(), new_run_id()
    with ExitStack() as stack:
        journal = stack.enter_context(_scratch_journal())
        stop = stack.enter_context(audience.stoppable(lambda: output.say("Stopping."), output.restore))
        dearer = audience.dearer(simulated=access.simulated)
        services = make_services(home, journal, access, run_id, request, stop.event, dearer=dearer)
        stack.callback(services.close)
        runner = make_runner(journal, access.settings, _all_but_warnings(output), stop.event)
        stack.callback(runner.close)
        execution = runner.begin(request, services, run_id=run_id)
        before = PROVISIONING.independent_of(PROVISIONING.producer(Approved).key)
        output.watch([row for key, row in execution.run.stages.items() if key in before], {}, {})
        with output:
            progress = run_until_idle(runner, [execution])[0].checked()
        row = execution.run.row
        match progress.outcome:
            case Outcome.BLOCKED:
                return plan_document(StoredRun.load(journal, row, working=False), request)
            case Outcome.STOPPED:
                return stop.exit_code
            case Outcome.FAILED if row.error is not None:
                raise load_error(json.loads(row.error))
        raise AssertionError(f"planning ended with {progress.outcome}")


def _all_but_warnings(output: ProgressLines) -> Listener:
    """Leave out what is shown below the plan."""
    return lambda event: None if event.kind == EventKind.WARNING else output(event)


@contextmanager
def _scratch_journal() -> Iterator[Journal]:
    with tempfile.TemporaryDirectory(prefix="envagent-plan-") as folder:
        journal = Journal.open(Path(folder, "journal.db"))
        try:
            yield journal
        finally:
            journal.close()
