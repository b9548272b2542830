"""Placement against one real day of CHI@UC: 60 requirement sets, each answer checked by brute force.

    python -m bench.replay [--data ../shared/data] [--at 2025-10-30T19:40] [--verbose]

The sandbox is loaded with the real allocations of that day, moved to now; hosts and occupations are read through the
real clients; every answer, immediate or later, is then reserved there. There are two passes: each set alone, its lease
released at once; then all 60 in a row, every lease kept, so that the site fills up. The brute force reads the raw files
and shares no code with the product: it tries every minute on every node.

DATA holds the Reference API's nodes, Blazar's allocations, and the map from host ids to node uids.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from envagent.advice.decisions import Candidate, Placement
from envagent.advice.placement import place
from envagent.catalog import node_types, refresh
from envagent.cloud.adapter import connect
from envagent.cloud.port import Cloud, HostReservation, Lease
from envagent.errors import CapacityError, NothingSuitable
from envagent.repository.results import Analysis, Requirements, Sizing
from envagent.sandbox import ensure_running
from envagent.sandbox.process import stop

FILES = (
    "refapi_uc_chameleon_nodes.json",
    "uc_blazar_host_allocations_2025-10.json",
    "uc_blazar_host_id_to_node_uid.json",
)
MARGIN = 5 * 60.0

# Facts of the brute force, from data sheets instead of the product's catalogue.
CORES = {"6126": 12, "6240R": 24, "8380": 40, "7763": 64, "8276": 28, "6230": 20, "7352": 24}
GPUS = {"RTX 6000": (24, 7.5), "V100": (32, 7.0), "A100": (80, 8.0)}
TYPICAL = {
    "infiniband": {"storage_nvme", "gpu_v100", "gpu_a100_pcie", "gpu_a100_nvlink", "compute_nvdimm"},
    "nvme": {"storage_nvme", "gpu_a100_pcie", "gpu_a100_nvlink"},
}
CUDA_GPUS = {"10.2": (3.0, 7.5), "11.8": (3.5, 9.0), "12.4": (5.0, 9.0), "13.0": (7.5, 12.1)}


@dataclass(frozen=True)
class Want:
    """One requirement set."""

    hours: int = 24
    cores: int = 4
    ram: int = 8
    disk: int = 30
    gpus: int = 0
    vram: int = 0
    cuda: str | None = None
    vendor: str = "nvidia"
    special: str | None = None
    arch: str = "x86_64"

    def short(self) -> str:
        """Describe what differs from the defaults."""
        plain = Want()
        return " ".join(f"{k}={v}" for k, v in asdict(self).items() if k == "hours" or v != getattr(plain, k))

    def analysis(self) -> Analysis:
        """Convert to the product's model."""
        needs: dict[str, Any] = {"architecture": self.arch}
        if self.gpus:
            needs |= {"gpu_required": True, "gpu_vendor": self.vendor, "gpu_count": self.gpus}
            needs |= {"gpu_memory_gb": self.vram or None, "cuda_required": self.vendor == "nvidia"}
            needs |= {"cuda_version": self.cuda}
        if self.special:
            needs["special_requirements"] = (self.special,)
        return Analysis(
            requirements=Requirements(**needs),
            sizing=Sizing(cpu_cores=self.cores, ram_gb=self.ram, disk_gb=self.disk),
        )


def wants() -> list[Want]:
    """Return the mix: 24 CPU, 26 GPU, 7 special, 3 that no node of the site can serve."""
    cpu = [Want(hours, cores, ram) for hours in (4, 24, 168) for cores, ram in ((4, 8), (24, 64), (48, 128), (80, 200))]
    cpu += [Want(hours, ram=ram) for hours in (4, 72) for ram in (150, 200, 400, 2000)]
    cpu += [Want(hours, disk=disk) for hours in (24, 168) for disk in (300, 900)]
    gpu = [Want(hours, gpus=1, vram=vram) for hours in (4, 24, 168) for vram in (0, 16, 24, 32, 80)]
    gpu += [Want(hours, gpus=4, vram=vram) for hours in (12, 72) for vram in (0, 40)]
    gpu += [
        Want(24, gpus=1, vram=vram, cuda=cuda) for cuda in CUDA_GPUS for vram in (8, 40) if (cuda, vram) != ("12.4", 8)
    ]
    special = [Want(hours, special=name) for name in ("fpga", "infiniband", "nvme") for hours in (8, 96)]
    special += [Want(48, special="persistent memory")]
    never = [Want(gpus=1, vendor="amd"), Want(arch="aarch64"), Want(gpus=8)]
    return cpu + gpu + special + never


