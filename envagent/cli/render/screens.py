"""The screens: a run's result, plan and details, the list of runs, an analysis, and what teardown finds."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import JsonValue

from envagent.cli.documents.json_models import CostPart, ErrorPart, OrphansDocument
from envagent.cli.documents.run_models import AnalysisDocument, DecisionPart, ResourcePart, RunDocument, StepPart
from envagent.cli.documents.sandbox_models import LogDocument
from envagent.cli.render import times
from envagent.cli.render.hint_text import command_text
from envagent.cli.render.image_lists import image_names
from envagent.cli.render.setup_screen import setup_line
from envagent.cli.render.terminal import STATE_STYLES, Terminal
from envagent.engine.kinds import kind_text
from envagent.hints import THIS_RUN, Command, status, teardown

MOST_MOMENTS = 20
"""How many entries of a run's timeline are shown."""

RECENT = timedelta(minutes=2)
"""What was checked so recently is shown as current."""

PURPOSES = {
    "resume": "continue where it stopped",
    "teardown": "remove everything that it created",
    "status": "show every step, decision and resource",
}
"""What each of the commands that follow a run does."""


def show_result(terminal: Terminal, run: RunDocument, host: str | None = None) -> None:
    """Print the result of a finished run: how to log in, what it costs, how to remove it.

    Args:
        terminal: where to print.
        run: the run.
        host: the name by which plain ssh finds the server, if it does.
    """
    where = f" at {run.site}" if run.site else ""
    image = "" if run.image is None else f" with {run.image.name}"
    server = "the server" if run.server is None else run.server.name
    gone = run.cost is not None and run.cost.phase in ("ended", "removed")
    state = (f"{server} is gone", "bold yellow") if gone else (f"{server} is up", "bold green")
    terminal.line(state, f": {run.node_type}{where}{image}")
    if gone:
        terminal.field("log in", "not possible: the lease has ended")
    elif run.ssh is None:
        terminal.field("log in", "not possible: the server has no address")
    else:
        terminal.line("  log in       ", (command_text(Command("ssh", (run.called,))), "bold"))
        if host is not None:
            terminal.whole("  or           ", (f"ssh {host}", "dim"))
        if not run.ssh_verified:
            terminal.field("", "SSH login not verified")
        show_node(terminal, run)
    if run.cost is not None:
        show_cost(terminal, run.cost)
    if run.info_file is not None:
        terminal.line(f"  details      {_seen_from_here(run.info_file)}")
    terminal.line(f"  remove it    {command_text(teardown(), run.called)}")


def _seen_from_here(path: str) -> str:
    """Return a path as a shell here takes it: from the working folder or the home folder, if it is in there."""
    for folder, before in ((Path.cwd, ""), (Path.home, "~/")):
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            return f"{before}{Path(path).relative_to(folder())}"
    return path


def show_node(terminal: Terminal, run: RunDocument) -> None:
    """Print what the node showed at the login, and what it lacks."""
    if run.node is None:
        return
    terminal.field("checked", run.node.summary)
    for difference in run.node.differences:
        terminal.line("  differs      ", (difference, "yellow"), inset=15)


def show_extended(terminal: Terminal, run: RunDocument, *, extended: bool) -> None:
    """Print until when a lease is now, and what it costs."""
    where = " at ".join(filter(None, (run.node_type, run.site)))
    done = (f"run {run.called}", "bold")
    if extended:
        done = (f"the lease of run {run.called} was extended", "bold green")
    terminal.line(done, f": {where}" if where else "")
    if run.cost is not None:
        show_cost(terminal, run.cost)


def show_cost(terminal: Terminal, cost: CostPart) -> None:
    """Print start and end of the lease, and what it costs or has cost."""
    for name, text in cost_fields(cost, times.now()):
        terminal.field(name, text)


