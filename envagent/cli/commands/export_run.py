"""envagent export: give a run to another journal, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_ID, examples

EPILOG = examples("envagent export last", "envagent export k3j9 --with-key -o run.json")


def export_run(
    run_id: RUN_ID,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write this file, for you alone. Default: envagent-RUN_ID.json.",
            show_default=False,
        ),
    ] = None,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Include the private key that envagent created for the run.")
    ] = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Keep the run here. Where the file is imported, it can only be looked at.")
    ] = False,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Move a run to another journal, as a file for `import`.

    Exactly one journal may act on a run. From now on, this one only shows it: resume, extend, refresh and teardown are
    refused until it comes back. Import the file once, and then delete it. If it is lost, repeat the command.
    """
    from envagent.cli import moving
    from envagent.cli.render.terminal import err, out, print_document

    done = moving.export_run(run_id, output, with_key=with_key, copy=copy, config=config)
    if as_json:
        print_document(done)
        return 0
    what = "Exported run" if done.moved else "Copied run"
    out().line(f"{what} {done.run_id} to {done.file}")
    if done.private_key:
        err().line(("note: ", "yellow"), "the file contains the private key; delete it once it is imported")
    if done.moved:
        err().line(f"This journal no longer acts on the run. Where it is to continue: {done.next[0]}")
    else:
        err().line(f"This journal still acts on the run. To look at the copy elsewhere: {done.next[0]}")
    return 0
