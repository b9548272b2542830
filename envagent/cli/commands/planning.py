"""envagent plan: show what a run would reserve and create; writes nothing to the cloud."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from envagent.cli.commands.options import (
    ALSO,
    AS_JSON,
    CLOUD,
    CONFIG,
    HOURS,
    IMAGE,
    MAX_SU,
    NETWORK,
    NO_AI,
    NO_FLOATING_IP,
    NODE_TYPE,
    REF,
    REPO,
    SERVER_NAME,
    SITE,
    SPEED,
    START,
    WAIT_FOR_CAPACITY,
    examples,
)

EPILOG = examples(
    "envagent plan https://github.com/karpathy/minGPT --cloud sandbox",
    "envagent plan ./my-project --hours 12 -o plan.json && envagent run --plan plan.json",
)


def plan(
    repo: REPO,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Save the plan, to be carried out with `run --plan`."),
    ] = None,
    show_setup: Annotated[
        bool, typer.Option("--show-setup", help="Print the script that `run --setup` would carry out on the server.")
    ] = False,
    cloud: CLOUD = None,
    as_json: AS_JSON = False,
    node_type: NODE_TYPE = None,
    image: IMAGE = None,
    hours: HOURS = None,
    max_su: MAX_SU = None,
    network: NETWORK = None,
    server_name: SERVER_NAME = None,
    no_floating_ip: NO_FLOATING_IP = False,
    no_ai: NO_AI = False,
    ref: REF = None,
    also: ALSO = None,
    start: START = None,
    wait_for_capacity: WAIT_FOR_CAPACITY = False,
    site: SITE = None,
    speed: SPEED = None,
    config: CONFIG = None,
) -> int:
    """Show what a run would reserve, why, and at what price.

    Takes the steps of a run up to its approval: reads the repository and what the cloud has free, and creates nothing.
    """
    from envagent.cli.actions import RunOptions, make_plan
    from envagent.cli.audience import Audience
    from envagent.cli.inputs import start_time
    from envagent.cli.render.plan_screen import show_plan_document
    from envagent.cli.render.terminal import err, out, print_document

    options = RunOptions(
        repo=repo,
        cloud=cloud,
        node_type=node_type,
        image=image,
        hours=hours,
        max_su=max_su,
        network=network,
        server_name=server_name,
        floating_ip=not no_floating_ip,
        ai=not no_ai,
        ref=ref,
        also=also or (),
        start=None if start is None else start_time(start),
        wait_for_capacity=wait_for_capacity,
        site=site,
        speed=speed,
        config=config,
    )
    made = make_plan(options, Audience())
    if isinstance(made, int):
        return made
    if output is not None:
        from envagent.cli.documents.plan_document import write_plan

        write_plan(output, made)
    if show_setup and not as_json:
        from envagent.cli.documents.plan_document import planned_setup
        from envagent.environment.setup_script import setup_script

        out().raw(setup_script(planned_setup(made)))
    else:
        print_document(made) if as_json else show_plan_document(out(), made)
    if output is not None:
        err().line(
            f"Nothing was reserved. To carry out this plan: {shlex.join(['envagent', 'run', '--plan', str(output)])}"
        )
    else:
        err().line("Nothing was reserved. To keep this plan, repeat the command with -o plan.json.")
    return 0