def cost_fields(cost: CostPart, now: datetime) -> list[tuple[str, str]]:
    """Return start and end of the lease, and what it costs or has cost, as names and texts."""
    start, end = datetime.fromisoformat(cost.lease_start), datetime.fromisoformat(cost.lease_end)
    removed = times.parsed(cost.lease_removed_at)
    whole = f"{cost.su_estimate:g} SU for the whole lease ({cost.su_per_hour:g} SU/h)"
    match cost.phase:
        case "not_begun":
            starts = f"{times.both(start)}, {times.until(start, now)}; ends {times.both(end)}"
            return [("lease starts", starts), ("will cost", whole if cost.su_so_far else f"{whole}, nothing so far")]
        case "running":
            ends = f"{times.both(end)}, {times.until(end, now)}"
            return [("lease ends", ends), ("costs", f"{whole}, {cost.su_so_far:g} SU so far")]
        case "ended":
            return [("lease ended", f"{times.both(end)}, {times.until(end, now)}"), _used(cost)]
        case "removed":
            at = end if removed is None else removed
            return [("lease", f"removed {times.both(at)}, {times.until(at, now)}"), _used(cost)]


def show_used(terminal: Terminal, cost: CostPart) -> None:
    """Print what a run has used, once nothing is charged any more."""
    terminal.field(*_used(cost))


def _used(cost: CostPart) -> tuple[str, str]:
    """Return what a run has used, once nothing is charged any more."""
    return "used", f"{cost.su_so_far:g} SU in {cost.hours_so_far:g} h"


def show_error(terminal: Terminal, error: ErrorPart, *, hint: bool = True) -> None:
    """Print what failed, the service's own words and, unless it is too late, what to do."""
    where = "" if error.step is None else f"{error.step.partition('.')[0]} failed: "
    terminal.line(("error: ", "bold red"), f"{where}{error.message}")
    if error.service_said:
        request = f" (request {error.request_id})" if error.request_id else ""
        terminal.line(f"  the service said: {error.service_said}{request}")
    elif error.request_id:
        terminal.line(f"  request id: {error.request_id}")
    if hint and error.hint:
        terminal.line(("hint: ", "bold"), error.hint)


def show_existing(terminal: Terminal, run: RunDocument) -> None:
    """Print what exists in the cloud as far as is known, what is charged now, and what was used."""
    there = [one for one in run.resources if one.state in ("present", "removing") and _is_here(one)]
    perhaps = [one for one in run.resources if one.state == "unknown"]
    if there:
        looked = datetime.fromisoformat(run.looked_at)
        recent = times.now() - looked < RECENT
        cost = run.cost if run.cost is not None and run.cost.charged_now else None
        state = "there" if cost is None else "running"
        when = f"{state.capitalize()} when last checked, {times.ago(looked, times.now())}"
        rate = "" if cost is None else f", {cost.su_per_hour_now:g} SU/h"
        terminal.line((f"{f'Still {state}' if recent else when}{rate}:", "bold"))
        terminal.table([resource_row(one) for one in there])
    if perhaps:
        terminal.line(("May also exist:" if there else "May exist:", "bold"))
        terminal.table([resource_row(one) for one in perhaps])
    if not there and not perhaps:
        terminal.line("This run has no resources in the cloud; nothing is charged.")
    if run.cost is not None and not run.cost.charged_now and run.cost.su_so_far:
        show_used(terminal, run.cost)


def _is_here(one: ResourcePart) -> bool:
    return one.ownership != "foreign" and one.ended_at is None


