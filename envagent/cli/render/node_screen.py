"""The screen of `nodes`: a table of node types for each site."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from envagent.cli.documents.node_models import NodesDocument, NodeTypePart
from envagent.cli.render import times
from envagent.cli.render.terminal import Terminal


def show_nodes(terminal: Terminal, document: NodesDocument, *, gpu: bool) -> None:
    """Print what is free now, and when the rest will be.

    Args:
        terminal: where to print.
        document: what the sites answered.
        gpu: whether only node types with a GPU were asked for.
    """
    if not document.node_types:
        terminal.line(f"No node types{' with a GPU' if gpu else ''} there.")
        return
    now = datetime.fromisoformat(document.looked_at)
    by_site: dict[tuple[str, str], list[NodeTypePart]] = defaultdict(list)
    for one in document.node_types:
        by_site[one.site, one.cloud or "OS_*"].append(one)
    for number, ((site, cloud), parts) in enumerate(by_site.items()):
        if number:
            terminal.line()
        terminal.line((site, "bold"), f"  cloud {cloud}, not reserved for {document.hours} h")
        hidden = [one for one in parts if one.free_now is None and not one.virtual]
        if hidden:
            known = any(one.total for one in hidden)
            what = (
                "does not show what is reserved"
                if known
                else "shows neither what is reserved nor which of these it has"
            )
            terminal.line((f"  the site {what}", "yellow"))
        rows = [(one.node_type, _free(one), _next(one, now), f"{one.su_per_hour:g}", _hardware(one)) for one in parts]
        terminal.table(rows, head=("node type", "not reserved", "next", "SU/h", "each node has"))


def _free(one: NodeTypePart) -> str:
    if one.free_now is None:
        return f"? of {one.total}" if one.total else "?"
    return f"{one.free_now} of {one.total}"


def _next(one: NodeTypePart, now: datetime) -> str:
    """Return when the next node is free: local time, with the day where it is another one."""
    if one.free_now:
        return "now"
    moment = times.parsed(one.next_free)
    if moment is None:
        return "not shown" if one.free_now is None else "never"
    local = moment.astimezone()
    if moment - now < timedelta(days=6):
        return f"{local:%a %H:%M}"
    return f"{local:%d %b %H:%M}"


def _hardware(one: NodeTypePart) -> str:
    partly = one.gpu is not None and one.gpu.guaranteed < one.gpu.count
    special = [*([] if one.architecture == "x86_64" else [one.architecture]), *one.tags]
    return ", ".join([one.hardware + (" (not on every node)" if partly else ""), *special])
