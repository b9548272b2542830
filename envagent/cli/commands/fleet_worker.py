"""envagent worker: carry out submitted runs."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import CONFIG, examples

EPILOG = examples("envagent worker", "envagent worker --concurrency 32")


def worker(
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=1000, help="Runs to advance at a time.")
    ] = None,
    config: CONFIG = None,
) -> int:
    """Carry out the runs that were submitted to a shared journal, until Ctrl-C.

    Any number of workers share a PostgreSQL database. Each advances a run, records it and lets go of it until its next
    look is due. A worker that dies or hangs loses its runs to the others.
    """
    from envagent.cli.audience import Audience
    from envagent.cli.fleet_work import work_for_ever

    return work_for_ever(config, concurrency, Audience())
