"""envagent status: what runs there are, and everything about one."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.shared import AS_JSON, CONFIG, SOME_RUN_ID, examples

EPILOG = examples("envagent status", "envagent status last --refresh --json")


def status(
    run_id: SOME_RUN_ID = None,
    as_json: AS_JSON = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="First check in the cloud what a run made, and correct its record.")
    ] = False,
    config: CONFIG = None,
) -> int:
    """Show all runs, or everything about one.

    Shows what the journal on this machine knows; no cloud is asked unless you say --refresh.
    """
    from envagent.cli import views
    from envagent.cli.documents import RunsDocument
    from envagent.cli.report import Rows, line_cost, run_document, run_line
    from envagent.cli.session import Home, read_settings
    from envagent.cli.terminal import out, print_document
    from envagent.errors import RunNotFound, UsageError

    if refresh and run_id is None:
        raise UsageError("--refresh needs a run", hint="envagent status last --refresh")
    settings = read_settings(config)
    home = Home(settings.home)
    if run_id is None:
        try:
            with home.opened_journal(to_read=True) as journal:
                runs = [
                    run_line(row, working=home.is_worked_on(row.run_id), cost=line_cost(journal, row))
                    for row in journal.runs()
                ]
        except RunNotFound:
            runs = []
        print_document(RunsDocument(runs=runs)) if as_json else views.show_runs(out(), runs)
        return 0
    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        if refresh:
            from envagent.cli.refresh import refresh as look

            row = look(home, journal, settings, row)
        document = run_document(Rows.load(journal, row, working=home.is_worked_on(row.run_id)))
    print_document(document) if as_json else views.show_run(out(), document)
    return 0
