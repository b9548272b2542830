"""envagent pack: write a run to a folder from which somebody else can make the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_ID, examples

EPILOG = examples("envagent pack last", "envagent pack k3j9 -o artifact && envagent run --from artifact")


def pack(
    run_id: RUN_ID,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write this folder. Default: envagent-RUN_ID-pack.",
            show_default=False,
        ),
    ] = None,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Write a run to a folder from which somebody else can make the same again.

    It has the requirements with their evidence, the plan, the script of the set-up, what the node was, the proof and
    its output, the price, and an RO-Crate that Trovi imports: no secret, no path of this machine, no e-mail address.
    `run --from FOLDER` makes the same again. Pack a run while its server is up: what the node was is asked there.
    """
    from envagent.cli.packing import pack_run
    from envagent.cli.render.terminal import err, out, print_document

    done = pack_run(run_id, output, config=config)
    if as_json:
        print_document(done)
        return 0
    out().line(f"Packed run {done.run_id} in {done.folder} ({len(done.files)} files; start with README.md)")
    for one in done.missing:
        err().line(("missing: ", "yellow"), one)
    err().line(f"To make the same again: {done.next[0]}")
    return 0
