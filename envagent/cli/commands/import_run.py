"""envagent import: continue a run of another journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, examples

EPILOG = examples("envagent import envagent-k3j9x2m4qa.json", "envagent import run.json --json")


def import_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `export` wrote.", show_default=False)],
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Move a run into this journal, from the file that `export` wrote.

    Everything in the file is checked first, and nothing is sent to the cloud. A run that is in this journal is refused,
    unless it was moved away and comes back. Import only your own runs: to resume one reserves what it says. The
    current folder becomes the one in which the run writes.
    """
    from envagent.cli import moving
    from envagent.cli.render.terminal import err, out, print_document

    done = moving.import_run(file, config=config)
    if as_json:
        print_document(done)
        return 0
    if done.state == "moved":
        out().line(f"Imported a copy of run {done.run_id}; another journal acts on it")
    else:
        out().line(f"Imported run {done.run_id} ({done.state})")
        if done.private_key is None:
            err().line("Its private key is not on this machine.")
    err().line(f"Next: {done.next[0]}")
    return 0
