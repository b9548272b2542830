"""The packaged catalogue: dated JSON files in `data`, read once and validated."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from envagent.catalog.hardware import NodeType, Site


def load(name: str) -> Any:
    """Parse one packaged data file, `name` without its folder."""
    return json.loads((files("envagent.catalog") / "data" / name).read_text(encoding="utf-8"))


@cache
def _sites() -> tuple[Site, ...]:
    return tuple(Site.model_validate(item) for item in load("sites.json")["sites"])


@cache
def _node_types() -> tuple[NodeType, ...]:
    document = load("node_types.json")
    dated = {"as_of": document["as_of"], "source": document["source"]}
    return tuple(NodeType.model_validate({**dated, **item}) for item in document["node_types"])


@cache
def _flavors() -> tuple[NodeType, ...]:
    document = load("flavors.json")
    dated = {"as_of": document["as_of"], "source": document["source"], "region": document["region"]}
    return tuple(
        NodeType.model_validate({**dated, "virtual": True, "threads": item["cores"], **item})
        for item in document["flavors"]
    )


def sites() -> tuple[Site, ...]:
    """Return all known sites."""
    return _sites()


def site(name: str) -> Site | None:
    """Find a site by region name or uid, ignoring case; None if unknown."""
    wanted = name.casefold()
    return next((s for s in _sites() if wanted in (s.region.casefold(), s.uid.casefold())), None)


def node_types(region: str) -> tuple[NodeType, ...]:
    """Return the bare-metal node types of a region; empty for an unknown region."""
    return tuple(t for t in _node_types() if t.region == region)


def flavors(region: str) -> tuple[NodeType, ...]:
    """Return the flavors that can be reserved in a KVM region, as node types with `virtual` set."""
    return tuple(t for t in _flavors() if t.region == region)
