"""envagent status: list the runs, or show one in detail."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, SOME_RUN_ID, examples

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
    from envagent.cli.actions import list_runs, read_run
    from envagent.cli.render import screens
    from envagent.cli.render.terminal import out, print_document
    from envagent.errors import UsageError
    from envagent.hints import Hint, command

    if run_id is None:
        if refresh:
            raise UsageError("--refresh needs a run", hint=Hint(command("status", "last", refresh=True)))
        listed = list_runs(config)
        print_document(listed) if as_json else screens.show_runs(out(), listed.runs)
        return 0
    from envagent.cli.audience import Audience

    document = read_run(run_id, Audience(), refresh=refresh, config=config)
    print_document(document) if as_json else screens.show_run(out(), document)
    return 0
