"""What `envagent help TOPIC` shows: exit codes, variables, files and what a batch lists, as the program has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from envagent import errors
from envagent.cli.render.terminal import Terminal

_CLASS = re.compile(r"^ {4}(?P<branch>[ │├└─]*)(?P<name>[A-Z]\w+) +(?P<code>\d+) *(?P<meaning>.*)$", re.MULTILINE)
_BRANCH = 4
"""Characters by which the tree is indented for each level."""

VARIABLES = {
    "OPENAI_API_KEY": "the AI's key, if ENVAGENT_AI__API_KEY is not set",
    "OPENAI_BASE_URL": "the AI's address, if ENVAGENT_AI__BASE_URL is not set",
    "OS_CLOUD": "the cloud in clouds.yaml, if neither --cloud nor ENVAGENT_CLOUD is given",
    "OS_CLIENT_CONFIG_FILE": "the clouds.yaml to read",
    "OS_*": "credentials, as the site's openrc file sets them",
    "ENVAGENT_NO_PROMPT": "any value: ask nothing, as without a terminal",
    "ENVAGENT_DEBUG": "1: show the traceback of a bug",
    "NO_COLOR": "any value: no colors",
    "FORCE_COLOR": "any value: colors even without a terminal",
    "TERM": "dumb: nothing is redrawn",
}
"""The variables other than those of settings."""


def exit_codes() -> Iterator[tuple[int, str, str]]:
    """Yield the errors with their exit codes, names and meanings as `envagent.errors` draws them, indented by level."""
    for found in _CLASS.finditer(errors.__doc__ or ""):
        level = len(found["branch"]) // _BRANCH
        yield int(found["code"]), f"{'  ' * max(0, level - 1)}{found['name']}", found["meaning"]


def show_exit_codes(terminal: Terminal) -> None:
    """Print the exit codes, with the errors that have them."""
    _, *kinds = exit_codes()  # the root stands for bugs
    rows = [("0", "", "success"), ("1", "", "a bug; a report is written to ENVAGENT_HOME/crash")]
    rows += [(str(code), name, meaning) for code, name, meaning in kinds]
    rows += [("129", "", "SIGHUP: the terminal was closed"), ("130", "", "Ctrl-C, or no to a question")]
    rows += [("143", "", "SIGTERM")]
    terminal.table(rows, head=("code", "error.type with --json", "meaning"), indent=0)
    terminal.line()
    terminal.line("To continue a run after most of these: envagent resume last")


def show_environment(terminal: Terminal) -> None:
    """Print the environment variables that are read."""
    from envagent.cli.documents.settings_text import every_setting

    terminal.table(VARIABLES.items(), head=("variable", "meaning"), indent=0)
    terminal.line()
    settings = [(one.variable, one.field.description or "") for one in every_setting()]
    terminal.table(settings, head=("variable of a setting", "meaning"), indent=0)


def show_files(terminal: Terminal, files: Sequence[Path] = ()) -> None:
    """Print the files and folders that are read and written.

    Args:
        terminal: where to print.
        files: the files named by --config.
    """
    from envagent import config
    from envagent.cli.home import Home
    from envagent.config import Settings, user_file
    from envagent.errors import EnvagentError

    try:
        home = Home.of(config.load(files=files))
    except EnvagentError:  # help must not depend on it
        home = Home(Settings.model_fields["home"].get_default(call_default_factory=True, validated_data={}))
    read = [
        (str(user_file()), "your settings"),
        (f"./{config.SETTINGS_FILE}", "settings for one folder, if the file is your own"),
        (f"./{config.VARIABLES_FILE}", "ENVAGENT_*, OPENAI_* and OS_* variables, if the file is your own"),
        ("./clouds.yaml", "credentials, if the file is your own"),
        ("~/.config/openstack/clouds.yaml", "credentials"),
        ("/etc/openstack/clouds.yaml", "credentials"),
    ]
    written = [
        (str(home.path), "everything below; ENVAGENT_HOME is another folder"),
        (str(home.journal), "the journal of all runs"),
        (str(home.runs), "a folder for each run: its lock, and the host keys of its server"),
        (str(home.keys), "private keys that envagent created"),
        (str(home.ssh_config), "an entry for each server, for ssh"),
        (str(home.path / "sandbox"), "the simulated Chameleon and its clouds.yaml"),
        (str(home.web_tokens), "the hashes of the tokens for `envagent serve`"),
        (str(home.path / "crash"), "reports of bugs"),
        ("./SERVER_info.json", "the result of a run, named after its server"),
    ]
    terminal.table(read, head=("read", ""), indent=0)
    terminal.line()
    terminal.table(written, head=("written", ""), indent=0)


def show_batch_file(terminal: Terminal) -> None:
    """Print what a file of repositories may say, and which commands work on it."""
    from envagent.cli.batch_file import EXAMPLE, LINE_OPTIONS

    terminal.line("A repository a line, with options of its own; paths are relative to the file:")
    terminal.line()
    for line in EXAMPLE.splitlines():
        terminal.whole(f"  {line}")
    terminal.line()
    terminal.table(LINE_OPTIONS.items(), head=("option of a line", ""), indent=0)
    terminal.line()
    commands = [
        ("envagent run --file repos.txt", "start a run for each line; repeated, continue and start what is missing"),
        ("envagent resume --file repos.txt", "continue the unfinished runs, and start none"),
        ("envagent teardown --file repos.txt", "remove what all runs of the file created"),
    ]
    terminal.table(commands, head=("command", ""), indent=0)
    terminal.line()
    terminal.line("The exit code is that of the first line that did not succeed.")
