"""Merge the packaged node types with what a site reports: Blazar host properties and Nova flavors.

Live data takes precedence; the packaged type fills the gaps; a type that the package does not have is derived from its
properties alone. Unknown numbers stay 0 or None.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from envagent.catalog.gpus import identify
from envagent.catalog.hardware import Architecture, Gpu, NodeType, ReportedFlavor, ReportedHost

_GIB = 1 << 30
_INDEXED = re.compile(r"(?P<group>storage_devices|network_adapters)\.(?P<index>\d+)\.(?P<field>.+)")
_CONNECTX = re.compile(r"connectx|mellanox|\bMT\d{5}\b", re.IGNORECASE)
_DPU = re.compile(r"bluefield|pensando", re.IGNORECASE)
_VGPU = re.compile(r"vgpu", re.IGNORECASE)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _true(text: str | None) -> bool:
    return (text or "").strip().casefold() in ("true", "1", "yes")


def _devices(properties: Mapping[str, str], group: str) -> list[dict[str, str]]:
    """Gather `group.N.field` keys to one mapping per device, in order of N."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for key, value in properties.items():
        # A site reports thousands of properties, and few of them are those of devices.
        match = _INDEXED.fullmatch(key) if key.startswith(group) else None
        if match and match["group"] == group:
            found[int(match["index"])][match["field"]] = value
    return [found[index] for index in sorted(found)]


def _gpu(properties: Mapping[str, str], known: Gpu | None) -> Gpu | None:
    """Read the GPUs of one host. A host that reports nothing about GPUs has its type's guaranteed ones."""
    if not properties.keys() & {"gpu.gpu", "gpu.gpu_count", "gpu.gpu_model"}:
        return known.model_copy(update={"count": known.guaranteed}) if known and known.guaranteed else None
    count = int(_number(properties.get("gpu.gpu_count")) or (known.count if known else 1))
    if not _true(properties.get("gpu.gpu", "True")) or count < 1:
        return None
    model = properties.get("gpu.gpu_model", "")
    named = identify(model, vendor=properties.get("gpu.gpu_vendor", ""), count=count) if model or not known else None
    if named is None:
        return known.model_copy(update={"count": count, "guaranteed": count}) if known else None
    if known and named.vendor == known.vendor and named.memory_gb is None:
        return named.model_copy(update={"memory_gb": known.memory_gb})
    return named


def _disks(devices: Sequence[Mapping[str, str]], known: NodeType) -> tuple[int, tuple[int, ...]]:
    """Return root and further disks in GB; which device holds the root is unknown, so the smallest counts."""
    sizes = sorted(int(size / 1e9) for device in devices if (size := _number(device.get("size"))) is not None)
    return (sizes[0], tuple(sizes[1:])) if sizes else (known.disk_gb, known.extra_disks_gb)


def _network(
    properties: Mapping[str, str], adapters: Sequence[Mapping[str, str]], known: NodeType
) -> tuple[float | None, bool, bool]:
    """Return the fastest enabled adapter in Gbit/s, InfiniBand, RDMA."""
    if not adapters:
        infiniband = _true(properties.get("infiniband")) or known.infiniband
        return known.nic_gbps, infiniband, infiniband or known.rdma
    rates = [_number(a.get("rate")) or 0.0 for a in adapters if _true(a.get("enabled", "True"))]
    # The list of adapters is not always complete, so it never takes away what the type is known for.
    infiniband = known.infiniband or any(a.get("interface", "").casefold() == "infiniband" for a in adapters)
    connectx = any(_true(a.get("enabled", "True")) and _CONNECTX.search(a.get("model", "")) for a in adapters)
    return (max(rates, default=0.0) / 1e9 or None), infiniband, infiniband or connectx or known.rdma


