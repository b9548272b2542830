"""The list of runs, as `status` shows it: what each has, what its lease costs, and which leases end soon."""

from __future__ import annotations

from datetime import datetime

from envagent.cli.documents.json_models import CostPart, RunLine, RunsDocument
from envagent.cli.render import times
from envagent.cli.render.hint_text import command_text
from envagent.cli.render.terminal import Terminal
from envagent.hints import command

HEAD = ("run", "name", "state", "node type", "site", "lease", "SU", "repository")

USUAL_HOST = "https://github.com/"


def show_runs(terminal: Terminal, listed: RunsDocument, *, filtered: bool) -> None:
    """Print the list of runs.

    Args:
        terminal: where to print.
        listed: the runs.
        filtered: whether only some of the runs were asked for.
    """
    now = times.now()
    if listed.runs:
        named = any(one.name is not None for one in listed.runs)
        owned = len({one.owner for one in listed.runs}) > 1
        rows = [(*((one.owner or "",) if owned else ()), *_row(one, now, named=named)) for one in listed.runs]
        head = [*(("owner",) if owned else ()), *(one for one in HEAD if named or one != "name")]
        terminal.table(rows, head=head, indent=0)
    elif filtered:
        terminal.line("No such runs.")
    else:
        terminal.line(f"No runs yet. To start one: {command_text(command('run', 'URL', cloud='sandbox'))}")
    if listed.more:
        everything = command_text(command("status", limit=0.0))
        terminal.line(f"{listed.more} more; to list all: {everything}")
    if rate := sum(one.cost.su_per_hour_now for one in listed.runs if one.cost is not None):
        terminal.line(f"Charged now: {rate:g} SU/h")
    for warning in listed.warnings:
        terminal.line(("warning: ", "yellow"), warning)


def _row(run: RunLine, now: datetime, *, named: bool) -> tuple[str, ...]:
    started = times.ago(datetime.fromisoformat(run.created_at), now)
    where = f"{run.repository.removeprefix(USUAL_HOST)}, {started}"
    if run.state not in ("running", "torn_down", "moved"):  # otherwise its record is current
        where += f", checked {times.ago(datetime.fromisoformat(run.looked_at), now)}"
    return (
        run.run_id,
        *((run.name or "",) if named else ()),
        run.state,
        run.node_type or "",
        run.site or run.cloud or "OS_*",
        _lease(run, now),
        _units(run.cost),
        where,
    )


def _lease(run: RunLine, now: datetime) -> str:
    start, end = times.parsed(run.lease_start), times.parsed(run.lease_end)
    if start is None or end is None:
        return ""
    if now < start:
        return f"starts {times.ahead(start, now)}"
    return f"ends {times.ahead(end, now)}" if now < end else f"ended {times.ago(end, now)}"


def _units(cost: CostPart | None) -> str:
    """Return the service units that a lease will still cost, or what the run has used."""
    if cost is None:
        return ""
    units, word = (cost.su_left, "left") if cost.su_left else (cost.su_so_far, "used")
    return f"{units:.0f} {word}" if units >= 10 else f"{units:.2g} {word}"
