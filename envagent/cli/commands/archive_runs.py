"""envagent archive: leave runs that hold nothing out of the list."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_IDS, examples

EPILOG = examples("envagent archive --older-than 90d", "envagent archive last --undo")


def archive(
    run_ids: RUN_IDS = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="All that have not changed for this long, such as 12h, 90d or 8w."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take archived runs back into the list.")] = False,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Leave runs out of the list that `envagent status` shows.

    Only runs that are torn down, were moved to another journal, or have never requested anything, are archived. Their
    records stay.
    """
    from envagent.cli import archive as archives
    from envagent.cli.documents.json_models import ArchivedDocument
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.hint_text import command_text
    from envagent.cli.render.terminal import out, print_document
    from envagent.errors import UsageError
    from envagent.hints import Hint, command

    if not run_ids and older_than is None:
        raise UsageError("archive needs runs, or an age", hint=Hint(command("archive", older_than="90d")))
    age = None if older_than is None else archives.parse_age(older_than)
    home = Home.of(read_settings(config))
    with home.opened_journal(to_read=True) as journal:
        ids = archives.archive(home, journal, run_ids or (), age, undo=undo)
    if as_json:
        print_document(ArchivedDocument(runs=ids))
        return 0
    count = "1 run" if len(ids) == 1 else f"{len(ids)} runs"
    listed = "" if undo or not ids else f"; to list them: {command_text(command('status', archived=True))}"
    out().line(f"{'Took back' if undo else 'Archived'} {count}{listed}")
    return 0
