"""envagent run: reserve and launch a server for a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from envagent.cli.commands.options import ALSO, AS_JSON, CLOUD, CONFIG, MAX_SU, NO_AI, REF, REPO, YES, examples
from envagent.errors import UsageError
from envagent.hints import Hint, Option

EPILOG = examples(
    "envagent run https://github.com/karpathy/minGPT --cloud sandbox",
    "envagent run https://github.com/openai/whisper --node-type gpu_rtx_6000 --hours 12",
)


def run(
    repo: REPO,
    cloud: CLOUD = None,
    yes: YES = False,
    as_json: AS_JSON = False,
    node_type: Annotated[str | None, typer.Option(metavar="NAME", help="Reserve this node type.")] = None,
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
    from pydantic import ValidationError

    from envagent import keys
    from envagent.cli.clouds import choose_site, chosen_cloud, is_sandbox, reach
    from envagent.cli.duplicates import offer_existing
    from envagent.cli.home import Home, read_settings
    from envagent.cli.inputs import (
        check_key_name,
        check_names,
        find_repository,
        given_documents,
        start_time,
        stored_name,
        writable_folder,
    )
    from envagent.cli.render.terminal import err
    from envagent.cli.run_session import RunSession
    from envagent.engine.runner import new_run_id
    from envagent.steps.request import RunRequest

    check_names(node_type=node_type, image=image, network=network, server_name=server_name, ref=ref)
    check_key_name(key_name)
    begin = None if start is None else start_time(start)
    repository = stored_name(repo, ref)
    key_file = None if public_key is None else public_key.expanduser().absolute()
    flags: dict[str, Any] = {"sandbox": {"speed": speed}} if speed is not None else {}
    flags |= {} if cloud is None else {"cloud": cloud}
    settings = read_settings(config, repository=repository, **flags)
    name = chosen_cloud(settings)
    if speed is not None and not is_sandbox(name):
        raise UsageError("--speed only applies to the sandbox", hint=Hint("leave out", Option("speed")))
    if (public_file := key_file or settings.key.public_key) is not None:
        keys.pair_of(public_file)
    documents = given_documents(also)
    find_repository(repository, ref)
    access = reach(name, settings)
    try:
        request = RunRequest(
            repository=repository,
            ref=ref,
            also=documents,
            cloud=access.name,
            node_type=node_type,
            image=image,
            hours=hours,
            max_su=max_su,
            start=begin,
            wait_for_capacity=wait_for_capacity,
            key_name=key_name,
            public_key=key_file,
            network=network,
            server_name=server_name,
            floating_ip=not no_floating_ip,
            ai=not no_ai,
            on_failure=on_failure,
            output_folder=writable_folder(),
        )
    except ValidationError as error:
        raise UsageError(f"invalid option: {error.errors(include_input=False)[0]['msg']}") from None
    if site == "any":
        access = choose_site(request, settings, err())
        request = request.model_copy(update={"cloud": access.name})
    home, run_id = Home(settings.home), new_run_id()
    with home.opened_journal() as journal:
        taken = None if new else offer_existing(home, journal, request, err(), config, yes=yes, as_json=as_json)
        if taken is not None:
            return taken
        with home.starting(journal, run_id):
            drive = RunSession(home, journal, access, yes=yes, as_json=as_json)
            return drive.go(run_id, request, lambda runner, services: runner.begin(request, services, run_id=run_id))
