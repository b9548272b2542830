"""The errors of placement, which also name close alternatives."""

from __future__ import annotations

import difflib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from envagent.advice.fit import VENDORS, conditions_at, lack, reluctance, shortages
from envagent.advice.needs import Need
from envagent.advice.specials import Special, lacking
from envagent.catalog import NodeType, flavors, node_types, sites
from envagent.catalog.gpus import dotted
from envagent.errors import NothingSuitable, UsageError
from envagent.hints import Hint, Option


def unknown_type(name: str, here: Sequence[NodeType]) -> UsageError:
    """Create the error for a node type that does not exist at the site (as opposed to being full)."""
    region = here[0].region if here else "this site"
    names = sorted({t.name for t in here})
    others = [s.region for s in sites() if any(t.name == name for t in node_types(s.region))]
    lowered = {n.casefold(): n for n in names}
    near = [lowered[n] for n in difflib.get_close_matches(name.casefold(), lowered, n=3, cutoff=0.6)]
    if others:
        hint = Hint(
            f"{name} exists at {' and '.join(others)}: choose that site with",
            Option("cloud"),
            ", or the best of all with",
            Option("site", "any"),
        )
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
        plural = "s" if need.gpu.count > 1 else ""
        parts.insert(0, f"{need.gpu.count} {VENDORS[need.gpu.vendor]} GPU{plural}{memory}")
        if need.gpu.capability:
            parts.insert(1, f"compute capability {dotted(need.gpu.capability)}")
    if need.architecture != "x86_64":
        parts.append(need.architecture)
    return ", ".join([*parts, *need.specials])


def _suitable_elsewhere(need: Need, region: str) -> Iterator[NodeType]:
    """Yield the node types of other sites that satisfy a need."""
    for other in (s for s in sites() if s.region != region):
        types = node_types(other.region)
        tests, _ = conditions_at(need, types)
        yield from (t for t in types if lack(t, need, tests) is None)


def elsewhere(need: Need, region: str) -> tuple[str, ...]:
    """Name the node types of other sites that satisfy a need."""
    return tuple(f"{t.name} at {t.region}" for t in _suitable_elsewhere(need, region))


def closest_elsewhere(reduced: Need, whole: Need, region: str) -> tuple[float, str]:
    """Find the type of another site that satisfies a reduced need and comes closest to the whole one.

    Returns:
        The doublings by which it falls short, and its name; infinity if there is no such type.
    """
    suitable = (t for t in _suitable_elsewhere(reduced, region) if reluctance(t, reduced) is None)
    found = ((sum(missing for _, missing in shortages(t, whole)), f"{t.name} at {t.region}") for t in suitable)
    return min(found, default=(math.inf, ""))


def had_nowhere(specials: Iterable[str], here: Iterable[NodeType] = ()) -> str | None:
    """Say which special hardware no site has, counting a site's live node types too; None if some site has all."""
    known = (t for s in sites() for t in (*node_types(s.region), *flavors(s.region)))
    nodes = (*known, *here)
    missing = lacking(specials, nodes)
    if not missing:
        return None
    together = " on one machine" if any(kind.levels[-1](node) for kind in missing for node in nodes) else ""
    notes = "; ".join(kind.without for kind in missing if kind.without and len(kind.levels) == 1)
    return f"needs {_names(missing)}{together}, which no Chameleon site has{f' ({notes})' if notes else ''}"


def _names(kinds: Sequence[Special]) -> str:
    return " and ".join(kind.name for kind in kinds)


def nothing_suitable(
    need: Need, region: str, here: Sequence[NodeType], excluded: Mapping[str, str], others: Sequence[str]
) -> NothingSuitable:
    """Create the error for a need that no type at a site satisfies: why, and what else can be done.

    Args:
        need: what the project needs.
        region: the site.
        here: its nodes.
        excluded: why each of its types is unsuitable.
        others: the suitable types of other sites.
    """
    hint = Hint("to go on anyway, name a node type with", Option("node_type"))
    if others:
        hint = Hint(f"other sites have suitable types: {', '.join(others[:3])}; choose one with", Option("cloud"))
    if nowhere := had_nowhere(need.specials, here):
        return NothingSuitable(f"the project {nowhere}", hint=hint)
    missing = lacking(need.specials, here)
    if missing and others:
        return NothingSuitable(f"the project needs {_names(missing)}, which {region} does not have", hint=hint)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, why in excluded.items():
        by_reason[why].append(name)
    reasons = "; ".join(f"{', '.join(sorted(names))}: {why}" for why, names in by_reason.items())
    where = f"no node type at {region}" + ("" if others else " or another site")
    return NothingSuitable(f"{where} satisfies {summary(need)}" + (f": {reasons}" if reasons else ""), hint=hint)
