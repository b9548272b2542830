"""Options that several commands share, shell completion of run ids, and the examples of each help text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

REQUESTS = "envagent.requests"
"""The logger of `envagent.cloud` for each request that it sends."""


@dataclass
class Invocation:
    """One call of the command line, as the context's object (`typer.Context.obj`).

    Attributes:
        arguments: what follows the program's name.
        as_json: whether stdout is for JSON alone.
        in_lines: whether each JSON document is a line.
        verbose: whether requests and warnings of libraries are shown.
    """

    arguments: list[str]
    as_json: bool = False
    in_lines: bool = False
    verbose: bool = False


def _note_json(context: typer.Context, value: bool) -> bool:
    if value and isinstance(context.obj, Invocation):
        context.obj.as_json = True
    return value


def _note_stream(context: typer.Context, value: bool) -> bool:
    if value and isinstance(context.obj, Invocation):
        context.obj.as_json = context.obj.in_lines = True
    return value


def _note_verbose(context: typer.Context, value: bool) -> bool:
    if value and isinstance(context.obj, Invocation):
        import logging

        logging.getLogger(REQUESTS).setLevel(logging.INFO)
        context.obj.verbose = True
    return value


def _note_color(value: str) -> str:
    """Let the option decide, in the terms that rich and other programs know."""
    if value != "auto":
        os.environ.pop("NO_COLOR" if value == "always" else "FORCE_COLOR", None)
        os.environ["FORCE_COLOR" if value == "always" else "NO_COLOR"] = "1"
    return value


def _run_ids(incomplete: str) -> list[str]:
    """Complete a run id, newest first, a name, or `last`: ids from the folders', without opening the journal."""
    from envagent import config
    from envagent.cli.home import Home
    from envagent.errors import EnvagentError

    names: list[str] = []
    try:
        home = Home.of(config.load())
        folders = sorted(home.runs.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
        names = home.run_names()
    except (EnvagentError, OSError):
        folders = []
    return [name for name in (*names, *(one.name for one in folders), "last") if name.startswith(incomplete)]


def _clouds(incomplete: str) -> list[str]:
    """Complete the name of a cloud: those in clouds.yaml and those of the sandbox; nothing is sent."""
    from envagent import config
    from envagent.cli.clouds import SANDBOX, SANDBOX_SITES
    from envagent.cloud.login import cloud_entries
    from envagent.errors import EnvagentError

    try:
        login = config.load().login
        names = [one.name for one in cloud_entries(login.variables, login.folder)]
    except EnvagentError:
        names = []
    return [name for name in (*names, SANDBOX, *SANDBOX_SITES) if name.startswith(incomplete)]


def _node_types(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a node type of the packaged catalogue, with its hardware."""
    from envagent import catalog

    kinds = (
        one for site in catalog.sites() for one in (*catalog.node_types(site.region), *catalog.flavors(site.region))
    )
    known = {one.name: one.hardware for one in kinds if one.name.startswith(incomplete)}
    return sorted(known.items())


_REPO = typer.Argument(
    metavar="REPO", help="https://host/owner/name (also with /tree/REF), or a local path.", show_default=False
)
REPO = Annotated[str, _REPO]
SOME_REPO = Annotated[str | None, _REPO]
_RUN = typer.Argument(
    metavar="RUN_ID",
    help="A run id, its first characters, the run's name, or `last`.",
    autocompletion=_run_ids,
    show_default=False,
)
RUN_ID = Annotated[str, _RUN]
SOME_RUN_ID = Annotated[str | None, _RUN]
RUN_IDS = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN_ID...",
        help="Run ids, their first characters, names, or `last`.",
        autocompletion=_run_ids,
        show_default=False,
    ),
]
CLOUD = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Cloud in clouds.yaml, or `sandbox` (no account needed). Default: OS_CLOUD or OS_*.",
        autocompletion=_clouds,
    ),
]
NODE_TYPE = Annotated[
    str | None, typer.Option(metavar="NAME", help="Reserve this node type.", autocompletion=_node_types)
]
YES = Annotated[bool, typer.Option("--yes", "-y", help="Do not prompt.")]
MAX_SU = Annotated[
    float | None,
    typer.Option(metavar="SU", min=0.01, max=1e6, help="Accept any suitable node type if the lease costs at most SU."),
]
NAME = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of the run, for every command in place of its id. Repeated, shows or resumes the run of that name.",
    ),
]
AS_JSON = Annotated[
    bool, typer.Option("--json", is_eager=True, callback=_note_json, help="Print one JSON document on stdout.")
]
JSON_STREAM = Annotated[
    bool,
    typer.Option(
        "--json-stream",
        is_eager=True,
        callback=_note_stream,
        help="Print each event on stdout as it happens, a JSON document a line; the last is that of --json.",
    ),
]
VERBOSE = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        is_eager=True,
        callback=_note_verbose,
        help="Show each request to the cloud, and warnings of libraries.",
    ),
]
COLOR = Annotated[
    Literal["auto", "always", "never"],
    typer.Option(
        is_eager=True,
        callback=_note_color,
        show_default=False,
        help="Use colors. Default: auto, on a terminal, or as NO_COLOR and FORCE_COLOR say.",
    ),
]
NO_AI = Annotated[bool, typer.Option("--no-ai", help="Use only the built-in rules.")]
NO_REPAIR = Annotated[
    bool,
    typer.Option("--no-repair", help="If a step of the set-up fails, do not let an AI propose a command for it."),
]
CONFIG = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Read this envagent.toml, .env or clouds.yaml instead of those in the current folder. Can be repeated.",
    ),
]
FILE = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="Work on the repositories that a file lists, one a line."),
]
PARALLEL = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=100, help="With --file: work on N repositories at once. Default: 4."),
]
MAX_SU_TOTAL = Annotated[
    float | None,
    typer.Option(metavar="SU", min=0.01, max=1e6, help="With --file: reserve nothing beyond SU for all leases."),
]
CSV = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="With --file: write the result to a CSV file.")]
REF = Annotated[str | None, typer.Option(metavar="REF", help="Branch, tag or commit.")]

ALSO = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="FILE|URL",
        help="Also read this document (PDF, text, HTML, e-mail, notebook), such as the paper's artifact appendix. "
        "Can be repeated.",
    ),
]


IMAGE = Annotated[str | None, typer.Option(metavar="NAME", help="Use this image (name or id).")]
HOURS = Annotated[int | None, typer.Option(metavar="N", min=1, max=168, help="Length of the lease in hours.")]
NETWORK = Annotated[str | None, typer.Option(metavar="NAME", help="Network of the server (name or id).")]
SERVER_NAME = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the server.")]
NO_FLOATING_IP = Annotated[bool, typer.Option("--no-floating-ip", help="Do not allocate a floating IP.")]
START = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Start of the lease: 2026-12-01T09:00 (local time; with Z: UTC)."),
]
WAIT_FOR_CAPACITY = Annotated[
    bool, typer.Option("--wait-for-capacity", help="If nothing is free now, reserve the earliest window.")
]
SITE = Annotated[
    Literal["any"] | None,
    typer.Option(
        metavar="any", help="Use the best of all sites in clouds.yaml (or the sandbox); if it refuses, the next."
    ),
]
SPEED = Annotated[
    float | None,
    typer.Option(metavar="FACTOR", min=0.001, help="How many times faster than real time the sandbox works."),
]


def examples(*commands: str) -> str:
    r"""Lay out examples below a help text (\b keeps the lines as they are)."""
    return "\b\nExamples:\n" + "\n".join(f"  {one}" for one in commands)
