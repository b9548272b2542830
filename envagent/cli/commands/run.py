"""envagent run: reserve and launch a server for a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from envagent.cli.commands.options import (
    ALSO,
    AS_JSON,
    CLOUD,
    CONFIG,
    MAX_SU,
    NO_AI,
    NODE_TYPE,
    REF,
    REPO,
    YES,
    examples,
)

EPILOG = examples(
    "envagent run https://github.com/karpathy/minGPT --cloud sandbox",
    "envagent run https://github.com/openai/whisper --node-type gpu_rtx_6000 --hours 12",
)


def run(
    repo: REPO,
    cloud: CLOUD = None,
    yes: YES = False,
    as_json: AS_JSON = False,
    node_type: NODE_TYPE = None,
    image: Annotated[str | None, typer.Option(metavar="NAME", help="Use this image (name or id).")] = None,
    hours: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=168, help="Length of the lease in hours.")
    ] = None,
    max_su: MAX_SU = None,
    key_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Keypair in the cloud; registered if it does not exist.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Public key file to register. Default: create a new key.")
    ] = None,
    network: Annotated[str | None, typer.Option(metavar="NAME", help="Network of the server (name or id).")] = None,
    server_name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the server.")] = None,
    no_floating_ip: Annotated[bool, typer.Option("--no-floating-ip", help="Do not allocate a floating IP.")] = False,
    no_ai: NO_AI = False,
    ref: REF = None,
    also: ALSO = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Start of the lease: 2026-12-01T09:00 (local time; with Z: UTC)."),
    ] = None,
    wait_for_capacity: Annotated[
        bool, typer.Option("--wait-for-capacity", help="If nothing is free now, reserve the earliest window.")
    ] = False,
    site: Annotated[
        Literal["any"] | None,
        typer.Option(metavar="any", help="Compare all sites in clouds.yaml (or of the sandbox) and use the best."),
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Launch another server, even if a run of this repository and commit has one.")
    ] = False,
    on_failure: Annotated[
        Literal["keep", "teardown"], typer.Option(help="Keep or remove resources if the run fails.")
    ] = "keep",
    speed: Annotated[
        float | None,
        typer.Option(metavar="FACTOR", min=0.001, help="How many times faster than real time the sandbox works."),
    ] = None,
    config: CONFIG = None,
) -> int:
    """Reserve and launch a server on which a repository will run.

    Reads what the repository needs, reserves matching hardware, launches a server, assigns it an address and verifies
    the SSH login. If it is interrupted at any moment, `envagent resume` continues it.
    """
    from envagent.cli.actions import RunOptions, start_run
    from envagent.cli.audience import Audience
    from envagent.cli.inputs import start_time
    from envagent.cli.run_session import close

    options = RunOptions(
        repo=repo,
        cloud=cloud,
        node_type=node_type,
        image=image,
        hours=hours,
        max_su=max_su,
        key_name=key_name,
        public_key=public_key,
        network=network,
        server_name=server_name,
        floating_ip=not no_floating_ip,
        ai=not no_ai,
        ref=ref,
        also=also or (),
        start=None if start is None else start_time(start),
        wait_for_capacity=wait_for_capacity,
        site=site,
        new=new,
        on_failure=on_failure,
        speed=speed,
        config=config,
    )
    return close(start_run(options, Audience(yes=yes)), as_json=as_json)
