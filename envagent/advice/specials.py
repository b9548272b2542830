"""Special hardware and systems: from the words in `special_requirements` to what a node must have.

A strict special excludes every node without it. The others are preferences that end in a warning if a site has none:
they can be installed, enabled or emulated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envagent.advice.untrusted import one_line
from envagent.catalog import NodeType
from envagent.catalog.cpus import Test, features, named

_NAMED_CPU = "cpu:"
"""Starts a special that names a processor."""
_NAMED_TYPE = "node type:"
"""Starts a special that names one of Chameleon's node types."""


@dataclass(frozen=True)
class Special:
    """One kind of special hardware."""

    name: str
    words: re.Pattern[str]
    levels: tuple[Test, ...]
    """Best first: the first level that a site can satisfy counts. Without any, it cannot be judged."""
    strict: bool
    without: str
    """What to do, or what to know, if no node has it."""


def _tag(name: str) -> Test:
    return lambda node: name in node.tags


def _cpu(feature: str) -> Test:
    """Test for a feature; a virtual machine may hide what the processor of its host can do."""
    return lambda node: not node.virtual and feature in features(node)


def _from(vendor: str) -> Test:
    return lambda node: node.cpu_vendor == vendor


def _sgx(node: NodeType) -> bool:
    """Test for SGX, which is often off in the firmware: nodes that the catalogue describes need its tag."""
    return "sgx-cpu" in node.tags or (not node.known and not node.virtual and "sgx" in features(node))


def _avx2(node: NodeType) -> bool:
    return "avx2" in features(node) or (node.virtual and node.architecture == "x86_64")


def _nowhere(node: NodeType) -> bool:
    """Judge what no node type of Chameleon has."""
    return False


def _special(name: str, words: str, *levels: Test, strict: bool = False, without: str = "") -> Special:
    return Special(name, re.compile(words, re.IGNORECASE), levels, strict, without)


def _absent(name: str, words: str, *, without: str = "") -> Special:
    return _special(name, words, _nowhere, strict=True, without=without)


# The first kind whose words match a requirement counts.
KINDS: tuple[Special, ...] = (
    _absent("Jetson boards", r"jetson|tegra", without="such boards are only at CHI@Edge"),
    _absent("a phone", r"^phones?$|smartphone|\b(?:android|ios|rooted) (?:phone|device)"),
    _absent("a microcontroller", r"microcontroller"),
    _absent("a software-defined radio", r"\bsdr\b|\busrp\b|software.defined radio"),
    _absent("Windows", r"^windows$|\bwindows (?:\d+|server)\b"),
    _absent("macOS", r"\bmac ?os\b"),
    _absent("Apple silicon", r"apple.silicon|\bapple m\d"),
    _absent("Gaudi accelerators", r"\bgaudi|\bhabana"),
    _absent("TPUs", r"\btpus?\b"),
    _absent("Trainium or Inferentia accelerators", r"trainium|inferentia"),
    _absent("Ascend accelerators", r"^ascend$|\bascend (?:npu|\d+)|\bnpus?\b"),
    _absent("a programmable switch", r"programmable.switch|\btofino\b"),
    _special("a DPU", r"\bdpus?\b|bluefield", _tag("dpu"), strict=True),
    _special("a SmartNIC", r"smart.?nic", lambda n: "smartnic" in n.tags or "dpu" in n.tags, strict=True),
    _absent("CXL memory", r"\bcxl\b"),
    _absent("memory with processors in it (PIM)", r"\bpim\b|\bupmem\b"),
    _special("an FPGA", r"fpga|alveo|xilinx|vivado|vitis", _tag("fpga"), strict=True),
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
    _special("TDX", r"\btdx\b", _cpu("tdx"), strict=True),
    _special("SEV-SNP", r"\bsev(?:.?(?:snp|es))?\b|\bsnp\b", _cpu("sev-snp"), strict=True),
    _special("SGX", r"\bsgx2?\b", _sgx, strict=True),
    _special("Intel Processor Trace", r"intel.?pt\b|processor.?trace", _cpu("intel-pt"), strict=True),
    _special("AVX-512", r"avx.?512", _cpu("avx512"), strict=True),
    _special("AVX2", r"avx.?2", _avx2, strict=True),
    _special("an Intel CPU", r"^intel.cpu$", _from("intel"), strict=True),
    _special("an AMD CPU", r"^amd.cpu$", _from("amd"), strict=True),
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
    missed: int = 0
    """How many better levels no node at the site has; strict specials miss none."""


def kind_of(text: str) -> Special | None:
    """Find the kind that a requirement such as `rdma`, `NVMe SSD` or `cpu: Ice Lake` means; None if no hardware."""
    if text.casefold().startswith(_NAMED_CPU):
        return _named_cpu(one_line(text[len(_NAMED_CPU) :].strip(), 120))
    if text.casefold().startswith(_NAMED_TYPE):
        return _named_type(one_line(text[len(_NAMED_TYPE) :].strip(), 60))
    return next((k for k in KINDS if k.words.search(text)), None)


def _named_cpu(words: str) -> Special:
    name, found = f"{words} (CPU)", named(words)
    if found is None:
        return _special(name, "", without=f"check whether the CPU of the node is right: {words}")
    if found.exact is None:
        return _special(name, "", found.alike, strict=True)
    further = "its nodes have other CPUs of that generation"
    return _special(name, "", found.exact, found.alike, strict=True, without=further)


def _named_type(name: str) -> Special:
    return _special(f"node type {name}", "", lambda node: node.name == name, without="any that suits is taken")


def kinds_of(specials: Iterable[str]) -> tuple[Special, ...]:
    """Find the kinds that requirements mean, each once."""
    found = (kind_of(text) for text in specials)
    return tuple({kind.name: kind for kind in found if kind is not None}.values())


def conditions(specials: Iterable[str], nodes: Iterable[NodeType]) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """Turn texts such as `rdma` or `NVMe SSD` into tests on nodes, and into warnings if no node of the site has one.

    Of preferences that no node has together, the first one counts.
    """
    available = list(nodes)
    found, warnings = [], []
    for kind in sorted(kinds_of(specials), key=lambda kind: not kind.strict):
        level = next((n for n, t in enumerate(kind.levels) if any(t(node) for node in available)), None)
        if level is not None:
            available = [node for node in available if kind.levels[level](node)]
        if level is None and kind.strict:
            found.append(Condition(kind, kind.levels[-1]))
            continue
        if level is None and not kind.levels:
            warnings.append(kind.without)
        elif level != 0:
            warnings.append(f"{kind.name} is not available at this site: {kind.without}")
        missed = len(kind.levels) if level is None else level
        found.append(Condition(kind, None if level is None else kind.levels[level], missed))
    return tuple(found), tuple(warnings)


def lacking(specials: Iterable[str], nodes: Sequence[NodeType]) -> tuple[Special, ...]:
    """Return the strict kinds that none of the nodes has; those that no node has together if each has one."""
    strict = [kind for kind in kinds_of(specials) if kind.strict]
    single = tuple(kind for kind in strict if not any(kind.levels[-1](node) for node in nodes))
    if single or any(all(kind.levels[-1](node) for kind in strict) for node in nodes):
        return single
    return tuple(strict)
