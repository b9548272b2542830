"""envagent status: list the runs, or show one in detail."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, SOME_RUN_ID, examples

RunStateName: TypeAlias = Literal["running", "interrupted", "failed", "succeeded", "torn_down", "moved"]

EPILOG = examples("envagent status", "envagent status last --refresh --json")

USUAL_LIMIT = 20


def status(
    run_id: SOME_RUN_ID = None,
    as_json: AS_JSON = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Check the run's resources in the cloud first, and correct its record.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="List the newest N runs, and older ones that have a lease; 0: all. Default: 20."
        ),
    ] = None,
    state: Annotated[RunStateName | None, typer.Option(help="List runs in this state.")] = None,
    repo: Annotated[
        str | None, typer.Option(metavar="TEXT", help="List runs whose repository contains this text.")
    ] = None,
    cloud: Annotated[
        str | None, typer.Option(metavar="NAME", help="List runs on this cloud, as named in clouds.yaml.")
    ] = None,
    site: Annotated[str | None, typer.Option(metavar="NAME", help="List runs at this site, such as CHI@UC.")] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="List the runs of all owners of a shared journal, as its operator.")
    ] = False,
    archived: Annotated[bool, typer.Option("--archived", help="List archived runs, too.")] = False,
    config: CONFIG = None,
) -> int:
    """Show the newest runs, or everything about one.

    Shows what the journal has recorded, of a shared one your own runs; only --refresh contacts the cloud.
    """
    from envagent.cli.actions import list_runs, read_run
    from envagent.cli.render.terminal import out, print_document
    from envagent.errors import UsageError
    from envagent.hints import Hint, command

    filtered = bool(state or repo or cloud or site or archived or everyone)
    if run_id is not None and (limit is not None or filtered):
        raise UsageError("filters apply to the list of runs, not to one run", hint=Hint(command("status")))
    if run_id is None:
        if refresh:
            raise UsageError("--refresh needs a run", hint=Hint(command("status", "last", refresh=True)))
        from envagent.cli.documents.run_list import RunFilter
        from envagent.cli.render.home_page import show_runs

        chosen = RunFilter(state=state, repository=repo, cloud=cloud, site=site, archived=archived)
        most = USUAL_LIMIT if limit is None else limit or None
        listed = list_runs(chosen, limit=most, everyone=everyone, config=config)
        print_document(listed) if as_json else show_runs(out(), listed, filtered=filtered)
        return 0
    from envagent.cli.audience import Audience
    from envagent.cli.render import screens

    document = read_run(run_id, Audience(), refresh=refresh, config=config)
    print_document(document) if as_json else screens.show_run(out(), document)
    return 0
