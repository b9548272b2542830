"""What a server's node is: its hardware, from Blazar's properties or the flavor, and the system of its image.

The simulated programs answer from these facts alone, never from the machine that the sandbox runs on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from envagent.sandbox.inventory import Host, data
from envagent.sandbox.records import Flavor, Server
from envagent.sandbox.world import World

GIB = 1 << 30
USABLE_MEMORY = 0.978
"""The share of the memory that the kernel leaves to programs."""


@dataclass(frozen=True)
class Disk:
    """A block device."""

    name: str
    size: int
    model: str
    rotational: bool


@dataclass(frozen=True)
class Gpu:
    """A GPU: how lspci and nvidia-smi call it, and its memory in MiB."""

    vendor: str
    chip: str
    name: str
    memory: int


@dataclass(frozen=True)
class System:
    """The operating system of an image; `driver` and `cuda` are NVIDIA's, None without one."""

    user: str
    name: str
    id: str
    version: str
    codename: str
    long: str
    kernel: str
    python: str | None
    driver: str | None
    cuda: str | None


@dataclass(frozen=True)
class Node:
    """The node of a server; `memory` is in bytes."""

    hostname: str
    address: str
    architecture: str
    processor: str
    megahertz: int
    sockets: int
    threads: int
    threads_per_core: int
    memory: int
    disks: tuple[Disk, ...]
    gpus: tuple[Gpu, ...]
    system: System
    booted_at: float

    @property
    def cores(self) -> int:
        """The cores of all sockets."""
        return max(1, self.threads // self.threads_per_core)

    @property
    def usable_memory(self) -> int:
        """The memory that `free` shows, in KiB."""
        return int(self.memory * USABLE_MEMORY) // 1024

    @property
    def driven(self) -> tuple[Gpu, ...]:
        """The GPUs that nvidia-smi shows."""
        return tuple(gpu for gpu in self.gpus if gpu.vendor == "NVIDIA") if self.system.driver else ()


@cache
def _systems() -> dict[str, Any]:
    return data("systems.json")


def system_of(image: str) -> System:
    """Return the operating system of an image, by its name."""
    found: dict[str, Any] = next(one for one in _systems()["systems"] if one["word"] in image)
    driver, cuda = (found.get("driver"), found.get("cuda")) if "CUDA" in image else (None, None)
    fields = ("name", "id", "version", "codename", "long", "kernel", "python")
    return System(user=found.get("user", "cc"), driver=driver, cuda=cuda, **{name: found[name] for name in fields})


def _gpu(vendor: str, chip: str) -> Gpu:
    model = chip.partition("[")[2].rstrip("]") or chip
    name, memory = _systems()["gpus"].get(model, (model, 0))
    return Gpu(vendor, chip, name, memory)


def _disks(properties: dict[str, str]) -> tuple[Disk, ...]:
    found: list[Disk] = []
    while (number := f"storage_devices.{len(found)}") + ".device" in properties:
        found.append(
            Disk(
                name=properties[f"{number}.device"],
                size=int(properties.get(f"{number}.size", 0)),
                model=properties.get(f"{number}.model", "disk"),
                rotational=properties.get(f"{number}.media_type") == "Rotational",
            )
        )
    return tuple(found)


def _bare_metal(host: Host) -> dict[str, Any]:
    known = host.properties
    processor = known.get("processor.model", "CPU")
    sockets, threads = int(known.get("architecture.smp_size", 1)), int(known.get("architecture.smt_size", 1))
    cores = sockets * _systems()["cores"].get(processor, threads / sockets / 2)
    count = int(known.get("gpu.gpu_count", 0)) if known.get("gpu.gpu") == "True" else 0
    return {
        "architecture": known.get("architecture.platform_type", "x86_64"),
        "processor": processor,
        "megahertz": int(known.get("processor.clock_speed", 2_400_000_000)) // 1_000_000,
        "sockets": sockets,
        "threads": threads,
        "threads_per_core": max(1, round(threads / cores)),
        "memory": int(known.get("main_memory.ram_size", GIB)),
        "disks": _disks(known),
        "gpus": (_gpu(known.get("gpu.gpu_vendor", ""), known.get("gpu.gpu_model", "GPU")),) * count,
    }


def _virtual(world: World, server: Server) -> dict[str, Any]:
    """Return the hardware of a virtual machine: what its flavor says."""
    reserved = world.get(Flavor, server.flavor)
    flavor = reserved or world.site.flavors[server.flavor]
    alias = flavor.extra_specs.get("pci_passthrough:alias", "")
    shares = int(flavor.extra_specs.get("resources:VGPU", 0))
    whole = int(alias.rpartition(":")[2]) if alias else 0
    return {
        "architecture": "x86_64",
        "processor": "Intel(R) Xeon(R) Platinum 8468",
        "megahertz": 2100,
        "sockets": flavor.vcpus,
        "threads": flavor.vcpus,
        "threads_per_core": 1,
        "memory": flavor.ram << 20,
        "disks": (Disk("vda", flavor.disk * GIB, "QEMU HARDDISK", rotational=True),),
        "gpus": (_gpu("NVIDIA", "GH100 [H100 PCIe]"),) * whole + (_gpu("NVIDIA", "GH100 [H100-1-12C]"),) * shares,
    }


def node_of(world: World, server: Server, address: str) -> Node:
    """Return the node of a built server, changed as the fault `node_shows` says."""
    host = world.site.hosts.get(server.host or "")
    hardware = _virtual(world, server) if host is None else _bare_metal(host)
    image = world.site.images.get(server.image)
    node = Node(
        hostname=str(server.given.get("hostname") or "server"),
        address=address,
        system=system_of(image.name if image else ""),
        booted_at=server.booted_at or world.at,
        **hardware,
    )
    return _as_shown(node, server.faults.get("node_shows", {}))


def _as_shown(node: Node, wanted: dict[str, Any]) -> Node:
    changed: dict[str, Any] = {}
    if "cores" in wanted:
        changed["threads"] = int(wanted["cores"]) * node.threads_per_core
    if "memory_gb" in wanted:
        changed["memory"] = int(float(wanted["memory_gb"]) * GIB)
    if "disk_gb" in wanted:
        changed["disks"] = tuple(replace(disk, size=int(float(wanted["disk_gb"]) * 1e9)) for disk in node.disks[:1])
    if "gpus" in wanted:
        changed["gpus"] = node.gpus[: int(wanted["gpus"])]
    if "driver" in wanted:
        changed["system"] = replace(node.system, driver=wanted["driver"] or None)
    return replace(node, **changed)
