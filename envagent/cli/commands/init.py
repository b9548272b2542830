"""envagent init: write an envagent.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envagent.cli.commands.options import CLOUD, CONFIG, MAX_SU, YES, examples

EPILOG = examples("envagent init", "envagent init --cloud sandbox --hours 12 --yes -o envagent.toml")


def init(
    cloud: CLOUD = None,
    hours: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=168, help="Length of a lease in hours. Default: advice.")
    ] = None,
    max_su: MAX_SU = None,
    ai: Annotated[
        bool | None, typer.Option("--ai/--no-ai", help="Whether an AI makes proposals, if OPENAI_API_KEY is set.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your public key. Default: a new key for each run.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write. Default: your own settings.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    yes: YES = False,
    config: CONFIG = None,
) -> int:
    """Write your settings to a commented envagent.toml.

    Asks for what is not given as an option; with --yes, or without a terminal, the rest keeps its default. All settings
    are in the file, with their descriptions. No secret is written: keys stay in the environment, credentials in
    clouds.yaml.
    """
    from envagent.cli.render.hint_text import command_text, hint_text
    from envagent.cli.render.terminal import err
    from envagent.cli.setup_questions import Answers, ask, check, check_target, cloud_choices, write
    from envagent.config import SETTINGS_FILE, user_file
    from envagent.hints import Hint, Option, command

    path = user_file() if output is None else output.expanduser().absolute()
    check_target(path, force=force)
    given = Answers(cloud=cloud, hours=hours, max_su=max_su, ai=ai, public_key=public_key)
    clouds, terminal = cloud_choices(config or ()), err()
    check(given, clouds)
    answers = ask(given, clouds, terminal, yes=yes)
    write(path, answers)
    terminal.line("wrote ", (str(path), "bold"))
    in_this_folder = path == Path.cwd() / SETTINGS_FILE
    if path != user_file() and not (in_this_folder and answers.max_su is None and answers.public_key is None):
        named = hint_text(Hint(Option("config", str(path))))
        terminal.line(f"To use {'all of it' if in_this_folder else 'it'}, pass {named}")
    if answers.ai and not answers.has_ai_key:
        terminal.line("The AI needs a key: export OPENAI_API_KEY=...")
    terminal.line(f"Next: {command_text(command('doctor'))}")
    return 0
