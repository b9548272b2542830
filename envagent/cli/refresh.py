"""Look at what a run made, so that its status says how it is now. Nothing is written to the cloud."""

from __future__ import annotations

from contextlib import ExitStack

from envagent.cli.clouds import reach
from envagent.cli.output import Output
from envagent.cli.session import Home, make_runner, make_services, request_of
from envagent.cli.stop import StopSignals
from envagent.cli.terminal import err
from envagent.config import Settings
from envagent.engine.journal import Journal
from envagent.engine.tables import RunRecord


def refresh(home: Home, journal: Journal, settings: Settings, row: RunRecord) -> RunRecord:
    """Hold a run's record against the cloud and return it corrected; a run that is being torn down stays as it is.

    Raises:
        RunLocked: another process works on the run, and looks at it all the time.
        EnvagentError: the cloud cannot be asked.
    """
    if row.teardown_at is not None:
        return row
    with ExitStack() as stack:
        stack.enter_context(home.working_on(row.run_id))
        row = journal.run(row.run_id)
        request = request_of(row)
        access = reach(request.cloud, settings)
        output = Output(err())
        stop = stack.enter_context(StopSignals(lambda: output.say("stopping"), output.restore))
        services = make_services(home, access, row.run_id, request, stop.event)
        stack.callback(services.close)
        runner = make_runner(journal, access.settings, output, stop.event)
        stack.callback(runner.close)
        return runner.refresh(row, services).run.row
