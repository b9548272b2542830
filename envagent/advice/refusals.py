"""The errors of placement, which also name close alternatives."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from envagent.advice.fit import VENDORS, lack
from envagent.advice.needs import Need
from envagent.advice.specials import conditions
from envagent.catalog import NodeType, node_types, sites
from envagent.errors import NothingSuitable, UsageError
from envagent.hints import Hint, Option


def unknown_type(name: str, here: Sequence[NodeType]) -> UsageError:
    """Create the error for a node type that does not exist at the site (as opposed to being full)."""
    region = here[0].region if here else "this site"
    names = sorted({t.name for t in here})
    elsewhere = [s.region for s in sites() if any(t.name == name for t in node_types(s.region))]
    lowered = {n.casefold(): n for n in names}
    near = [lowered[n] for n in difflib.get_close_matches(name.casefold(), lowered, n=3, cutoff=0.6)]
    if elsewhere:
        hint = Hint(f"{name} exists at {' and '.join(elsewhere)}: choose that site with", Option("cloud"))
    elif near:
        hint = Hint(f"did you mean {' or '.join(near)}?")
    elif names:
        hint = Hint(f"node types here: {', '.join(names)}")
    else:
        hint = Hint("let the rules choose by leaving out", Option("node_type"))
    return UsageError(f"{region} has no node type {name}", hint=hint)


def summary(need: Need) -> str:
    """Summarise a need."""
    parts = [f"{need.cores} cores", f"{need.ram_gb:g} GB RAM", f"{need.disk_gb:g} GB disk"]
    if need.gpu:
        memory = f" with {need.gpu.memory_gb:g} GB" if need.gpu.memory_gb else ""
        parts.insert(0, f"{need.gpu.count} {VENDORS[need.gpu.vendor]} GPU{memory}")
    if need.architecture != "x86_64":
        parts.append(need.architecture)
    return ", ".join([*parts, *need.specials])


def nothing_suitable(need: Need, region: str, excluded: Mapping[str, str]) -> NothingSuitable:
    """Create the error for a need that no type satisfies: why for each type, and which other site has one."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, why in excluded.items():
        by_reason[why].append(name)
    reasons = "; ".join(f"{', '.join(sorted(names))}: {why}" for why, names in by_reason.items())
    elsewhere = []
    for other in (s for s in sites() if s.region != region):
        types = node_types(other.region)
        tests, _ = conditions(need.specials, types)
        elsewhere += [f"{t.name} at {other.region}" for t in types if lack(t, need, tests) is None]
    hint = Hint(f"other sites have suitable types: {', '.join(elsewhere[:3])}; choose one with", Option("cloud"))
    return NothingSuitable(
        f"no node type at {region} satisfies {summary(need)}" + (f": {reasons}" if reasons else ""),
        hint=hint if elsewhere else None,
    )