def _tags(
    properties: Mapping[str, str],
    devices: Sequence[Mapping[str, str]],
    adapters: Sequence[Mapping[str, str]],
    known: NodeType,
) -> tuple[str, ...]:
    tags = set(known.tags)
    if any(key.startswith("fpga.") and value for key, value in properties.items()):
        tags.add("fpga")
    for disk in devices:
        if disk.get("device", "").startswith("nvme") or disk.get("interface", "").casefold() in ("pcie", "nvme"):
            tags.add("nvme")
    for adapter in adapters:
        if _DPU.search(adapter.get("model", "")):
            tags.add("dpu")
    return tuple(sorted(tags))


def _default_charge(gpu: Gpu | None, ram_gb: int | None, tags: tuple[str, ...]) -> float:
    """Return the service units of Chameleon's announced scheme, for a type whose factor is unknown.

    4 per GPU from the A100 on, 2 for older GPUs, FPGAs, storage and much RAM, else 1.
    """
    if gpu is not None and ((gpu.memory_gb or 0) >= 40 or (gpu.compute_capability or "") >= "8.0"):
        return 4.0 * gpu.count
    special = gpu is not None or (ram_gb or 0) >= 512 or bool({"fpga", "pmem", "storage"} & set(tags))
    return 2.0 if special else 1.0


