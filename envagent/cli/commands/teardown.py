"""envagent teardown: remove what a run made, or everything that bears envagent's mark."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CLOUD, CONFIG, SOME_RUN_ID, YES, examples
from envagent.errors import UsageError

EPILOG = examples("envagent teardown last", "envagent teardown --orphans --cloud chi_uc")


def teardown(
    run_id: SOME_RUN_ID = None,
    yes: YES = False,
    as_json: AS_JSON = False,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans",
            help="Remove your envagent resources in the project that no run in the local journal holds.",
        ),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="With --orphans: also what runs in the local journal hold.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed, with ids, and remove nothing.")
    ] = False,
    cloud: CLOUD = None,
    delete_key: Annotated[
        bool, typer.Option("--delete-key", help="Also remove the local private key that envagent made for the run.")
    ] = False,
    config: CONFIG = None,
) -> int:
    """Remove everything that a run made, and prove that it is gone.

    Floating IP, server, lease and keypair, in that order; what the run did not make stays. Can be repeated and taken
    up again; ends with exit code 11 and the ids if something stays.
    """
    from envagent.cli.home import Home, read_settings

    if orphans == (run_id is not None):
        raise UsageError(
            "name one run, or give --orphans", hint="envagent teardown last; or: envagent teardown --orphans"
        )
    if cloud is not None and not orphans:
        raise UsageError("a run is removed from the cloud that it was begun on", hint="leave out --cloud")
    if everything and not orphans:
        raise UsageError("--all goes with --orphans", hint="envagent teardown --orphans --all")
    if delete_key and orphans:
        raise UsageError("--delete-key goes with one run", hint="envagent teardown RUN_ID --delete-key")
    settings = read_settings(config, **({} if cloud is None else {"cloud": cloud}))
    home = Home(settings.home)
    if run_id is None:
        from envagent.cli.orphans import remove_orphans

        return remove_orphans(home, settings, yes=yes, as_json=as_json, everything=everything, dry_run=dry_run)
    from envagent.cli.teardown_session import TeardownSession

    with home.opened_journal(to_read=True) as journal:
        found = journal.run(run_id)
        with home.working_on(found.run_id):
            row = journal.run(found.run_id)
            removal = TeardownSession(home, journal, settings)
            if dry_run:
                return removal.preview(row, as_json=as_json, delete_key=delete_key)
            return removal.remove(row, yes=yes, as_json=as_json, delete_key=delete_key)
