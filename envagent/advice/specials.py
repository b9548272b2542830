"""Special hardware: from the words in `special_requirements` to what a node must have.

A strict special excludes every node without it. The others are preferences that end in a warning if a site has none:
they can be installed, enabled or emulated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from envagent.catalog import NodeType

Test = Callable[[NodeType], bool]


@dataclass(frozen=True)
class Special:
    """One kind of special hardware."""

    name: str
    words: re.Pattern[str]
    levels: tuple[Test, ...]
    """Best first: the first level that a site can satisfy counts."""
    strict: bool
    without: str
    """What to do if no node has it."""


def _tag(name: str) -> Test:
    return lambda node: name in node.tags


def _special(name: str, words: str, *levels: Test, strict: bool = False, without: str = "") -> Special:
    return Special(name, re.compile(words, re.IGNORECASE), levels, strict, without)


# The first kind whose words match a requirement counts.
KINDS: tuple[Special, ...] = (
    _special("Jetson", r"jetson|tegra", lambda n: False, strict=True, without="such boards are only at CHI@Edge"),
    _special("FPGA", r"fpga|alveo|xilinx|vivado|vitis", _tag("fpga"), strict=True),
    _special("InfiniBand", r"infiniband|\bIB\b|\bHCA\b", lambda n: n.infiniband, strict=True),
    _special("RDMA", r"rdma|roce|verbs|ofed|mellanox|connectx|gpu ?direct", lambda n: n.rdma, strict=True),
    _special("persistent memory", r"pmem|persistent memory|optane|nvdimm|dcpmm", _tag("pmem"), strict=True),
    _special("ZNS", r"\bzns\b|zoned", _tag("zns"), _tag("nvme"), without="emulate a zoned drive with null_blk or QEMU"),
    _special("NVMe", r"nvme", _tag("nvme"), without="no drive at this site is known to be one"),
    _special(
        "many NUMA nodes",
        r"(?:many|multi|several|four|4|8)\W?.*\bnuma|numa\W?(?:heavy|scal)",
        lambda n: (n.sockets or 0) >= 4,
        lambda n: (n.sockets or 0) >= 2,
        without="the nodes at this site have at most two sockets",
    ),
    _special("NUMA", r"numa", lambda n: (n.sockets or 0) >= 2, without="the nodes at this site have one socket"),
    _special("SGX", r"\bsgx\b", _tag("sgx-cpu"), without="use the simulation mode, or a site with Ice Lake nodes"),
    _special(
        "a physical machine",
        r"dpdk|kvm|virtuali[sz]ation|huge ?pages?|kernel|ebpf|xdp",
        lambda n: not n.virtual,
        without="a virtual machine may not allow it",
    ),
)


@dataclass(frozen=True)
class Condition:
    """A special as required at one site."""

    kind: Special
    test: Test | None
    """None if no node at the site has it and it is not strict."""


def conditions(specials: Iterable[str], nodes: Iterable[NodeType]) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """Turn texts such as `rdma` or `NVMe SSD` into tests on nodes, and into warnings if no node of the site has one."""
    kinds: list[Special] = []
    for text in specials:
        kind = next((k for k in KINDS if k.words.search(text)), None)
        if kind and kind not in kinds:
            kinds.append(kind)
    available = list(nodes)
    found, warnings = [], []
    for kind in kinds:
        test = next((t for t in kind.levels if any(t(n) for n in available)), None)
        if test is None and kind.strict:
            test = kind.levels[0]
        elif test is None or test is not kind.levels[0]:
            warnings.append(f"{kind.name} is not available at this site: {kind.without}")
        found.append(Condition(kind, test))
    return tuple(found), tuple(warnings)