@dataclass
class Site:
    """The raw files and the brute force over them. Times are seconds since 1970, moved to now."""

    nodes: dict[str, dict[str, Any]]
    busy: dict[str, list[tuple[float, float]]]

    def suitable(self, want: Want) -> dict[str, str]:
        """Map the ids of suitable hosts to node types; reluctant ones only if there is no other."""
        serving = {host: node for host, node in self.nodes.items() if serves(node, want)}
        willing = {host: node for host, node in serving.items() if not reluctant(node, want)}
        return {host: node["node_type"] for host, node in (willing or serving).items()}

    def free(self, host: str, start: float, hours: int) -> bool:
        """Return whether no reservation of the host touches the window or its margins."""
        end = start + hours * 3600
        return all(not (s < end + MARGIN and e > start - MARGIN) for s, e in self.busy[host])

    def first_free(self, hosts: list[str], now: float, hours: int) -> datetime:
        """Try now, then every whole minute, on every host."""
        start = now
        while not any(self.free(host, start, hours) for host in hosts):
            start = start - start % 60 + 60
        return datetime.fromtimestamp(start, UTC)


def serves(node: dict[str, Any], want: Want) -> bool:
    """Return whether a node of the Reference API satisfies a want, from the raw record."""
    machine, gpu = node["architecture"], node.get("gpu") or {}
    per_socket = next(count for word, count in CORES.items() if word in node["processor"]["model"])
    if machine["platform_type"] != want.arch:
        return False
    if min(per_socket * machine["smp_size"], machine["smt_size"]) < want.cores:
        return False
    if round(node["main_memory"]["ram_size"] / 2**30) < want.ram:
        return False
    if sum(int(disk["size"] / 1e9) for disk in node["storage_devices"]) < want.disk:
        return False
    if want.gpus:
        if not gpu.get("gpu") or want.vendor.upper() not in gpu["gpu_vendor"].upper() or gpu["gpu_count"] < want.gpus:
            return False
        memory, capability = facts(gpu["gpu_model"])
        if memory < want.vram or (want.cuda and capability < CUDA_GPUS[want.cuda][0]):
            return False
    return has_special(node, want.special)


def facts(model: str) -> tuple[int, float]:
    """Return memory and compute capability of a GPU of the site."""
    return next(found for word, found in GPUS.items() if word in model)


def has_special(node: dict[str, Any], special: str | None) -> bool:
    """Return whether the record, or the name of the type, shows the special hardware."""
    if special == "fpga":
        return "fpga" in node
    if special == "infiniband":
        shown = any(adapter.get("interface") == "InfiniBand" for adapter in node["network_adapters"])
        return shown or node["node_type"] in TYPICAL[special]
    if special == "nvme":
        shown = any(str(disk.get("device", "")).startswith("nvme") for disk in node["storage_devices"])
        return shown or node["node_type"] in TYPICAL[special]
    return special is None or node["node_type"] == "compute_nvdimm"


def reluctant(node: dict[str, Any], want: Want) -> bool:
    """Return whether a node is avoided while others are suitable: an idle GPU, or one newer than the CUDA release."""
    gpu = node.get("gpu") or {}
    if not want.gpus:
        return bool(gpu.get("gpu"))
    return bool(want.cuda) and facts(gpu["gpu_model"])[1] > CUDA_GPUS[str(want.cuda)][1]


def read(data: Path, shift: timedelta) -> Site:
    """Read the raw files, every time moved by `shift`."""
    nodes = {node["uid"]: node for node in json.loads((data / FILES[0]).read_text("utf-8"))["items"]}
    uids = json.loads((data / FILES[2]).read_text("utf-8"))
    busy: dict[str, list[tuple[float, float]]] = {host: [] for host in uids}
    for entry in json.loads((data / FILES[1]).read_text("utf-8")):
        for one in entry["reservations"]:
            span = tuple((moment(one[key]) + shift).timestamp() for key in ("start_date", "end_date"))
            busy[entry["resource_id"]].append((span[0], span[1]))
    return Site({host: nodes[uid] for host, uid in uids.items()}, busy)


