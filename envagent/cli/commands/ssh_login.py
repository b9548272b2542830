"""envagent ssh: log in to the server of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from envagent.cli.commands.options import CONFIG, SOME_RUN_ID, examples
from envagent.errors import UsageError
from envagent.hints import Command, Hint

if TYPE_CHECKING:
    from envagent.cli.home import Home
    from envagent.cli.logins import ServerLogin

EPILOG = examples("envagent ssh last", "envagent ssh last -- nvidia-smi -L")

VARIABLES = (
    *("TERM", "COLORTERM", "SHELL", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"),
    *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "XDG_RUNTIME_DIR"),
)
"""The user's variables that ssh needs: the terminal, the agent, and how to ask for a passphrase."""


def ssh(
    run_id: SOME_RUN_ID = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CMD", help="After --: a command to run on the server, or options of ssh.", show_default=False
        ),
    ] = None,
    setup: Annotated[
        bool,
        typer.Option(
            "--setup", help="Add one Include line to ~/.ssh/config, so that `ssh NAME`, scp, rsync and VS Code work."
        ),
    ] = False,
    config: CONFIG = None,
) -> int:
    """Log in to the server of a run, or run a command there.

    Runs the system's ssh with the run's key and the host key that was seen when the login was verified; the exit code
    is that of ssh. What follows -- is passed to ssh, such as a command or -L 8888:localhost:8888.
    """
    import os
    import sys

    from envagent import children
    from envagent.cli.home import Home, read_settings

    home = Home.of(read_settings(config))
    if setup:
        set_up(home)
    elif run_id is None:
        raise UsageError("name a run", hint=Hint(Command("ssh", ("last",)), "; or:", Command("status")))
    if run_id is None:
        return 0
    login = find_login(home, run_id)
    if not words:
        offer_setup(home)
    sys.stdout.flush()
    sys.stderr.flush()
    locale = [name for name in os.environ if name.startswith("LC_")]
    return children.become([*login.target.command(), *(words or ())], *VARIABLES, *locale)


def find_login(home: Home, run_id: str) -> ServerLogin:
    """Return how to log in to the server of a run, from this machine.

    Raises:
        RunStateError: it has no server, or this machine cannot log in.
        ConfigurationError: ssh would refuse the private key.
    """
    from envagent.cli.documents.run_document import StoredRun
    from envagent.cli.logins import check_client, login_of
    from envagent.cli.ssh_config import keep_current

    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        run = StoredRun.load(journal, row, working=home.is_worked_on(row.run_id))
        login = login_of(home, run)
        check_client(run, login)
        keep_current(home, journal)
    return login


def set_up(home: Home) -> None:
    """Include the entries in ~/.ssh/config, and show which names work now.

    Raises:
        ConfigurationError: the file cannot be changed.
    """
    from envagent.cli.logins import current_logins
    from envagent.cli.render.terminal import err
    from envagent.cli.ssh_config import host_names, include_entries, write_entries

    home.prepare()
    changed = include_entries(home)
    terminal = err()
    terminal.line(
        "~/.ssh/config has the line already." if changed is None else f"Added one line at the top of {changed}."
    )
    names: dict[str, list[str]] = {}
    if home.has_journal:
        with home.opened_journal() as journal:
            write_entries(home, journal)
            names = host_names(current_logins(home, journal))
    for one in names.values():
        terminal.whole(f"  ssh {one[-1]}")
    if not names:
        terminal.line("There is no server to log in to yet.")


def offer_setup(home: Home) -> None:
    """Ask once, on a terminal, whether the entries may be included in ~/.ssh/config."""
    from envagent.cli import interaction
    from envagent.cli.interaction import StopSignals
    from envagent.cli.render.terminal import err
    from envagent.cli.ssh_config import is_included

    asked = home.path / "ssh_config.asked"
    if asked.exists() or not interaction.can_ask() or is_included(home):
        return
    question = "Add an Include to ~/.ssh/config, so that `ssh NAME` and VS Code work?"
    with StopSignals(lambda: None, lambda: None) as stop:
        wanted = interaction.agreed(err(), question, stop.event)
    asked.touch()
    if wanted:
        set_up(home)
