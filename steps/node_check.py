"""What the node itself shows, compared with what was asked for and with what its type has."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from envagent.catalog import NodeType
from envagent.repository.results import Requirements

LOOK = """LC_ALL=C sh -c '
echo "@threads"; nproc
echo "@cpu"; lscpu
echo "@memory"; grep MemTotal /proc/meminfo
echo "@disk"; df -B1 /
echo "@devices"; lspci
echo "@python"; python3 --version
echo "@system"; cat /etc/os-release
echo "@gpus"; timeout 15 nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits
echo "@smi $?"; exit 0' 2>/dev/null"""
"""The command that looks at a node; it changes nothing there."""

SHOWN = 64
"""The longest name that is kept of what the node says."""
MOST_GPUS = 64
TOLERANCE = 0.9
"""The share that counts as all: kernels, file systems and drivers keep some for themselves."""
GRAPHICS = re.compile(r"(3D|VGA compatible|Display) controller|Processing accelerators")
VENDORS = {"nvidia": "NVIDIA", "amd": "Advanced Micro Devices", "intel": "Intel"}
LABELS = {"nvidia": "NVIDIA GPU without a driver", "amd": "AMD GPU", "intel": "Intel GPU"}
COMMAND_NOT_FOUND = "127"


class Seen(BaseModel):
    """Something that the node has shown; None where it did not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SeenGpu(Seen):
    """A GPU that nvidia-smi shows."""

    name: str
    memory_gb: float | None = None


class SeenNode(Seen):
    """What the node has shown of itself. The texts are untrusted; memory is in GiB, the disk in GB."""

    architecture: str | None = None
    cores: int | None = None
    threads: int | None = None
    memory_gb: float | None = None
    disk_gb: float | None = None
    """The size of the root file system."""
    gpus: tuple[SeenGpu, ...] | None = None
    """None without nvidia-smi."""
    devices: dict[str, int] | None = None
    """The GPUs on the bus, with or without a driver, by vendor; None without lspci."""
    driver: str | None = None
    python: str | None = None
    system: str | None = None

    def summary(self) -> str:
        """Sum up the hardware in one line."""
        if self.gpus is None:
            gpus = [f"{count} x {LABELS[name]}" for name, count in (self.devices or {}).items() if count]
        else:
            gpus = [f"{len(self.gpus)} x {_gpu(self.gpus[0])}" if self.gpus else "no GPU"]
        parts = [
            *([f"{self.cores} cores"] if self.cores else []),
            *([f"{self.memory_gb:.0f} GB RAM"] if self.memory_gb else []),
            *([f"{self.disk_gb:.0f} GB disk"] if self.disk_gb else []),
            *gpus,
            *([f"driver {self.driver}"] if self.driver else []),
            *([f"Python {self.python}"] if self.python else []),
            *([self.system] if self.system else []),
        ]
        return ", ".join(parts)


def _gpu(gpu: SeenGpu) -> str:
    return gpu.name if gpu.memory_gb is None else f"{gpu.name} {gpu.memory_gb:.0f} GB"


def read_node(output: str) -> SeenNode | None:
    """Read what `LOOK` printed; None if it printed nothing of the kind. What is malformed is left out."""
    parts = _parts(output)
    if not parts:
        return None
    cpu = dict(_pairs(parts.get("cpu", []), ":"))
    system = dict(_pairs(parts.get("system", []), "="))
    sockets, of_socket = _whole(cpu.get("Socket(s)")), _whole(cpu.get("Core(s) per socket"))
    memory = _whole(_column(parts.get("memory", []), 0, 1))
    disk = _whole(_column(parts.get("disk", []), 1, 1))
    rows = [[cell.strip() for cell in line.split(",")] for line in parts.get("gpus", [])]
    rows = [row for row in rows if len(row) == 3 and row[0]][:MOST_GPUS]  # what has failed prints a sentence
    gpus = tuple(SeenGpu(name=row[0][:SHOWN], memory_gb=_gib(_whole(row[1]), 1024)) for row in rows)
    has_tool = "smi" in parts and parts["smi"] != [COMMAND_NOT_FOUND]
    lines = [line for line in parts.get("devices", []) if GRAPHICS.search(line)]
    return SeenNode(
        architecture=_short(cpu.get("Architecture")),
        cores=sockets * of_socket if sockets and of_socket else None,
        threads=_whole(_column(parts.get("threads", []), 0, 0)),
        memory_gb=_gib(memory, 1024 * 1024),
        disk_gb=None if disk is None else round(disk / 1e9, 1),
        gpus=gpus if has_tool else None,
        devices={name: sum(maker in line for line in lines) for name, maker in VENDORS.items()}
        if parts.get("devices")
        else None,
        driver=_short(rows[0][2]) if rows else None,
        python=_short(_column(parts.get("python", []), 0, 1)),
        system=_short(system.get("PRETTY_NAME", "").strip('"')),
    )


def _parts(output: str) -> dict[str, list[str]]:
    """Split the output at its headings; a heading's own words are its first line."""
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output.splitlines():
        if line.startswith("@"):
            name, _, rest = line[1:].partition(" ")
            lines = parts[name] = [rest] if rest else []
        elif line.strip():
            lines.append(line)
    return parts


