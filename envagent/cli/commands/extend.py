"""envagent extend: keep the server of a run for longer."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_ID, YES, examples

EPILOG = examples("envagent extend last 6h", "envagent extend last 2d --max-su 100 --yes")


def extend(
    run_id: RUN_ID,
    length: Annotated[
        str, typer.Argument(metavar="LENGTH", help="How much longer: 6h, 90m or 2d.", show_default=False)
    ],
    yes: YES = False,
    as_json: AS_JSON = False,
    max_su: Annotated[
        float | None,
        typer.Option(metavar="SU", min=0.01, max=1e6, help="Do not extend if that costs more than SU."),
    ] = None,
    config: CONFIG = None,
) -> int:
    """Extend the lease of a run.

    Shows the price and asks. If it is interrupted, the same command finishes the extension and adds no second one. The
    site refuses if somebody else has reserved the node for that time.
    """
    from envagent.cli.actions import extend_run
    from envagent.cli.audience import Audience
    from envagent.cli.inputs import length_of_time
    from envagent.cli.render import screens
    from envagent.cli.render.terminal import out
    from envagent.cli.run_session import close

    ended = extend_run(run_id, length_of_time(length), Audience(yes=yes), max_su=max_su, config=config)
    if ended.exit_code == 0 and not as_json:
        screens.show_extended(out(), ended.document)
    return close(ended, as_json=as_json)