def moment(text: str) -> datetime:
    """Parse a time as Blazar writes it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reserve(cloud: Cloud, candidate: Candidate, hours: int) -> Lease | str:
    """Reserve; return the lease, or the error of the site."""
    kind = HostReservation(node_type=candidate.node_type.name, exclude_uids=candidate.exclude_uids)
    start = None if candidate.free_now else candidate.next_free
    begin = (start or datetime.now(UTC)).replace(second=0, microsecond=0)
    try:
        return cloud.create_lease("replay", start, begin + timedelta(hours=hours), kind)
    except CapacityError as refused:
        return refused.message


@dataclass
class Tally:
    """The results of the 60."""

    at_once: int = 0
    possible_at_once: int = 0
    later: int = 0
    later_right: int = 0
    impossible: int = 0
    granted: int = 0
    wrong: list[str] = field(default_factory=list)


class Replay:
    """One pass over the 60 on a loaded sandbox; with `keep`, every lease stays."""

    def __init__(self, site: Site, cloud: Cloud, *, keep: bool) -> None:
        self.site, self.cloud, self.keep = site, cloud, keep
        self.images, self.hosts = cloud.images(), cloud.hosts()
        self.types = refresh(node_types("CHI@UC"), self.hosts)
        self.tally = Tally()

    def judge(self, want: Want) -> str:
        """Place one want, compare with brute force, reserve; return a line to print."""
        tally, before = self.tally, self.cloud.occupations()
        now = datetime.now(UTC)
        suitable = self.site.suitable(want)
        tally.possible_at_once += any(self.site.free(host, now.timestamp(), want.hours) for host in suitable)
        try:
            found = place(want.analysis(), self.types, self.hosts, before, self.images, now=now, hours=want.hours)
        except NothingSuitable:
            tally.impossible += 1
            if suitable:
                tally.wrong.append(f"{want}: nothing suitable, but {sorted(set(suitable.values()))} are")
            return "nothing suitable"
        wrong = list(self.mistakes(want, found, suitable, now.timestamp()))
        best = found.best
        lease = reserve(self.cloud, best, want.hours)
        if isinstance(lease, str):
            wrong.append(f"the site refused {best.node_type.name}: {lease}")
        elif self.keep:
            for new in set(self.cloud.occupations()) - set(before):
                self.site.busy[new.host_id].append((new.start.timestamp(), new.end.timestamp()))
        else:
            self.cloud.delete_lease(lease.id)
        tally.granted += not isinstance(lease, str)
        tally.wrong += [f"{want}: {problem}" for problem in wrong]
        if best.free_now:
            tally.at_once += 1
            return f"{best.node_type.name}, {best.free_now} of {best.total} free now"
        tally.later += 1
        tally.later_right += not wrong
        return f"{best.node_type.name}, free from {best.next_free:%m-%d %H:%M}"

    def mistakes(self, want: Want, found: Placement, suitable: dict[str, str], now: float) -> Iterator[str]:
        """Compare every candidate with brute force: types, free nodes, first free moment, order."""
        by_type: dict[str, list[str]] = {}
        for host, kind in suitable.items():
            by_type.setdefault(kind, []).append(host)
        if {c.node_type.name for c in found.candidates} != set(by_type):
            yield f"candidates {[c.node_type.name for c in found.candidates]}, brute force {sorted(by_type)}"
            return
        for candidate in found.candidates:
            name, hosts = candidate.node_type.name, by_type[candidate.node_type.name]
            free = sum(self.site.free(host, now, want.hours) for host in hosts)
            first = self.site.first_free(hosts, now, want.hours)
            if (candidate.total, candidate.free_now) != (len(hosts), free):
                yield f"{name}: {candidate.free_now} of {candidate.total}, brute force {free} of {len(hosts)}"
            if candidate.next_free is None or abs(candidate.next_free - first) > timedelta(milliseconds=1):
                yield f"{name}: first free {candidate.next_free}, brute force {first}"
        best, free_ones = found.best, [c for c in found.candidates if c.free_now]
        if free_ones and (not best.free_now or best.su_per_hour > min(c.su_per_hour for c in free_ones)):
            yield f"{best.node_type.name} is not the cheapest that is free now"
        if not free_ones and best.next_free != min(c.next_free for c in found.candidates if c.next_free):
            yield f"{best.node_type.name} is not the first to be free"


def run(data: Path, at: str, *, keep: bool, verbose: bool) -> Tally:
    """Run one pass on a fresh sandbox."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        endpoint = ensure_running(Path(folder), speed=1, settings={"service_units": 10**9})
        try:
            shift = datetime.now(UTC).replace(second=0, microsecond=0) - moment(at)
            moved = {"moved_by_seconds": shift.total_seconds(), "site": "uc"}
            moved["allocations"] = json.loads((data / FILES[1]).read_text("utf-8"))
            taken = len(endpoint.control("allocations", moved)["leases"])
            cloud = connect(next(iter(endpoint.clouds)), clouds_yaml=endpoint.clouds_file)
            replay = Replay(read(data, shift), cloud, keep=keep)
            for want in wants():
                line = replay.judge(want)
                if verbose:
                    print(f"  {want.short()} -> {line}")
            cloud.close()
        finally:
            stop(Path(folder))
    title = "all 60 in a row, leases kept" if keep else "each alone"
    seconds = time.perf_counter() - started
    print(f"{title}: {len(replay.site.nodes)} nodes, {taken} real reservations, {len(wants())} sets, {seconds:.1f} s")
    report(replay.tally)
    return replay.tally


def main() -> int:
    """Run the replay; exit code 1 when anything differs from brute force."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--at", default="2025-10-30T19:40", help="the moment of that day to stand in (UTC)")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    missing = [name for name in FILES if not (options.data / name).is_file()]
    if missing:
        print(f"skipped: {options.data} lacks {', '.join(missing)}")
        return 0
    tallies = [run(options.data, options.at, keep=keep, verbose=options.verbose) for keep in (False, True)]
    return 1 if any(tally.wrong for tally in tallies) else 0


def report(tally: Tally) -> None:
    """Print the counts."""
    print(f"  suitable hardware at once:            {tally.at_once} of {tally.possible_at_once} possible")
    print(f"  earliest window named correctly:      {tally.later_right} of {tally.later}")
    print(f"  no such hardware at the site:         {tally.impossible}")
    print(f"  granted by the site when asked for:   {tally.granted} of {tally.at_once + tally.later}")
    print(f"  answers that differ from brute force: {len(tally.wrong)}")
    for problem in tally.wrong:
        print(f"    {problem}")


if __name__ == "__main__":
    sys.exit(main())
