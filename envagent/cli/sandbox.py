"""envagent sandbox: the simulated Chameleon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from envagent.cli.shared import AS_JSON, examples

app = typer.Typer(
    rich_markup_mode=None,
    help="Serve, inspect and reset the simulated Chameleon of `--cloud sandbox`.",
    no_args_is_help=True,
    epilog=examples("envagent sandbox serve --speed 10", "envagent sandbox log --json"),
)

SPEED = Annotated[
    float | None, typer.Option(min=0.001, help="How many times faster than reality; kept for later runs.")
]


@app.command(
    epilog=examples("envagent sandbox serve --speed 10", "envagent sandbox serve --port 5000 --faults faults.json")
)
def serve(
    speed: SPEED = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; default: the last one.")
    ] = None,
    faults: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Fault schedule (JSON).")] = None,
    profile: Annotated[
        Literal["chameleon", "upstream"] | None, typer.Option(help="Policies: Chameleon's own, or plain OpenStack's.")
    ] = None,
) -> int:
    """Serve the simulated cloud until Ctrl-C, and write a clouds.yaml for any OpenStack client."""
    from envagent import config
    from envagent.cli.clouds import wanted_speed
    from envagent.cli.session import Home
    from envagent.cli.terminal import err
    from envagent.sandbox import process
    from envagent.sandbox.files import Paths

    settings = config.load(**({} if speed is None else {"sandbox": {"speed": speed}}))
    home = Home(settings.home)
    home.prepare()
    clouds = Paths(home.path).clouds
    err().line(f"until Ctrl-C, clients reach it with OS_CLIENT_CONFIG_FILE={clouds} OS_CLOUD=sandbox")
    process.serve(home.path, speed=wanted_speed(settings), profile=profile, port=port, faults=faults)
    return 0


@app.command(epilog=examples("envagent sandbox log", "envagent sandbox log --json"))
def log(as_json: AS_JSON = False) -> int:
    """List the writes that the simulated cloud has committed, oldest first."""
    from envagent import config
    from envagent.cli import views
    from envagent.cli.documents import LogDocument
    from envagent.cli.session import Home
    from envagent.cli.terminal import out, print_document
    from envagent.sandbox import process

    lines = LogDocument.model_validate(process.read_log(Home(config.load().home).path))
    print_document(lines) if as_json else views.show_log(out(), lines)
    return 0


@app.command(epilog=examples("envagent sandbox reset", "envagent sandbox reset && envagent run URL --cloud sandbox"))
def reset() -> int:
    """Stop the simulated cloud and forget everything in it."""
    from envagent import config
    from envagent.cli.session import Home
    from envagent.cli.terminal import err
    from envagent.sandbox import process

    home = Home(config.load().home)
    home.prepare()
    process.reset(home.path)
    err().line("the sandbox is empty; runs in the journal keep their record")
    return 0
