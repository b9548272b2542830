"""The packaged catalogue: dated JSON beside this module, read once and validated on reading."""

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
    """All sites that the catalogue knows."""
    return _sites()


def site(name: str) -> Site | None:
    """Find a site by region name or uid, whatever the case; None when the catalogue does not know it."""
    wanted = name.casefold()
    return next((s for s in _sites() if wanted in (s.region.casefold(), s.uid.casefold())), None)


def node_types(region: str) -> tuple[NodeType, ...]:
    """Bare-metal node types of a region; empty for a region that the catalogue does not know."""
    return tuple(t for t in _node_types() if t.region == region)


def flavors(region: str) -> tuple[NodeType, ...]:
    """Flavors that can be reserved in a KVM region, as node types with `virtual` set."""
    return tuple(t for t in _flavors() if t.region == region)
