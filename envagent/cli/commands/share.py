"""envagent share: let somebody else log in to the server of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_ID, examples

EPILOG = examples("envagent share last --key gh:octocat", "envagent share last --remove gh:octocat")


def share(
    run_id: RUN_ID,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", metavar="FILE|gh:USER", help="Let in this public key, or those of a GitHub user. Can be repeated."
        ),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            "--remove", metavar="FILE|gh:USER", help="Remove it again; a fingerprint does as well. Can be repeated."
        ),
    ] = None,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Let somebody else log in to the server of a run, such as a reviewer.

    Adds a public key to the server, over your own login; whoever has the private half can then do there what you can.
    Without an option, lists whose keys were added. A teardown, or the end of the lease, ends all access.
    """
    from envagent.cli.audience import Audience
    from envagent.cli.render.share_screen import show_shared
    from envagent.cli.render.terminal import out, print_document
    from envagent.cli.sharing import share_run

    shared = share_run(run_id, Audience(), add=key or (), remove=remove or (), config=config)
    print_document(shared) if as_json else show_shared(out(), shared)
    return 0
