"""The packaged catalogue: dated JSON files in `data`, read once and validated."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from envagent.catalog.hardware import NodeType, Site


@cache
def load(name: str) -> Any:
    """Parse one packaged data file, `name` without its folder; what is returned is shared, so never change it."""
    return json.loads((files("envagent.catalog") / "data" / name).read_text(encoding="utf-8"))


@cache
def sites() -> tuple[Site, ...]:
    """Return all known sites."""
    return tuple(Site.model_validate(item) for item in load("sites.json")["sites"])


def site(name: str) -> Site | None:
    """Find a site by region name or uid, ignoring case; None if unknown."""
    wanted = name.casefold()
    return next((s for s in sites() if wanted in (s.region.casefold(), s.uid.casefold())), None)


def node_types(region: str) -> tuple[NodeType, ...]:
    """Return the bare-metal node types of a region; empty for an unknown region."""
    return tuple(t for t in _dated("node_types") if t.region == region)


def flavors(region: str) -> tuple[NodeType, ...]:
    """Return the flavors that can be reserved in a KVM region, as node types with `virtual` set."""
    return tuple(t for t in _dated("flavors") if t.region == region)


@cache
def _dated(kind: str) -> tuple[NodeType, ...]:
    """Return the types of a file; fields outside of its list hold for all of them."""
    document = load(f"{kind}.json")
    shared = {name: value for name, value in document.items() if name in NodeType.model_fields}
    return tuple(NodeType.model_validate({**shared, "threads": item["cores"], **item}) for item in document[kind])
