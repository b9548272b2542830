"""envagent sandbox: run the simulated Chameleon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, examples

app = typer.Typer(
    rich_markup_mode=None,
    help="Serve, inspect and reset the simulated Chameleon.",
    no_args_is_help=True,
    epilog=examples("envagent sandbox serve --speed 10", "envagent sandbox log --json"),
)

SPEED = Annotated[
    float | None,
    typer.Option(metavar="FACTOR", min=0.001, help="How many times faster than real time; kept for later runs."),
]


@app.command(
    epilog=examples("envagent sandbox serve --speed 10", "envagent sandbox serve --port 5000 --faults faults.json")
)
def serve(
    speed: SPEED = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=65535, help="Port to listen on. Default: the last one.")
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help='Fault schedule, such as {"faults": [{"action": "no_capacity"}]}.',
        ),
    ] = None,
    profile: Annotated[
        Literal["chameleon", "upstream"] | None, typer.Option(help="Policies: Chameleon's own, or plain OpenStack's.")
    ] = None,
    config: CONFIG = None,
) -> int:
    """Serve the simulated cloud until Ctrl-C.

    Writes a clouds.yaml for any OpenStack client, and prints its path.
    """
    from envagent.cli.clouds import sandbox_errors, wanted_speed
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.terminal import err
    from envagent.sandbox import process

    def ready(endpoint: process.Endpoint) -> None:
        err().line(
            f"{endpoint.url} until Ctrl-C; clients reach it with "
            f"OS_CLIENT_CONFIG_FILE={endpoint.clouds_file} OS_CLOUD=sandbox"
        )

    flags: dict[str, Any] = {} if speed is None else {"sandbox": {"speed": speed}}
    settings = read_settings(config, **flags)
    home = Home.of(settings)
    home.prepare()
    with sandbox_errors():
        process.serve(home.path, speed=wanted_speed(settings), profile=profile, port=port, faults=faults, ready=ready)
    return 0


@app.command(epilog=examples("envagent sandbox log", "envagent sandbox log --json"))
def log(as_json: AS_JSON = False, config: CONFIG = None) -> int:
    """List the writes that the simulated cloud has committed, oldest first."""
    from envagent.cli.clouds import sandbox_errors
    from envagent.cli.documents.sandbox_models import LogDocument
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render import screens
    from envagent.cli.render.terminal import out, print_document
    from envagent.sandbox import process

    with sandbox_errors():
        lines = LogDocument.model_validate(process.read_log(Home.of(read_settings(config)).path))
    print_document(lines) if as_json else screens.show_log(out(), lines)
    return 0


@app.command(epilog=examples("envagent sandbox reset", "envagent sandbox reset && envagent run URL --cloud sandbox"))
def reset(config: CONFIG = None) -> int:
    """Stop the simulated cloud and forget everything in it."""
    from envagent.cli.clouds import sandbox_errors
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.terminal import err
    from envagent.sandbox import process

    home = Home.of(read_settings(config))
    home.prepare()
    with sandbox_errors():
        process.reset(home.path)
    err().line("the sandbox is empty; runs in the journal keep their record")
    return 0