def show_run(terminal: Terminal, run: RunDocument) -> None:
    """Print everything about one run."""
    where = " at ".join(filter(None, (run.cloud or "OS_*", run.site)))
    called = f"run {run.run_id}" if run.name is None else f"run {run.name} ({run.run_id})"
    terminal.line((called, "bold"), "  ", (run.state, STATE_STYLES.get(run.state, "")))
    commit = "" if run.repository.commit is None else f" at {run.repository.commit[:12]}"
    terminal.field("repository", f"{run.repository.url}{commit}")
    terminal.field("cloud", where)
    terminal.field("started", times.both(datetime.fromisoformat(run.created_at)))
    if run.state == "moved":
        terminal.line("  another journal has it; this is the record as it was then")
    elif run.state not in ("running", "torn_down"):
        again = command_text(status(refresh=True), run.called)
        checked = times.ago(datetime.fromisoformat(run.looked_at), times.now())
        terminal.line(f"  last checked {checked}{f'; to check again: {again}' if run.resources else ''}", inset=15)
    if run.ssh is not None:
        terminal.line("  log in       ", (command_text(Command("ssh", (run.called,))), "bold"))
        terminal.whole("  or           ", (run.ssh, "dim"))
        show_node(terminal, run)
    if run.cost is not None:
        show_cost(terminal, run.cost)
    if run.setup is not None:
        terminal.field("set-up", setup_line(run.setup))
    terminal.line()
    terminal.table([step_row(one) for one in run.steps], head=("step", "state", "started", "tries", "took", ""))
    if run.timeline:
        terminal.line()
        _show_timeline(terminal, run)
    if run.resources:
        terminal.line()
        head = ("resource", "name", "state", "id")
        terminal.table([resource_row(one) for one in run.resources], head=head)
    if run.decisions:
        terminal.line()
        rows = [(one.name, one.source, _decided(one)) for one in run.decisions]
        terminal.table(rows, head=("decision", "by", "what, and why"))
    for warning in dict.fromkeys(run.warnings):
        terminal.line(("warning: ", "yellow"), warning)
    if run.error is not None:
        terminal.line()
        show_error(terminal, run.error, hint=run.state != "torn_down")
    show_next(terminal, run, but="status")


def _show_timeline(terminal: Terminal, run: RunDocument) -> None:
    """Print what happened when: the day where it changes, and the last moments of a long story."""
    shown, rows, day = run.timeline[-MOST_MOMENTS:], [], ""
    for one in shown:
        at = datetime.fromisoformat(one.at)
        today = f"{at.astimezone():%a %d %b}"
        rows.append(("" if today == day else today, times.clock(at), one.message))
        day = today
    terminal.table(rows, head=("day", "time", "what happened"))
    if more := len(run.timeline) - len(shown):
        terminal.line(f"  {more} earlier; to list all: {command_text(Command('logs', (THIS_RUN,)), run.called)}")


def show_next(terminal: Terminal, run: RunDocument, *, but: str = "") -> None:
    """Print the commands that make sense now, except for `but`, which is being carried out."""
    commands = [(one, PURPOSES[one.split()[1]]) for one in run.next if one.split()[1] != but]
    if commands:
        if but == "status":  # its blocks are separated
            terminal.line()
        terminal.line(("Next:", "bold"))
        terminal.table(commands)


def step_row(step: StepPart) -> tuple[str, ...]:
    """Return name, state, start, tries and duration of a step, and what it came to or waits for."""
    took = "" if step.seconds is None else times.duration(step.seconds)
    waits = [one for one in step.stages if one.wait is not None and one.state != "succeeded"]
    note = step.summary if step.error is None else step.error.message
    if not note and waits:
        note = f"waiting for {waits[-1].wait}" + (f": {waits[-1].status}" if waits[-1].status else "")
    started = "" if step.started_at is None else times.clock(datetime.fromisoformat(step.started_at))
    return step.name, step.state, started, str(step.attempts or ""), took, note


def resource_row(one: ResourcePart) -> tuple[str, ...]:
    """Return kind, name, state and id; the id comes last, since it needs most room and is read least."""
    end = times.parsed(one.end_date)
    state: str = one.state
    if one.ended_at is not None:
        state = "ended with its lease" if one.kind == "server" else "ended by itself"
    elif one.state == "unknown":
        state = "requested, outcome unknown"
    elif one.ownership == "foreign":
        state = "not created by this run"
    elif one.state == "present" and end is not None:
        state = f"until {times.both(end)}"
    return kind_text(one.kind), one.name, state, "" if one.id == one.name else one.id or "?"


def _decided(decision: DecisionPart) -> str:
    """Return what was decided and why, as prose: names can be long, and a terminal narrow."""
    value = decision.value
    if isinstance(value, dict):
        value = value.get("name", "")
    if isinstance(value, list):
        value = image_names([str(one) for one in value])
    if decision.name == "duration":
        value = f"{value} h"
    return f"{value}: {decision.reason}" if value else decision.reason


