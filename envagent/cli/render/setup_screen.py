"""The screen of a set-up: its steps with their ends, what was proved, and what was not."""

from __future__ import annotations

from envagent.cli.documents.setup_models import SetupDocument, SetupStepPart
from envagent.cli.render import times
from envagent.cli.render.hint_text import command_text
from envagent.cli.render.terminal import STATE_STYLES, Terminal
from envagent.hints import THIS_RUN, Command

LOGS = Command("logs", (THIS_RUN,), (("setup", True),))


def show_setup(terminal: Terminal, setup: SetupDocument) -> None:
    """Print how a set-up ended, or how far it is."""
    seconds = sum(one.seconds or 0 for one in setup.steps)
    kind = f" ({setup.ecosystem})" if setup.ecosystem else ""
    style = STATE_STYLES.get(setup.state, "")
    words = {"succeeded": "is set up", "failed": "is not set up", "interrupted": "is being set up, and nobody watches"}
    state = words.get(setup.state, "is being set up")
    simulated = "; simulated: nothing was carried out" if setup.simulated else ""
    terminal.line(
        (f"{setup.folder} {state}", f"bold {style}".strip()), f"{kind}, in {times.duration(seconds)}{simulated}"
    )
    terminal.table([_row(one) for one in setup.steps], head=("", "step", "state", ""))
    for number, one in enumerate(setup.repairs):
        ended = "" if one.state == "running" else f" (exit status {one.exit_status})"
        terminal.field("" if number else "repaired", f"step {one.step}, as the AI proposed: {one.command}{ended}")
    for number, proof in enumerate(setup.proved):
        terminal.field("" if number else "proved", proof)
    for number, proof in enumerate(setup.not_proved):
        terminal.field("" if number else "not proved", proof)
    for number, note in enumerate(setup.notes):
        terminal.field("" if number else "left out", note)
    if setup.state == "succeeded" and not setup.simulated:
        inside = Command("ssh", (THIS_RUN, "--", "-t", f"cd {setup.folder} && exec bash"))
        terminal.line("  use it       ", (command_text(inside, setup.run_id), "bold"))
    terminal.line(f"  its output   {command_text(LOGS, setup.run_id)}")


def setup_line(setup: SetupDocument) -> str:
    """Say in one line how far a set-up is, and what it has proved."""
    done = sum(one.state == "succeeded" for one in setup.steps)
    proved = f"; proved: {setup.proved[-1]}" if setup.proved else ""
    simulated = ", simulated" if setup.simulated else ""
    return f"{setup.state}, {done} of {len(setup.steps)} steps{simulated}{proved}"


def _row(step: SetupStepPart) -> tuple[str, str, str, str]:
    took = "" if step.seconds is None else f" ({times.duration(step.seconds)})"
    places = [one.path if one.line is None else f"{one.path}:{one.line}" for one in step.reasons if one.path]
    why = f"  [{places[0]}{', ...' if len(places) > 1 else ''}]" if places else ""
    return str(step.number), step.name, f"{step.state}{took}", f"{step.title}{why}"
