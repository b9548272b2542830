"""What Chameleon offers: sites, node types, flavors and GPU facts, dated, and merged with live data.

Owns facts and no decisions: what a project should use is up to `envagent.advice`. It imports nothing else of the
project, so every other room may read it.
"""

from envagent.catalog.hardware import Gpu, NodeType, ReportedFlavor, ReportedHost, Site
from envagent.catalog.live_types import describe, refresh, refresh_flavors
from envagent.catalog.packaged import flavors, node_types, site, sites

__all__ = [
    "Gpu",
    "NodeType",
    "ReportedFlavor",
    "ReportedHost",
    "Site",
    "describe",
    "flavors",
    "node_types",
    "refresh",
    "refresh_flavors",
    "site",
    "sites",
]