def show_analysis(terminal: Terminal, analysis: AnalysisDocument) -> None:
    """Print what a repository needs, and the evidence."""
    commit = "" if analysis.repository.commit is None else f" at {analysis.repository.commit[:12]}"
    terminal.line((analysis.repository.url, "bold"), commit)
    stated = {name: value for name, value in analysis.requirements.items() if name != "python_allowed"}
    known = [named(name, value) for name, value in stated.items() if value not in (None, [], False)]
    terminal.line(("Needs", "bold"), "" if known else ": its files state no requirements")
    if known:
        terminal.table(known)
    sizes = [named(name, value) for name, value in analysis.sizing.items() if value and name != "reasons"]
    terminal.line(("Sized as", "bold"))
    terminal.table(sizes)
    if analysis.evidence:
        terminal.line(("Evidence", "bold"))
        show_evidence(terminal, analysis.evidence)
    for assumption in analysis.assumptions:
        terminal.line("assumed: ", assumption)
    for note in (*analysis.notes, *analysis.decision.warnings):
        terminal.line(("note: ", "yellow"), note)


def show_evidence(terminal: Terminal, evidence: Sequence[Mapping[str, JsonValue]]) -> None:
    """Print the quoted lines, each with what it is evidence for."""
    terminal.table([(name, value, f'{place} "{quote}"') for name, value, place, quote in evidence_rows(evidence)])


def evidence_rows(evidence: Sequence[Mapping[str, JsonValue]]) -> list[tuple[str, str, str, str]]:
    """Return what each line is evidence for (name and value), its place, and the quote."""
    rows = [(*named(str(one["field"]), one["value"]), _place(one), _plain(one["quote"])) for one in evidence]
    return list(dict.fromkeys(rows))  # a line may be evidence for one thing twice


def show_log(terminal: Terminal, log: LogDocument) -> None:
    """Print the sandbox's committed writes."""
    head = ("seq", "time", "service", "method", "path", "status", "kind", "name")
    rows = [
        (str(one.seq), one.time, one.service, one.method, one.path, str(one.status), one.kind or "", one.name or "")
        for one in log.root
    ]
    terminal.table(rows, head=head, indent=0)


def _place(evidence: Mapping[str, JsonValue]) -> str:
    line = evidence.get("line")
    return f"{evidence['path']}" if line is None else f"{evidence['path']}:{line}"


def named(field: str, value: JsonValue) -> tuple[str, str]:
    """Return a requirement's name and value as they are shown, such as `GPU memory` and `24 GB`."""
    name, unit = (field[:-3], " GB") if field.endswith("_gb") else (field, "")
    words = [word.upper() if word in ("gpu", "cpu", "ram", "os", "cuda") else word for word in name.split("_")]
    shown = " ".join(words)
    return shown[:1].upper() + shown[1:], f"{_plain(value)}{unit}"


def _plain(value: JsonValue) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if value is True or value == "True":  # evidence has values as texts
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def show_removable(terminal: Terminal, listed: Sequence[ResourcePart]) -> None:
    """Print what a teardown would remove."""
    if listed:
        terminal.line(("Would be removed:", "bold"))
        terminal.table([resource_row(one) for one in listed])
    else:
        terminal.line("There is nothing to remove.")


def show_orphans(terminal: Terminal, document: OrphansDocument, again: str) -> None:
    """Print the tagged resources, and their runs as far as this journal knows them.

    Args:
        terminal: where to print.
        document: what was found.
        again: the command that lists them.
    """
    offered = [one for one in document.orphans if one.offered]
    others = [one for one in document.orphans if not one.offered]
    if offered:
        rows = [
            (kind_text(one.kind), one.id, one.name, one.run_id, one.known_as or "not in this journal")
            for one in offered
        ]
        terminal.table(rows, head=("resource", "id", "name", "run", "the run is"), indent=0)
    elif others:
        terminal.line("All your envagent resources in this project belong to runs in the local journal.")
    else:
        terminal.line("You have no envagent resources in this project.")
    runs = {
        one.run_id: one.known_as or "running" for one in others
    }  # an unknown run is listed here only if it is being worked on
    for run_id, state in runs.items():
        count = sum(1 for one in others if one.run_id == run_id)
        how = "" if state == "running" else f"; to remove them: {command_text(teardown(), run_id)}"
        terminal.line(f"Kept: {count} of run {run_id} ({state}){how}")
    if any(state != "running" for state in runs.values()):
        terminal.line(f"To remove everything: {again} --all")
