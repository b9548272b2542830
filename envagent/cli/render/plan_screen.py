"""The screen of a plan: what is needed and why, the node types, the price, and what would be created."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from envagent.cli.documents.run_models import CandidatePart, CreationPart, DecisionPart, PlanDocument, PlanPart
from envagent.cli.render import times
from envagent.cli.render.terminal import Terminal

MOST_CANDIDATES = 8
MOST_NAMES = 4
"""Node types of one reason that are named among the unsuitable ones."""

AFTER_A_QUOTE = r'(?<="\)); '
"""Where one piece of evidence ends; a quote has no such marks inside."""

KINDS = {"floating_ip": "floating IP of {}", "security_group": "security group {} (if missing)"}
"""How a kind of object is worded, where it is not its name."""


def show_plan_document(terminal: Terminal, document: PlanDocument) -> None:
    """Print a plan by itself: for what and where it is, then the plan and its warnings."""
    commit = "" if document.repository.commit is None else f" at {document.repository.commit[:12]}"
    terminal.line((document.repository.url, "bold"), commit)
    cloud = document.cloud or "OS_*"
    terminal.field("cloud", f"{cloud}, site {document.site}, project {document.project}")
    show_plan(terminal, document.plan, document.decisions)
    for warning in dict.fromkeys(document.warnings):
        terminal.line(("warning: ", "yellow"), warning)


def show_plan(terminal: Terminal, plan: PlanPart, decisions: Sequence[DecisionPart]) -> None:
    """Print what will be reserved, why, for how long, at what price, and the alternatives."""
    from envagent.repository.results import Requirements
    from envagent.steps.analyze_repository import describe

    first = plan.candidates[0]
    terminal.line(("Plan", "bold"))
    for one in decisions:
        if one.name == "requirements" and isinstance(one.value, dict):
            terminal.field("needs", describe(Requirements.model_validate(one.value)))
            for source in re.split(AFTER_A_QUOTE, one.reason):
                terminal.field("", source)
    terminal.line("  node type    ", (first.node_type, "bold"), f" at {first.site}")
    terminal.field("", first.hardware)
    if plan.image is not None:
        terminal.field("image", plan.image.name)
    terminal.field("lease", f"{plan.hours} h ({plan.hours_reason})")
    terminal.field("", " until ".join(_period(plan)))
    terminal.field("costs", _costs(plan))
    if plan.creates:
        terminal.field("creates", ", ".join(map(_creation, plan.creates)))
    terminal.line()
    show_candidates(terminal, plan)


def show_plan_briefly(terminal: Terminal, plan: PlanPart) -> None:
    """Print what will be reserved and at what price, for a log."""
    first, image = plan.candidates[0], "" if plan.image is None else f" with {plan.image.name}"
    start, end = _period(plan)
    terminal.line(
        ("plan", "bold"), f": {first.node_type} at {first.site}{image} for {plan.hours} h, {start} until {end}"
    )
    terminal.line(f"      {_costs(plan)}")


def _period(plan: PlanPart) -> tuple[str, str]:
    """Return start and end of the lease in words."""
    start = times.parsed(plan.start)
    end = times.after_hours(start or times.now(), plan.hours)
    return "now" if start is None else times.both(start), times.both(end)


def _costs(plan: PlanPart) -> str:
    """Describe what the lease costs, and what it would cost by the built-in rules alone."""
    costs = f"at most {plan.service_units:g} SU"
    if plan.ceiling > plan.service_units:
        costs = f"{plan.service_units:g} SU, at most {plan.ceiling:g} SU if {plan.candidates[0].node_type} is refused"
    rules = plan.by_rules
    if rules is not None:
        costs += f"; by the built-in rules: {rules.service_units:g} SU ({rules.node_type} for {rules.hours} h)"
    return f"{costs}; less if removed early"


def _creation(made: CreationPart) -> str:
    return KINDS.get(made.kind, f"{made.kind} {{}}").format(made.name)


def show_candidates(terminal: Terminal, plan: PlanPart, *, every: bool = False) -> None:
    """Print the suitable node types as a table, and why the others are not suitable; `every` one, or the first."""
    every = every or len(plan.candidates) == MOST_CANDIDATES + 1  # "and 1 more" says less
    shown = plan.candidates if every else plan.candidates[:MOST_CANDIDATES]
    chosen = terminal.sign("✓", "*")
    names, free, rates, totals, notes = zip(*(candidate_row(plan, one) for one in shown), strict=True)
    signs = [chosen, *[""] * (len(shown) - 1)]
    rows = zip(signs, names, _aligned(free), _aligned(rates), _aligned(totals), notes, strict=True)
    terminal.table(rows, head=("", "node type", "not reserved", "SU/h", "total", ""))
    if more := len(plan.candidates) - len(shown):
        terminal.line(f"  and {more} more suitable node types")
    for reason, excluded in _excluded(plan.excluded, None if every else MOST_NAMES):
        terminal.table([(terminal.sign("✗", "-"), f"{excluded}: {reason}")])


def _aligned(texts: Sequence[str]) -> list[str]:
    widest = max(map(len, texts))
    return [one.rjust(widest) for one in texts]


def _rate(one: CandidatePart) -> str:
    return f"{one.su_per_hour:g}"


def candidate_row(plan: PlanPart, one: CandidatePart) -> tuple[str, str, str, str, str]:
    """Return a node type, how many are free, the rate, the price of the lease, and when the type is used."""
    return one.node_type, _free(one), _rate(one), f"{one.service_units:g} SU", _note(plan, one)


def _free(one: CandidatePart) -> str:
    """Say how many nodes are free at the start of the lease."""
    if one.free_now is None:
        return f"? of {one.total}" if one.total else "?"
    return f"{one.free_now} of {one.total}"


def _note(plan: PlanPart, one: CandidatePart) -> str:
    """Say when a node type is used, and when it is free again."""
    if one is plan.candidates[0]:
        note = "chosen"
    else:
        note = "if refused" if one.taken_unasked else "only if you agree, or with --max-su"
    again = times.parsed(one.next_free)
    if one.free_now == 0:
        note += "; no node known to become free" if again is None else f"; next free {times.both(again)}"
    return note


def _excluded(excluded: dict[str, str], most: int | None) -> Iterator[tuple[str, str]]:
    """Yield each reason with the names of the node types that it excludes, the most frequent first."""
    by_reason: dict[str, list[str]] = {}
    for name, why in excluded.items():
        by_reason.setdefault(why, []).append(name)
    for why, names in sorted(by_reason.items(), key=lambda one: -len(one[1])):
        shown = names if most is None or len(names) == most + 1 else names[:most]  # "and 1 more" says less
        more = len(names) - len(shown)
        yield why, ", ".join(shown) + (f" and {more} more" if more else "")
