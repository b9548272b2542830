"""envagent config: show the settings."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, examples

app = typer.Typer(
    rich_markup_mode=None,
    help="Show the settings.",
    no_args_is_help=True,
    epilog=examples("envagent config show", "envagent config show --origin"),
)


@app.callback()
def _config() -> None:
    """Show the settings."""


@app.command(epilog=examples("envagent config show --origin", "envagent config show --json"))
def show(
    origin: Annotated[
        bool, typer.Option("--origin", help="Also show where each value comes from: environment, file or default.")
    ] = False,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Show every setting with its value; secrets are masked.

    Settings come from flags, ENVAGENT_* variables, ./.env, ./envagent.toml, your own envagent.toml and the defaults, in
    this order.
    """
    from envagent.cli.documents.settings_text import settings_document
    from envagent.cli.home import read_settings
    from envagent.cli.render.settings_screen import show_settings
    from envagent.cli.render.terminal import out, print_document

    document = settings_document(read_settings(config))
    print_document(document) if as_json else show_settings(out(), document, origin=origin)
    return 0