def _pairs(lines: list[str], sign: str) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, found, value = line.partition(sign)
        if found:
            yield name.strip(), value.strip()


def _column(lines: list[str], row: int, column: int) -> str:
    words = lines[row].split() if row < len(lines) else []
    return words[column] if column < len(words) else ""


def _whole(text: str | None) -> int | None:
    """Read a number of a plausible length."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _gib(amount: int | None, units: int) -> float | None:
    return None if amount is None else round(amount / units, 1)


def _short(text: str | None) -> str | None:
    return text[:SHOWN] if text else None


def differences(seen: SeenNode, needs: Requirements, offered: NodeType) -> tuple[str, ...]:
    """Say in which respects a node has less than was asked for, or than its type has."""
    return (
        *_gpu_differences(seen, needs, offered),
        *_less("cores", seen.cores, "lscpu shows", needs.cpu_cores, offered.name, offered.cores, exact=True),
        *_less("GB of memory", seen.memory_gb, "the node has", needs.ram_gb, offered.name, offered.ram_gb),
        *_less("GB of disk", seen.disk_gb, "the root file system has", needs.disk_gb, offered.name, offered.disk_gb),
        *_system_differences(seen, needs, offered),
    )


def _less(
    unit: str,
    seen: float | None,
    shows: str,
    asked: float | None,
    name: str,
    offered: float | None,
    *,
    exact: bool = False,
) -> Iterator[str]:
    """Compare an amount with what was asked for, else with what the node type has."""
    if seen is None:
        return
    share = 1.0 if exact else TOLERANCE
    if asked is not None and seen < asked * share:
        yield f"asked for {asked:g} {unit}, {shows} {seen:g}"
    elif offered is not None and seen < offered * share:
        yield f"{name} has {offered:g} {unit}, {shows} {seen:g}"


def _gpu_differences(seen: SeenNode, needs: Requirements, offered: NodeType) -> Iterator[str]:
    asked = (needs.gpu_count or 1) if needs.gpu_required else None
    known = offered.gpu
    if asked is None and known is None:
        return
    vendor = known.vendor if known is not None else needs.gpu_vendor or "nvidia"
    has = None if known is None else known.guaranteed
    unit = "GPU" if (asked if asked is not None else has) == 1 else "GPUs"
    on_bus = None if seen.devices is None else seen.devices.get(vendor, 0)
    if vendor != "nvidia":
        yield from _less(unit, on_bus, "lspci shows", asked, offered.name, has, exact=True)
        return
    if seen.gpus is None and on_bus == 0:
        yield from _less(unit, 0, "lspci shows", asked, offered.name, has, exact=True)
        return
    if seen.gpus is None:
        there = "" if on_bus is None else f"; lspci shows {on_bus} NVIDIA {'GPU' if on_bus == 1 else 'GPUs'}"
        if asked is not None or needs.gpu_optional:
            yield f"the image has no NVIDIA driver (nvidia-smi is missing{there})"
        return
    yield from _less(unit, len(seen.gpus), "nvidia-smi shows", asked, offered.name, has, exact=True)
    least = min((gpu.memory_gb for gpu in seen.gpus if gpu.memory_gb is not None), default=None)
    needed = needs.gpu_memory_gb if needs.gpu_required else None
    has_memory = None if known is None else known.memory_gb
    yield from _less("GB of GPU memory", least, "nvidia-smi shows", needed, offered.name, has_memory)


def _system_differences(seen: SeenNode, needs: Requirements, offered: NodeType) -> Iterator[str]:
    if seen.architecture is not None and seen.architecture != offered.architecture:
        yield f"{offered.name} is {offered.architecture}, the node is {seen.architecture}"
    if needs.python_version is None:
        return
    if seen.python is None:
        yield f"asked for Python {needs.python_version}, python3 is missing"
    elif _minor(seen.python) < min(map(_minor, (needs.python_version, *needs.python_allowed))):
        yield f"asked for Python {needs.python_version}, python3 is {seen.python}"


def _minor(version: str) -> tuple[float, float]:
    """Return a version's first two numbers; anything else counts as newer than all versions."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", version)
    return (math.inf, math.inf) if found is None else (int(found[1]), int(found[2]))
