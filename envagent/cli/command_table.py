"""The commands by name: each is imported and built when it is used, so a start costs what its one command costs."""

from __future__ import annotations

import copy
import importlib
import inspect
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

CENTRE, BEFORE, DURING, SETUP = "Commands", "Before a run", "With a server", "Setup"
"""The groups of commands in --help, in this order."""

SHARED_OPTIONS = ("color", "verbose")
"""Options of the application that may stand after a command's name as well."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is defined.

    Attributes:
        module: its module in `envagent.cli.commands`, which also has its EPILOG.
        name: the function; `app` for a group of commands.
        group: under which heading --help shows it.
    """

    module: str
    name: str
    group: str

    def load(self) -> Any:
        """Import and return the function, or the group."""
        return getattr(self.imported(), self.name)

    def imported(self) -> Any:
        """Return the module."""
        return importlib.import_module(f"envagent.cli.commands.{self.module}")

    def summary(self) -> str:
        """Return the first line of the help."""
        loaded = self.load()
        text = loaded.info.help if isinstance(loaded, typer.Typer) else inspect.getdoc(loaded)
        return str(text).partition("\n")[0]


COMMANDS = {
    "run": Place("run", "run", CENTRE),
    "resume": Place("resume", "resume", CENTRE),
    "status": Place("status", "status", CENTRE),
    "teardown": Place("teardown", "teardown", CENTRE),
    "plan": Place("planning", "plan", BEFORE),
    "analyze": Place("analyze", "analyze", BEFORE),
    "nodes": Place("nodes", "nodes", BEFORE),
    "ssh": Place("ssh_login", "ssh", DURING),
    "setup": Place("setup_server", "setup", DURING),
    "pack": Place("pack", "pack", DURING),
    "share": Place("share", "share", DURING),
    "open": Place("open_editor", "open_editor", DURING),
    "extend": Place("extend", "extend", DURING),
    "logs": Place("logs", "logs", DURING),
    "explain": Place("explain", "explain", DURING),
    "demo": Place("demo", "demo", SETUP),
    "init": Place("init", "init", SETUP),
    "doctor": Place("doctor", "doctor", SETUP),
    "config": Place("config_show", "app", SETUP),
    "serve": Place("serve", "app", SETUP),
    "worker": Place("fleet_worker", "worker", SETUP),
    "cancel": Place("cancel", "cancel", DURING),
    "limits": Place("limits", "limits", SETUP),
    "archive": Place("archive_runs", "archive", SETUP),
    "export": Place("export_run", "export_run", SETUP),
    "import": Place("import_run", "import_run", SETUP),
    "migrate": Place("migrate", "migrate", SETUP),
    "sandbox": Place("sandbox", "app", SETUP),
    "diagram": Place("diagram", "diagram", SETUP),
    "skill": Place("skill", "skill", SETUP),
    "help": Place("help_topics", "show_help", SETUP),
}


class CommandGroup(TyperGroup):
    """The application: its commands are those of the table, shown in groups.

    Typer would build all of them at each start, and shows groups only with rich, which triples the time of --help.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Built([copy.copy(one) for one in self.params if one.name in SHARED_OPTIONS])

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, without building the commands."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each group's commands with the first line of their help."""
        widest = max(map(len, COMMANDS))
        for group in (CENTRE, BEFORE, DURING, SETUP):
            with formatter.section(group):
                rows = [(name, place) for name, place in COMMANDS.items() if place.group == group]
                formatter.write_dl([(f"{name:{widest}}", place.summary()) for name, place in rows])


class _Built(dict[str, Any]):
    """Commands by name; a value is built when it is asked for.

    Args:
        options: what each command and subcommand gets on top of its own options.
    """

    def __init__(self, options: list[Any]) -> None:
        super().__init__(dict.fromkeys(COMMANDS))
        for one in options:
            one.expose_value = False
        self._options = options

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = command = _build(name)
            _add(self._options, command)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a command, or the default where there is none."""
        return self[name] if name in self else default  # noqa: SIM401 - that would be this method

    def items(self) -> Any:
        """Return all, built."""
        return {name: self[name] for name in self}.items()

    def values(self) -> Any:
        """Return all, built."""
        return {name: self[name] for name in self}.values()


def _build(name: str) -> Any:
    place = COMMANDS[name]
    loaded = place.load()
    if not isinstance(loaded, typer.Typer):
        own = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        own.command(name, epilog=place.imported().EPILOG)(loaded)
        return typer.main.get_command(own)
    group = typer.main.get_group(loaded)
    group.name = name
    return group


def _add(options: list[Any], command: Any) -> None:
    """Add options to a command, and to all commands of a group."""
    command.params.extend(options)
    for one in getattr(command, "commands", {}).values():
        _add(options, one)
