"""envagent teardown: remove the resources of a run, or all that are tagged by envagent."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CLOUD, CONFIG, FILE, JSON_STREAM, SOME_RUN_ID, YES, examples
from envagent.errors import UsageError
from envagent.hints import Hint, Option, command

EPILOG = examples("envagent teardown last", "envagent teardown --orphans --cloud chi_uc")


def teardown(
    run_id: SOME_RUN_ID = None,
    yes: YES = False,
    as_json: AS_JSON = False,
    json_stream: JSON_STREAM = False,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans",
            help="Remove your envagent resources in the project that belong to no run in the local journal.",
        ),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="With --orphans: remove those of runs in the local journal, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed, with ids, without removing it.")
    ] = False,
    file: FILE = None,
    cloud: CLOUD = None,
    delete_key: Annotated[
        bool,
        typer.Option("--delete-key", help="Also delete the local private key that envagent created for the run."),
    ] = False,
    config: CONFIG = None,
) -> int:
    """Remove all resources of a run, and verify that they are gone.

    Removes floating IP, server, lease and keypair, in that order, and nothing that the run did not create. Can be
    repeated after an interruption; exits with code 11 and lists the ids if something remains.
    """
    if [orphans, run_id is not None, file is not None].count(True) != 1:
        raise UsageError(
            "name either one run, --file or --orphans",
            hint=Hint(command("teardown", "last"), "; or:", command("teardown", orphans=True)),
        )
    if cloud is not None and not orphans:
        raise UsageError("a run is always removed from its own cloud", hint=Hint("leave out", Option("cloud")))
    if everything and not orphans:
        raise UsageError("--all needs --orphans", hint=Hint(command("teardown", orphans=True, all=True)))
    if delete_key and orphans:
        raise UsageError("--delete-key needs a run", hint=Hint(command("teardown", "last", delete_key=True)))
    from envagent.cli.audience import Audience
    from envagent.cli.render.terminal import print_document

    audience = Audience(yes=yes, stream=json_stream)
    if file is not None:
        from envagent.cli.batch_session import BatchOptions, close_batch, tear_down_batch
        from envagent.cli.render.batch_view import show_removed

        batch = BatchOptions(file, yes=yes, stream=json_stream, config=config)
        removed = tear_down_batch(batch, delete_key=delete_key, dry_run=dry_run)
        return close_batch(removed, batch, as_json=as_json, show=None if dry_run else show_removed)
    if run_id is None:
        from envagent.cli.home import Home, read_settings
        from envagent.cli.orphans import remove_orphans

        settings = read_settings(config, **({} if cloud is None else {"cloud": cloud}))
        home = Home.of(settings)
        document, code = remove_orphans(home, settings, audience, everything=everything, dry_run=dry_run)
        if as_json or json_stream:
            print_document(document, in_line=json_stream)
        return code
    from envagent.cli.actions import tear_down_run

    ended = tear_down_run(run_id, audience, dry_run=dry_run, delete_key=delete_key, config=config)
    if as_json or json_stream:
        print_document(ended.document, in_line=json_stream)
    return ended.exit_code
