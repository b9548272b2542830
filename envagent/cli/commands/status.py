"""envagent status: list the runs, or show one in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, SOME_RUN_ID, examples

if TYPE_CHECKING:
    from envagent.cli.home import Home
    from envagent.config import Settings
    from envagent.engine.journal import Journal
    from envagent.engine.tables import RunRecord

EPILOG = examples("envagent status", "envagent status last --refresh --json")


def status(
    run_id: SOME_RUN_ID = None,
    as_json: AS_JSON = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Check the run's resources in the cloud first, and correct its record.")
    ] = False,
    config: CONFIG = None,
) -> int:
    """List all runs, or show one in detail.

    Shows what the journal on this machine has recorded; only --refresh contacts the cloud.
    """
    from envagent.cli.documents.json_models import RunsDocument
    from envagent.cli.documents.run_list import run_lines
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render import screens
    from envagent.cli.render.terminal import out, print_document
    from envagent.errors import RunNotFound, UsageError
    from envagent.hints import Hint, command

    if refresh and run_id is None:
        raise UsageError("--refresh needs a run", hint=Hint(command("status", "last", refresh=True)))
    settings = read_settings(config)
    home = Home(settings.home)
    if run_id is None:
        try:
            with home.opened_journal(to_read=True) as journal:
                runs = run_lines(journal, home.is_worked_on)
        except RunNotFound:
            runs = []
        print_document(RunsDocument(runs=runs)) if as_json else screens.show_runs(out(), runs)
        return 0
    from envagent.cli.documents.run_document import StoredRun, run_document

    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        if refresh:
            row = _refreshed(home, journal, settings, row)
        document = run_document(StoredRun.load(journal, row, working=home.is_worked_on(row.run_id)))
    print_document(document) if as_json else screens.show_run(out(), document)
    return 0


def _refreshed(home: Home, journal: Journal, settings: Settings, row: RunRecord) -> RunRecord:
    """Compare a run's record with the cloud and return it corrected; a run that is being torn down stays as it is.

    Raises:
        RunLocked: another process is working on the run, and checks it anyway.
        EnvagentError: the cloud cannot be reached.
    """
    if row.teardown_at is not None:
        return row
    from contextlib import ExitStack

    from envagent.cli.clouds import reach
    from envagent.cli.home import request_of
    from envagent.cli.interaction import StopSignals
    from envagent.cli.render.progress import ProgressLines
    from envagent.cli.render.terminal import err
    from envagent.cli.wiring import make_runner, make_services

    with ExitStack() as stack:
        stack.enter_context(home.working_on(row.run_id))
        row = journal.run(row.run_id)
        request = request_of(row)
        access = reach(request.cloud, settings)
        output = ProgressLines(err())
        stop = stack.enter_context(StopSignals(lambda: output.say("stopping"), output.restore))
        services = make_services(home, access, row.run_id, request, stop.event)
        stack.callback(services.close)
        runner = make_runner(journal, access.settings, output, stop.event)
        stack.callback(runner.close)
        return runner.refresh(row, services).run.row
