"""Rank the node types that suit: free now, then least service units, then least waste.

Decides on the facts it is given, without contacting a cloud. A GPU need is never placed on a node without such a GPU,
nor another strict need on a node without what it takes; only an explicit request of the user may do that, with a
warning. An amount that no site has, and that the files do not call a minimum, gives way to the best there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from envagent.advice import fit, images, windows
from envagent.advice.decisions import Candidate, Placement
from envagent.advice.needs import Need, least_of, need_of
from envagent.advice.refusals import closest_elsewhere, elsewhere, nothing_suitable, unknown_type
from envagent.advice.specials import Condition
from envagent.catalog import NodeType, describe
from envagent.cloud.port import Host, Image, Occupation
from envagent.repository.results import Analysis

_NEVER = timedelta.max.total_seconds()
_STEPS = 16
"""Steps of a compromise per doubling that a node falls short."""


@dataclass(frozen=True)
class _Group:
    """The nodes of one type: each described if the site shows its hosts, else only the type."""

    kind: NodeType
    hosts: tuple[tuple[Host, NodeType], ...] | None

    @property
    def nodes(self) -> tuple[NodeType, ...]:
        return (self.kind,) if self.hosts is None else tuple(node for _, node in self.hosts)


@dataclass(frozen=True)
class _Suitable:
    """The part of a group that satisfies the need."""

    hosts: tuple[tuple[Host, NodeType], ...] | None
    exclude_uids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    compromise: int = 0


@dataclass(frozen=True)
class _Request:
    """Everything that stays the same for all groups."""

    need: Need
    conditions: tuple[Condition, ...]
    notes: tuple[str, ...]
    images: tuple[Image, ...]
    busy: dict[str, list[Occupation]] | None
    now: datetime
    length: timedelta
    failed_lately: frozenset[str] = frozenset()

    @property
    def missed(self) -> int:
        """How much of what is preferred no node of the site has."""
        return sum(one.missed for one in self.conditions)

    def reduced(self, need: Need, nodes: Sequence[NodeType]) -> _Request:
        """Return the same request for a lower need."""
        conditions, notes = fit.conditions_at(need, nodes)
        return replace(self, need=need, conditions=conditions, notes=notes)


def place(
    analysis: Analysis,
    catalogue_types: Sequence[NodeType],
    hosts: Sequence[Host] | None,
    occupations: Sequence[Occupation] | None,
    available_images: Sequence[Image],
    *,
    now: datetime,
    hours: int,
    node_type: str | None = None,
    image: Image | None = None,
    failed_lately: frozenset[str] = frozenset(),
) -> Placement:
    """Find and rank the node types of one site for an analysis.

    Args:
        analysis: what the project needs.
        catalogue_types: the site's node types (packaged, or refreshed with live data); they also fill in what a
            host does not report.
        hosts: the live hosts; None if the site does not show them.
        occupations: their reservations; None if the site does not show them.
        available_images: the site's images.
        now: the earliest start of the lease (timezone-aware).
        hours: length of the lease.
        node_type: the type requested by the user: the only candidate then, with warnings for what it lacks.
        image: the image requested by the user: types that it does not suit are excluded.
        failed_lately: nodes whose deployment failed minutes ago, which no reservation shows; others are taken first.

    Returns:
        A placement with at least one candidate; all of them may be occupied (`Placement.full`).

    Raises:
        UsageError: the user requested a node type that this site does not have.
        NothingSuitable: no type satisfies the needs; the message says why, type by type.
    """
    groups = _groups(catalogue_types, hosts)
    if node_type is not None:
        groups = [g for g in groups if g.kind.name == node_type]
        if not groups:
            raise unknown_type(node_type, catalogue_types)
    need = need_of(analysis)
    nodes = [node for group in groups for node in group.nodes]
    conditions, notes = fit.conditions_at(need, nodes)
    request = _Request(
        need=need,
        conditions=conditions,
        notes=notes,
        images=(image,) if image else tuple(i for i in available_images if images.traits(i).official),
        busy=windows.by_host(occupations) if occupations is not None else None,
        now=now,
        length=timedelta(hours=hours),
        failed_lately=failed_lately,
    )
    found, excluded = _search(groups, request, by_wish=node_type is not None)
    if not found:
        region = groups[0].kind.region if groups else "this site"
        others = elsewhere(need, region)
        if not others and all(fit.lack(node, need, request.conditions) for node in nodes):
            reduced = request.reduced(least_of(analysis), nodes)
            found, excluded = _best_there_is(groups, reduced, need, region, excluded)
        if not found:
            raise nothing_suitable(need, region, nodes, excluded, others)
    ordered = tuple(sorted(found, key=rank))
    return Placement(candidates=ordered, excluded=excluded, hours=hours, requested=node_type)


def combine(placements: Sequence[Placement]) -> Placement:
    """Combine the placements of several sites (at least one) and rank them together.

    A last resort of one site, or a site that lacks what is preferred, is excluded if another site has something better;
    excluded types are named with their region.
    """
    candidates = sorted((c for p in placements for c in p.candidates), key=rank)
    least = candidates[0].compromise
    excluded = {f"{name} at {p.best.region}": why for p in placements for name, why in p.excluded.items()}
    for candidate in candidates:
        if candidate.compromise > least:
            excluded[f"{candidate.node_type.name} at {candidate.region}"] = candidate.warnings[0]
    return Placement(
        candidates=tuple(c for c in candidates if c.compromise == least),
        excluded=excluded,
        hours=placements[0].hours,
        requested=placements[0].requested,
    )


def look_again(
    placement: Placement, hosts: Sequence[Host], occupations: Sequence[Occupation], *, now: datetime
) -> Placement:
    """Update the availability of the candidates, keeping their order."""
    busy, length = windows.by_host(occupations), timedelta(hours=placement.hours)
    seen = []
    for candidate in placement.candidates:
        if candidate.node_type.virtual:  # no hosts are shown for flavors
            seen.append(candidate)
            continue
        ids = [
            host.id
            for host in hosts
            if host.node_type == candidate.node_type.name and host.reservable and host.uid not in candidate.exclude_uids
        ]
        free_now, next_free = windows.availability(ids, busy, now, length)
        seen.append(candidate.model_copy(update={"free_now": free_now, "next_free": next_free}))
    return placement.model_copy(update={"candidates": tuple(seen)})


def rank(candidate: Candidate) -> tuple[object, ...]:
    """Return a sort key, best first: least compromise; free now, then hidden, then busy; least SU; least waste.

    Hidden types are ordered by number of nodes, then SU; busy ones by when they are free.
    """
    free, named = candidate.free_now, (candidate.node_type.name, candidate.region)
    order: tuple[float, ...]
    if free is None:
        order = (1, -candidate.total, candidate.su_per_hour, candidate.waste)
    elif free > 0:
        order = (0, candidate.su_per_hour, candidate.waste, -free)
    else:
        wait = candidate.next_free.timestamp() if candidate.next_free else _NEVER
        order = (2, wait, candidate.su_per_hour, candidate.waste)
    return (candidate.compromise, *order, *named)


def _groups(kinds: Sequence[NodeType], hosts: Sequence[Host] | None) -> list[_Group]:
    if hosts is None:
        return [_Group(kind, None) for kind in kinds]
    members: dict[str, list[Host]] = defaultdict(list)
    for host in hosts:
        if host.node_type and host.reservable:
            members[host.node_type].append(host)
    return [
        _Group(kind, None if kind.virtual else tuple((host, describe(host, kind)) for host in members[kind.name]))
        for kind in kinds
    ]


def _search(groups: Sequence[_Group], request: _Request, *, by_wish: bool) -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates and why the other types are excluded; last resorts only if there is nothing else."""
    found, excluded = _sweep(groups, request, False, by_wish)
    return (found, excluded) if found else _sweep(groups, request, True, by_wish)


