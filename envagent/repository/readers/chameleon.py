"""Chameleon's own names in scripts and notebooks: images such as CC-Ubuntu22.04, node types such as gpu_rtx_6000.

Owns: what a repository means that reserves and launches Chameleon's nodes by itself. Must not: take a name out of
prose, where anybody can write one for a reader that is a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice

from envagent.catalog.hardware import NodeType
from envagent.catalog.packaged import node_types, sites
from envagent.repository.facts import Amount, Facts, GpuSign, SpecialSign, Spot, SystemSign, Vendor, quote
from envagent.repository.readers.scopes import scope_of

NODE_TYPE = "node type: "
"""Starts a special that names a node type."""
_IMAGE = re.compile(r"\bCC-(Ubuntu|CentOS)(\d\d?(?:\.\d\d)?)(?:-\d{8})?((?:-[A-Za-z]{2,8}\d{0,4}){0,2})", re.IGNORECASE)
_ABOUT_LEASES = re.compile(r"\bchi\b|blazar|openstack|node_type|leases?\b|\bCC-(?:Ubuntu|CentOS)", re.IGNORECASE)
_COMMENT = re.compile(
    r"\"{3}.{0,20000}?\"{3}|'{3}.{0,20000}?'{3}|^[ \t]*#[^\n]*|[ \t]#[ \t][^\n]*", re.MULTILINE | re.DOTALL
)
_MAX_NAMES = 50
_WITH_GPU = ("cuda", "rocm")


def read(path: str, text: str, facts: Facts) -> None:
    """Read images and node types in code, the text of a script or of a notebook's cells; its comments do not count."""
    if not _ABOUT_LEASES.search(text):
        return
    factor = 0.2 if scope_of(path) == "development" else 1.0
    text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in images_in(text):
        system = SystemSign(found[1].lower(), (found[2],), False, 3.0 * factor, _spot(path, text, found))
        if all((s.versions, s.spot.path) != (system.versions, path) for s in facts.systems):
            facts.systems.append(system)
        if found[3].lower().endswith(_WITH_GPU):
            vendor: Vendor = "amd" if "rocm" in found[3].lower() else "nvidia"
            note = "it launches an image that is made for GPUs"
            facts.gpu.append(GpuSign("command", 1.5 * factor, vendor, system.spot, note))
    for found in islice(_names().finditer(text), _MAX_NAMES):
        _node_type(_node_types()[found[0].lower()], factor, _spot(path, text, found), facts)


def images_in(text: str) -> Iterator[re.Match[str]]:
    """Yield where the text names an image of Chameleon: its distribution, its release and what is installed in it."""
    return islice(_IMAGE.finditer(text), _MAX_NAMES)


def _node_type(node: NodeType, factor: float, spot: Spot, facts: Facts) -> None:
    """Record a node type that the repository reserves; where it names several, any of them will do."""
    tag = NODE_TYPE + node.name
    named = [sign for sign in facts.specials if sign.tag.startswith(NODE_TYPE)]
    if any(sign.tag == tag for sign in named):
        return
    weight = 0.0 if named else 3.0 * factor
    facts.specials = [s for s in facts.specials if s not in named]
    facts.specials += [SpecialSign(s.tag, 0.0, s.spot) for s in named]
    facts.specials.append(SpecialSign(tag, weight, spot))
    if node.gpu is None:
        note = f"it reserves {node.name}, which has no GPU"
        facts.gpu.append(GpuSign("denial", -1.5 * factor, None, spot, note))
        return
    facts.gpu.append(GpuSign("command", 3.0 * factor, node.gpu.vendor, spot, f"it reserves {node.name}"))
    if node.gpu.memory_gb:
        facts.amounts.append(Amount("vram", node.gpu.memory_gb, "recommended", factor, spot))


@cache
def _node_types() -> dict[str, NodeType]:
    """Return the node types whose names mean nothing else."""
    return {node.name: node for site in sites() for node in node_types(site.region) if "_" in node.name}


@cache
def _names() -> re.Pattern[str]:
    names = sorted(_node_types(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])", re.IGNORECASE)


def _spot(path: str, text: str, found: re.Match[str]) -> Spot:
    line = text.count("\n", 0, found.start())
    numbered = None if path.endswith(".ipynb") else line + 1
    return Spot(path, numbered, quote(text.split("\n")[line]))
