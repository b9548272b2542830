"""envagent help: show the help of a command, or a topic."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from envagent.cli.commands.options import CONFIG, examples
from envagent.errors import UsageError
from envagent.hints import Command, Hint

EPILOG = examples("envagent help exit-codes", "envagent help run")

TOPICS = ("exit-codes", "environment", "files", "batch")


def _completed(context: typer.Context, incomplete: str) -> list[str]:
    names = (*TOPICS, *getattr(context.find_root().command, "commands", ()))
    return [one for one in names if one.startswith(incomplete)]


def show_help(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC|COMMAND",
            help="exit-codes, environment, files, batch, or a command.",
            show_default=False,
            autocompletion=_completed,
        ),
    ] = None,
    config: CONFIG = None,
) -> int:
    """Show the help of a command or a topic."""
    from envagent.cli.render import topics
    from envagent.cli.render.terminal import out

    match words:
        case ["exit-codes"]:
            topics.show_exit_codes(out())
        case ["environment"]:
            topics.show_environment(out())
        case ["files"]:
            topics.show_files(out(), config or ())
        case ["batch"]:
            topics.show_batch_file(out())
        case _:
            _show_command(context.find_root(), words or [])
    return 0


def _show_command(application: Any, words: list[str]) -> None:
    """Print the help of a command, named by its words; of the application without any.

    Raises:
        UsageError: there is no such command.
    """
    import difflib

    context = application
    for word in words:
        known = getattr(context.command, "commands", {})
        if word not in known:
            near = difflib.get_close_matches(word, [*known, *TOPICS], n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(
                f"no command or topic {' '.join(words)!r}{meant}",
                hint=Hint("topics are", ", ".join(TOPICS), "; commands:", Command("--help")),
            )
        context = context.command.context_class(known[word], info_name=word, parent=context)
    typer.echo(context.get_help())
