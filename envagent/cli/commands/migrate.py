"""envagent migrate: bring the journal to the schema of this version."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, examples

EPILOG = examples("envagent migrate --dry-run", "envagent migrate")


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the journal's schema and that of this version; change nothing.")
    ] = False,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Upgrade the journal to the schema of this version.

    Every command does so when it opens the journal; this one does nothing else, and says what it did. A file is copied
    first. A database is not: back it up before.
    """
    from envagent.cli.documents.moving_models import MigratedDocument
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.terminal import out, print_document
    from envagent.engine.journal import REVISION, Journal

    home = Home.of(read_settings(config))
    upgraded, copy = False, None
    if dry_run:
        found = Journal.revision(home.journal)
    else:
        with home.opened_journal() as journal:
            done = journal.upgrade
            found = REVISION if done is None else done.found
            upgraded, copy = done is not None, None if done is None else done.copy
    name = str(home.journal)
    document = MigratedDocument(
        journal=name,
        found=found,
        head=REVISION,
        upgraded=upgraded,
        copy_kept=None if copy is None else str(copy),
    )
    if as_json:
        print_document(document)
        return 0
    terminal = out()
    terminal.line(f"journal {name}")
    if found == REVISION:
        terminal.line(f"schema {REVISION}, which is that of this version; nothing to do")
    elif dry_run:
        was = "there is none yet" if found is None else f"schema {found}"
        terminal.line(f"{was}; this version needs schema {REVISION}")
        terminal.line("Dry run: nothing was changed.")
    elif found is None:
        terminal.line(f"created with schema {REVISION}")
    else:
        terminal.line(f"upgraded from schema {found} to {REVISION}")
        if copy is not None:
            terminal.line(f"a copy as it was before: {copy}")
    return 0
