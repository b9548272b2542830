"""envagent serve: the web page of a fleet, and the tokens with which people log in to it."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import CONFIG, examples

HELP = """Serve a web page with the runs of the journal.

It shows what `status` and `explain` show to people with a token, and changes nothing. Logs each request as a JSON
line on stdout. Serves until Ctrl-C or SIGTERM.
"""

app = typer.Typer(
    rich_markup_mode=None,
    invoke_without_command=True,
    help=HELP,
    epilog=examples("envagent serve token alice", "envagent serve --port 8080"),
)

USUAL_PORT = 8765


@app.callback()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = USUAL_PORT,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="https address that people use, if a proxy on this machine passes it on."),
    ] = None,
    config: CONFIG = None,
) -> None:
    """Serve the page, unless a subcommand is called."""
    if context.invoked_subcommand is not None:
        return
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.terminal import err
    from envagent.cli.web_service import public_names, serve_fleet

    names = public_names(host, url)
    home = Home.of(read_settings(config))
    serve_fleet(home, host=host, port=port, names=names, proxied=url is not None, say=lambda line: err().line(line))


@app.command(epilog=examples("envagent serve token alice", "envagent serve token carol --operator --days 30"))
def token(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Whose runs it shows.", show_default=False)],
    operator: Annotated[bool, typer.Option("--operator", help="Show the runs of all owners, and /metrics.")] = False,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=3650, help="How long it is valid.")] = 90,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke all tokens of OWNER instead.")] = False,
    config: CONFIG = None,
) -> int:
    """Write a new token to log in with, or revoke tokens.

    The token is shown this once; only its hash is stored. Revoking it also ends its sessions.
    """
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.terminal import err, out
    from envagent.cli.web_service import check_owner, tokens_of

    check_owner(owner)
    tokens = tokens_of(Home.of(read_settings(config)))
    if revoke:
        count = tokens.revoke(owner)
        err().line(f"{count} token{'' if count == 1 else 's'} of {owner} revoked")
        return 0
    made = tokens.make(owner, operator=operator, days=days)
    whose = "all runs" if operator else f"the runs of {owner}"
    err().line(f"this token shows {whose} for {days} days; it cannot be shown again:")
    out().raw(f"{made}\n")
    return 0