def describe(host: ReportedHost, known: NodeType | None, *, region: str = "") -> NodeType:
    """Describe one live host as a node type of its own (count 1); `known` fills the gaps."""
    reported = host.properties
    base = known or NodeType(name="", region=region, cores=0, threads=0, disk_gb=0)
    platform = reported.get("architecture.platform_type", base.architecture)
    architecture: Architecture = "aarch64" if platform in ("aarch64", "arm64") else "x86_64"
    sockets = _number(reported.get("architecture.smp_size"))
    threads = int(_number(reported.get("architecture.smt_size")) or base.threads)
    # No property reports the number of cores; a node without hyper-threading reports half the threads of its type.
    cores = min(known.cores, threads) if known else (threads if architecture == "aarch64" else threads // 2)
    ram = _number(reported.get("main_memory.ram_size"))
    devices, adapters = _devices(reported, "storage_devices"), _devices(reported, "network_adapters")
    root, extra = _disks(devices, base)
    nic, infiniband, rdma = _network(reported, adapters, base)
    ram_gb = round(ram / _GIB) if ram else base.ram_gb
    gpu, tags = _gpu(reported, base.gpu), _tags(reported, devices, adapters, base)
    su_factor = known.su_factor if known else _default_charge(gpu, ram_gb, tags)
    return NodeType(
        name=host.node_type or "",
        region=base.region,
        count=1,
        cpu_vendor=(reported.get("processor.vendor") or base.cpu_vendor or "").casefold() or None,
        cpu_model=known.cpu_model if known else reported.get("processor.model"),
        sockets=int(sockets) if sockets else base.sockets,
        cores=cores,
        threads=threads,
        ram_gb=ram_gb,
        gpu=gpu,
        disk_gb=root,
        extra_disks_gb=extra,
        nic_gbps=nic,
        infiniband=infiniband,
        rdma=rdma,
        architecture=architecture,
        su_factor=_number(reported.get("su_factor")) or su_factor,
        tags=tags,
        source="live" if known is None else f"live, over: {known.source}",
        as_of=base.as_of,
    )


def _poorest(nodes: Sequence[NodeType], count: int) -> NodeType:
    """Merge several described hosts to one type: what every one of them has."""
    first = nodes[0]
    with_gpu = [n.gpu for n in nodes if n.gpu]
    gpu: Gpu | None = None
    if with_gpu:
        typical, _ = Counter(g.count for g in with_gpu).most_common(1)[0]
        least = min(g.count for g in with_gpu) if len(with_gpu) == len(nodes) else 0
        weakest = min(with_gpu, key=lambda g: g.memory_gb or 0.0)
        gpu = weakest.model_copy(update={"count": typical, "guaranteed": least})
    rams = [n.ram_gb for n in nodes if n.ram_gb is not None]
    poorest_disks = min(nodes, key=lambda n: (n.disk_gb, sum(n.extra_disks_gb)))
    return first.model_copy(
        update={
            "count": count,
            "cores": min(n.cores for n in nodes),
            "threads": min(n.threads for n in nodes),
            "ram_gb": min(rams) if len(rams) == len(nodes) else None,
            "gpu": gpu,
            "disk_gb": poorest_disks.disk_gb,
            "extra_disks_gb": poorest_disks.extra_disks_gb,
            "nic_gbps": min((n.nic_gbps for n in nodes if n.nic_gbps), default=None),
            "infiniband": all(n.infiniband for n in nodes),
            "rdma": all(n.rdma for n in nodes),
            "su_factor": max(n.su_factor for n in nodes),
            "tags": tuple(sorted(set.intersection(*(set(n.tags) for n in nodes)))),
        }
    )


def refresh(
    known: Sequence[NodeType], hosts: Iterable[ReportedHost], *, region: str | None = None
) -> tuple[NodeType, ...]:
    """Merge the packaged types of one region with its live hosts.

    Types that the site does not report are dropped, unknown ones are derived, `count` is the number of reservable
    hosts. Without any host the packaged types are returned unchanged. `region` defaults to that of `known`.
    """
    where = region or (known[0].region if known else "")
    groups: dict[str, list[ReportedHost]] = defaultdict(list)
    for host in hosts:
        if host.node_type:
            groups[host.node_type].append(host)
    if not groups:
        return tuple(known)
    by_name = {t.name: t for t in known}
    merged = []
    for name, members in groups.items():
        usable = [h for h in members if h.reservable]
        described = [describe(h, by_name.get(name), region=where) for h in usable or members]
        merged.append(_poorest(described, len(usable)))
    return tuple(sorted(merged, key=lambda t: t.name))


def _flavor_gpu(flavor: ReportedFlavor) -> Gpu | None:
    """Derive the GPUs of an unknown flavor from its extra specs or its name."""
    count = 0
    for key, value in flavor.extra_specs.items():
        if key.startswith("pci_passthrough:alias"):
            count = int(_number(value.rpartition(":")[2]) or 1)
        elif key.startswith("resources:") and ("VGPU" in key or "GPU" in key):
            count = int(_number(value) or 1)
    if not count and "gpu" not in flavor.name:
        return None
    return identify(flavor.name.replace(".", " "), count=max(count, 1))


def refresh_flavors(
    known: Sequence[NodeType], flavors: Iterable[ReportedFlavor], *, region: str | None = None
) -> tuple[NodeType, ...]:
    """Merge the packaged flavors of a KVM region with the live list, which decides what exists.

    Flavors created by a reservation (`reservation:...`) and `baremetal` are dropped: they cannot be reserved.
    """
    where = region or (known[0].region if known else "")
    by_name = {t.name: t for t in known}
    live = []
    for flavor in flavors:
        if flavor.name.startswith("reservation:") or flavor.name == "baremetal" or flavor.vcpus < 1:
            continue
        packaged = by_name.get(flavor.name)
        live.append(
            NodeType(
                name=flavor.name,
                region=where,
                virtual=True,
                flavor_id=flavor.id,
                cores=flavor.vcpus,
                threads=flavor.vcpus,
                ram_gb=flavor.ram_mb // 1024,
                disk_gb=flavor.disk_gb or (packaged.disk_gb if packaged else 0),
                gpu=packaged.gpu if packaged else _flavor_gpu(flavor),
                su_factor=packaged.su_factor if packaged else 1.0,
                tags=packaged.tags if packaged else (("vgpu",) if _VGPU.search(flavor.name) else ()),
                source=packaged.source if packaged else "live",
                as_of=packaged.as_of if packaged else None,
            )
        )
    return tuple(live) or tuple(known)
