"""envagent logs: what happened in a run, and every exchange with the cloud."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_ID, examples

EPILOG = examples("envagent logs last --follow", "envagent logs last --step launch_server")

PAUSE = 0.5
"""Seconds between two looks with --follow."""


def logs(
    run_id: RUN_ID,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Continue until no process works on the run any more.")
    ] = False,
    setup: Annotated[
        bool, typer.Option("--setup", help="Show what the steps of the set-up have written on the server.")
    ] = False,
    step: Annotated[str | None, typer.Option(metavar="NAME", help="Show only this step.")] = None,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Show what happened in a run, and each request to the cloud.

    Of a request: method, path, status, the service's request id and the time that it took; never a body or a query.
    """
    import time

    from envagent.cli.documents.log_models import RunLogDocument, RunLogEntries
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.log_lines import LogLines
    from envagent.cli.render.terminal import out, print_document
    from envagent.cli.run_log import RunLogReader
    from envagent.errors import UsageError
    from envagent.hints import Hint, status

    home = Home.of(read_settings(config))
    if setup:
        from envagent.cli.setup_log import show_setup_log

        return show_setup_log(home, run_id, follow=follow, as_json=as_json)
    with home.opened_journal(to_read=True) as journal:
        run = journal.run(run_id)
        steps = dict.fromkeys(one.step for one in journal.stages(run.run_id))
        if step is not None and step not in steps:
            known = ", ".join(steps)
            error = UsageError(f"there is no step {step!r}; the steps are {known}", hint=Hint(status()))
            error.run_id = run.run_id
            raise error
        entries = RunLogEntries(journal, RunLogReader(home.run(run.run_id)), run.run_id, step)
        lines = LogLines(out())
        if as_json and not follow:
            print_document(RunLogDocument(run_id=run.run_id, entries=entries.new()))
            return 0
        working = True
        while working:
            working = follow and home.is_worked_on(run.run_id)  # before the last look, so that nothing is missed
            new = entries.new()
            if as_json:
                for one in new:
                    print_document(one, in_line=True)
            else:
                lines.show(new)
            if working:
                time.sleep(PAUSE)
    return 0