def _best_there_is(
    groups: Sequence[_Group], request: _Request, whole: Need, region: str, refused: dict[str, str]
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the types that satisfy a reduced need and come closest to the whole one, each with what it falls short."""
    if whole == request.need:
        return [], refused
    elsewhere_missing, elsewhere_name = closest_elsewhere(request.need, whole, region)
    compromises = []
    for candidate in _search(groups, request, by_wish=False)[0]:
        amounts = fit.shortages(candidate.node_type, whole)
        missing = sum(doublings for _, doublings in amounts)
        warning = f"no site has all that the project asks for: {'; '.join(text for text, _ in amounts)}"
        if elsewhere_missing < missing:
            warning += f"; {elsewhere_name} comes closer"
        changes = {
            "waste": fit.waste(candidate.node_type, whole),
            "compromise": candidate.compromise + 1 + round(_STEPS * missing),
            "warnings": (warning, *candidate.warnings),
        }
        compromises.append(candidate.model_copy(update=changes))
    least = min((one.compromise for one in compromises), default=0)
    found = [one for one in compromises if one.compromise == least]
    taken = {one.node_type.name for one in found}
    return found, {name: why for name, why in refused.items() if name not in taken}


def _sweep(
    groups: Sequence[_Group], request: _Request, reluctantly: bool, by_wish: bool
) -> tuple[list[Candidate], dict[str, str]]:
    found: list[Candidate] = []
    excluded: dict[str, str] = {}
    for group in groups:
        suitable = _by_wish(group, request) if by_wish else _suitable(group, request, reluctantly)
        if isinstance(suitable, _Suitable):
            node = suitable.hosts[0][1] if suitable.hosts else group.kind
            if any(images.misfit(i, node, request.need) is None for i in request.images):
                found.append(_candidate(group, suitable, request))
                continue
            suitable = _no_image(node, request)
        excluded[group.kind.name] = suitable
    return found, excluded


def _suitable(group: _Group, request: _Request, reluctantly: bool) -> _Suitable | str:
    """Return the hosts of a group that satisfy the need, or why none does."""

    def refusal(node: NodeType) -> str | None:
        missing = fit.lack(node, request.need, request.conditions)
        return missing or (None if reluctantly else fit.reluctance(node, request.need))

    if group.hosts is None:
        return refusal(group.kind) or _Suitable(None, **_last_resort(group.kind, request.need))
    if not group.hosts:
        return "none of its nodes can be reserved now"
    reasons = [(host, node, refusal(node)) for host, node in group.hosts]
    bad = [(host, reason) for host, _, reason in reasons if reason is not None]
    good = tuple((host, node) for host, node, reason in reasons if reason is None)
    if not good:
        return Counter(reason for _, reason in bad).most_common(1)[0][0]
    if any(host.uid is None for host, _ in bad):
        return f"some of its nodes are unsuitable and cannot be excluded: {bad[0][1]}"
    good, failed, warnings = _spared(good, request.failed_lately)
    uids = tuple(sorted((*(host.uid for host, _ in bad if host.uid is not None), *failed)))
    suitable = _Suitable(good, uids, **_last_resort(good[0][1], request.need))
    return replace(suitable, warnings=(*suitable.warnings, *warnings))


def _spared(
    hosts: tuple[tuple[Host, NodeType], ...], failed_lately: frozenset[str]
) -> tuple[tuple[tuple[Host, NodeType], ...], tuple[str, ...], tuple[str, ...]]:
    """Leave out nodes whose deployment failed lately, if others remain: return these, those left out, and warnings."""
    failed = tuple(host.uid for host, _ in hosts if host.uid is not None and host.uid in failed_lately)
    if not failed:
        return hosts, (), ()
    rest = tuple((host, node) for host, node in hosts if host.uid not in failed_lately)
    names = ", ".join(host.name or host.id for host, _ in hosts if host.uid in failed_lately)
    if not rest:
        return hosts, (), (f"a server failed lately on {names}, and there is no other node of this type",)
    return rest, failed, (f"left out: {names}, where a server failed in the last hour",)


def _last_resort(node: NodeType, need: Need) -> dict[str, Any]:
    against = fit.reluctance(node, need)
    return {"warnings": (f"a last resort: {against}",), "compromise": 1} if against else {}


def _by_wish(group: _Group, request: _Request) -> _Suitable | str:
    """Accept the requested type despite what it lacks, with a warning."""
    suitable = _suitable(group, request, reluctantly=True)
    if isinstance(suitable, _Suitable) or group.hosts == ():
        return suitable
    node = group.hosts[0][1] if group.hosts else group.kind
    missing = "; ".join(fit.lacks(node, request.need, request.conditions)) or suitable
    return _Suitable(group.hosts, warnings=(f"requested by the user, although: {missing}",), compromise=1)


def _no_image(node: NodeType, request: _Request) -> str:
    if not request.images:
        return "the site has no Chameleon image"
    if len(request.images) == 1:
        only = request.images[0]
        return f"image {only.name} is unsuitable: {images.misfit(only, node, request.need)}"
    return f"no suitable image at this site: {images.lacking(request.images, node, request.need)}"


def _candidate(group: _Group, suitable: _Suitable, request: _Request) -> Candidate:
    hosts = suitable.hosts
    node = hosts[0][1].model_copy(update={"count": len(hosts)}) if hosts else group.kind
    free_now, next_free = _availability(hosts, request)
    su = max(n.su_factor for _, n in hosts) if hosts else node.su_factor
    return Candidate(
        node_type=node,
        free_now=free_now,
        total=len(hosts) if hosts is not None else node.count,
        next_free=next_free,
        su_per_hour=su,
        waste=fit.waste(node, request.need),
        compromise=suitable.compromise + request.missed,
        exclude_uids=suitable.exclude_uids,
        why=_why(node, free_now, next_free, su),
        warnings=(*suitable.warnings, *request.notes, *fit.warnings(node, request.need)),
    )


def _availability(
    hosts: tuple[tuple[Host, NodeType], ...] | None, request: _Request
) -> tuple[int | None, datetime | None]:
    if hosts is None or request.busy is None:
        return None, None
    return windows.availability((host.id for host, _ in hosts), request.busy, request.now, request.length)


def _why(node: NodeType, free_now: int | None, next_free: datetime | None, su: float) -> str:
    parts = [node.hardware, f"{su:g} SU/h"]
    if free_now:
        parts.append(f"{free_now} not reserved")
    elif free_now == 0:
        parts.append(f"free from {next_free:%Y-%m-%d %H:%M} UTC" if next_free else "none free")
    else:
        parts.append("availability unknown")
    return ", ".join(parts)
