"""envagent nodes: list what can be reserved now, at every configured site."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from envagent.cli.commands.options import AS_JSON, CLOUD, CONFIG, examples

EPILOG = examples("envagent nodes --gpu --cloud sandbox", "envagent nodes --hours 48 --json")


def nodes(
    gpu: Annotated[bool, typer.Option("--gpu", help="List only node types with a GPU.")] = False,
    cloud: CLOUD = None,
    site: Annotated[
        Literal["any"] | None,
        typer.Option(metavar="any", help="Ask all sites in clouds.yaml (the default), or all of the sandbox."),
    ] = None,
    hours: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=168, help="For how long a node must be free. Default: 24.")
    ] = None,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """List the node types that are free now, or when they will be.

    Asks every Chameleon site in clouds.yaml, or the one named by --cloud, and only reads. A site that does not answer
    is reported on stderr; the exit code is its own only if no site answers.
    """
    from envagent.advice.duration import DEFAULT_HOURS
    from envagent.cli.documents.node_models import nodes_document
    from envagent.cli.home import read_settings
    from envagent.cli.render import times
    from envagent.cli.render.node_screen import show_nodes
    from envagent.cli.render.terminal import err, out, print_document
    from envagent.cli.site_survey import PATIENCE, ask_sites, sites_to_ask

    settings = read_settings(config)
    period, now, terminal = hours or settings.lease.hours or DEFAULT_HOURS, times.now(), err()
    sites, others = sites_to_ask(cloud, settings, everywhere=site == "any")
    if others:
        terminal.line(f"not asked, because not a Chameleon site (name one with --cloud): {', '.join(others)}")
    if terminal.interactive:
        terminal.line((f"Asking {', '.join(one.region or one.clouds for one in sites)} ...", "dim"))
    answers = list(ask_sites(sites, now, period, PATIENCE * settings.timeout_seconds))
    failures = [one.error for one in answers if one.error is not None]
    if len(failures) == len(answers) == 1:
        raise failures[0]
    for one in answers:
        if one.error is not None:
            terminal.line((f"no answer from {one.region or one.site.clouds}: ", "yellow"), one.error.message)
    if len(failures) == len(answers):
        raise failures[0]
    answers.sort(key=lambda one: sites.index(one.site))
    document = nodes_document(answers, now, period, gpu=gpu)
    print_document(document) if as_json else show_nodes(out(), document, gpu=gpu)
    return 0
