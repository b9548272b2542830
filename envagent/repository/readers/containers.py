"""Compose files and devcontainers.

Owns: what containers ask of their host: GPUs, CPUs, memory. Must not: read how an image is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from envagent.repository.facts import CudaSign, Facts, GpuSign, SpecialSign, Vendor, spot_of
from envagent.repository.quantities import byte_size
from envagent.repository.readers.gpu_requests import (
    Gpus,
    add_cores,
    add_gpus,
    add_size,
    cores_of,
    firmness,
)
from envagent.repository.readers.image_names import add_image, parse_image
from envagent.repository.readers.parsing import items, json_table, merged, strings, table, yaml_table
from envagent.repository.readers.scopes import scope_of, words

_MOST_SERVICES = 100
_VARIANTS = frozenset(["gpu", "gpus", "cuda", "nvidia", "amd", "rocm", "intel"])
_CAPABILITIES = frozenset(["gpu", "compute", "utility", "graphics", "video", "display", "ngx", "nvidia"])
_VISIBLE = re.compile(r"NVIDIA_VISIBLE_DEVICES=([0-9]{1,2}(?:,[0-9]{1,2}){0,31})")
_ONE_DEVICE = re.compile(r"gpu=[0-9]{1,2}$|^/dev/nvidia[0-9]{1,2}\b")
_IMAGE_ALONE = 0.6
_DEFAULT = re.compile(r"\$\{\w{1,60}:?-([^${}]{0,100})\}")
# In an editor's container these are as much as the editor likes, unless nothing else says what the job takes.
_EDITOR = 0.3
_JSON_COMMENT = re.compile(r"(?<![:\"\w/])//[^\n]*|/\*.{0,2000}?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_DEVICES: tuple[tuple[re.Pattern[str], Vendor], ...] = (
    (re.compile(r"--gpus\b|--runtime[ =]nvidia\b|nvidia\.com/gpu|/dev/nvidia"), "nvidia"),
    (re.compile(r"/dev/kfd\b|amd\.com/gpu"), "amd"),
)


def read_compose(path: str, text: str, facts: Facts) -> None:
    """Read devices and resources that services reserve."""
    firm = firmness(path)
    found = table(yaml_table(path, text, facts), "services")
    services = {str(name): _whole(service, found) for name, service in list(found.items())[:_MOST_SERVICES]}
    if not firm:
        return
    # Services of a profile start only on request, unless there are no others.
    started = {name: service for name, service in services.items() if not service.get("profiles")} or services
    with_gpu = {name for name, service in services.items() if _gpus(service) is not None}
    # Services share GPUs, unless they name different ones.
    named = {one for service in started.values() for one in _device_ids(service)}
    for name, service in services.items():
        if (asked := _gpus(service)) is not None:
            gpus, vendor, needle = asked
            if gpus.count and _device_ids(service):
                gpus = Gpus(count=max(gpus.count, len(named)))
            spot = spot_of(path, text, needle)
            if name in started and not _one_way(name, service, services, with_gpu):
                add_gpus(facts, spot, firm, "its service reserves a GPU", [gpus], vendor)
            else:
                note = "one of its services can use a GPU"
                facts.gpu.append(GpuSign("optional", -0.3 * firm, vendor, spot, note))
        elif name in started and any("/dev/dri" in device for device in _devices(service)):
            # Video is decoded there, or it is a desktop's card.
            spot = spot_of(path, text, "/dev/dri")
            facts.gpu.append(GpuSign("optional", 0.4 * firm, None, spot, "its service sees graphics cards"))
        elif name in started:
            _image(service, path, text, firm, facts)
    _sizes(started, path, text, firm, facts)


def _whole(service: object, services: dict[str, Any], depth: int = 3) -> dict[str, Any]:
    """Return a service with what it takes over from another one of the same file."""
    own = merged(service)
    extends = own.get("extends")
    base = merged(extends).get("service") if isinstance(extends, dict) and not extends.get("file") else extends
    if not isinstance(base, str) or base not in services or not depth:
        return own
    return {**_whole(services[base], services, depth - 1), **own}


def _image(service: dict[str, Any], path: str, text: str, firm: float, facts: Facts) -> None:
    """Record what the image of a service says that asks for no GPU itself."""
    if isinstance(image := _plain(service.get("image")), str):
        add_image(parse_image(image), spot_of(path, text, image), _IMAGE_ALONE * firm, facts, "its service's image")
    if "arm64" in str(service.get("platform")):
        facts.specials.append(SpecialSign("aarch64", 1.5 * firm, spot_of(path, text, "platform:")))


def _one_way(name: str, service: dict[str, Any], services: dict[str, dict[str, Any]], with_gpu: set[str]) -> bool:
    """Return whether the service is called after GPUs, as the variant of another one without."""
    called = set(words(f"{name} {' '.join(strings(service.get('profiles')))}"))
    return bool(called & _VARIANTS) and len(services) > len(with_gpu) and _has_twin(name, services, with_gpu)


def _has_twin(name: str, services: dict[str, dict[str, Any]], with_gpu: set[str]) -> bool:
    plain = set(words(name)) - _VARIANTS
    return any(
        other not in with_gpu
        and (not plain or plain <= set(words(other)) or "cpu" in words(f"{other} {services[other].get('profiles')}"))
        for other in services
    )


def _gpus(service: dict[str, Any]) -> tuple[Gpus, Vendor | None, str] | None:
    """Return the GPUs that a service asks for, their vendor, and a word to find the place."""
    for device in (merged(d) for d in items(_reservations(service), "devices")):
        capabilities = {c.lower() for c in strings(device.get("capabilities"))}
        # A list of lists means: any one of these sets.
        capabilities |= {c.lower() for inner in items(device, "capabilities") for c in strings(inner)}
        ids = strings(device.get("device_ids"))
        driver = str(device.get("driver") or "").lower()
        if capabilities & _CAPABILITIES or driver in ("nvidia", "amd", "amdgpu") or any(map(_vendor, ids)):
            known: Vendor | None = "amd" if driver.startswith("amd") else "nvidia" if driver == "nvidia" else None
            count = _number(device.get("count")) or (len(ids) if ids and not any("all" in i for i in ids) else None)
            vendor = known or next(filter(None, map(_vendor, ids)), None)
            needle = "device_ids" if ids else "capabilities" if capabilities else "driver"
            return Gpus(count=count), vendor, needle
    for kind in (
        table(merged(g), "discrete_resource_spec") for g in items(_reservations(service), "generic_resources")
    ):
        if "gpu" in str(kind.get("kind")).lower():
            return Gpus(count=_number(kind.get("value"))), None, "discrete_resource_spec"
    match service.get("gpus"):
        case str() | int() as number if number:
            return Gpus(count=_number(number)), None, "gpus"
        case [first, *_]:
            return Gpus(count=_number(merged(first).get("count"))), None, "gpus"
    if service.get("runtime") == "nvidia":
        return Gpus(count=_visible(service)), "nvidia", "nvidia"
    named = [name for name in _devices(service) if _vendor(name)]
    if named:
        single = [name for name in named if _ONE_DEVICE.search(name)]
        return Gpus(count=len(set(single)) or None), _vendor(named[0]), named[0]
    return None


def _visible(service: dict[str, Any]) -> float | None:
    """Return the number of GPUs that NVIDIA_VISIBLE_DEVICES lists."""
    given = service.get("environment")
    lines = strings(given) if isinstance(given, list) else [f"{k}={_plain(v)}" for k, v in merged(given).items()]
    found = [_VISIBLE.fullmatch(line.replace(" ", "")) for line in lines]
    return next((float(len(one[1].split(","))) for one in found if one), None)


def _device_ids(service: dict[str, Any]) -> list[str]:
    named = [merged(device).get("device_ids") for device in items(_reservations(service), "devices")]
    return [one for ids in named for one in strings(ids) if "all" not in one]


def _reservations(service: dict[str, Any]) -> dict[str, Any]:
    deploy = merged(service.get("deploy"))
    return merged(merged(deploy.get("resources")).get("reservations"))


def _devices(service: dict[str, Any]) -> list[str]:
    return strings(service.get("devices"))


def _vendor(device: str) -> Vendor | None:
    return next((vendor for pattern, vendor in _DEVICES if pattern.search(device)), None)


def _plain(value: object) -> object:
    """Replace `${NAME:-value}` by its default."""
    return found[1] if isinstance(value, str) and (found := _DEFAULT.fullmatch(value.strip())) else value


def _number(value: object) -> float | None:
    value = _plain(value)
    return cores_of(value) or None if isinstance(value, (int, str)) else None


def _sizes(services: dict[str, dict[str, Any]], path: str, text: str, firm: float, facts: Facts) -> None:
    """Record the memory and cores of services that run at the same time: the sum of what they reserve, or may use."""
    memory, weight = _first_given(services, _MEMORY, firm, byte_size)
    if memory:
        spot = spot_of(path, text, str(max(memory, key=lambda pair: pair[0])[1]))
        add_size(facts, "ram", f"{sum(size for size, _ in memory):.3f}g", spot, weight, "recommended")
    cores, weight = _first_given(services, _CORES, firm, cores_of)
    if cores:
        spot = spot_of(path, text, "cpu", str(max(cores, key=lambda pair: pair[0])[1]))
        add_cores(facts, f"{sum(number for number, _ in cores):.3f}", spot, weight)


def _first_given(
    services: dict[str, dict[str, Any]],
    ways: tuple[tuple[str, ...], tuple[str, ...]],
    firm: float,
    parse: Callable[[object], float | None],
) -> tuple[list[tuple[float, object]], float]:
    """Return what services reserve, as numbers and as written, else what they may use; and how firmly that is said."""
    for places, weight in zip(ways, (firm, 0.6 * firm), strict=True):
        given = [_plain(_at(service, place)) for service in services.values() for place in places]
        if found := [(number, value) for value in given if value is not None and (number := parse(value))]:
            return found, weight
    return [], 0.0


_MEMORY = (
    ("deploy.resources.reservations.memory", "mem_reservation"),
    ("deploy.resources.limits.memory", "mem_limit"),
)
_CORES = (("deploy.resources.reservations.cpus",), ("deploy.resources.limits.cpus", "cpus", "cpu_count"))


def _at(service: dict[str, Any], where: str) -> object:
    *folders, last = where.split(".")
    for folder in folders:
        service = merged(service.get(folder))
    return service.get(last)


def without_json_comments(text: str) -> str:
    """Return JSON as editors write it, with comments and trailing commas, as plain JSON."""
    return _TRAILING_COMMA.sub(r"\1", _JSON_COMMENT.sub("", text))


def read_devcontainer(path: str, text: str, facts: Facts) -> None:
    """Read the host that an editor's container asks for: its GPUs firmly, its sizes as a guess."""
    found = json_table(path, without_json_comments(text), facts)
    if scope_of(path) is None:
        return
    # Of several configurations each is one way.
    firm = firmness(path)
    wanted = table(found, "hostRequirements")
    add_cores(facts, wanted.get("cpus"), spot_of(path, text, "cpus"), _EDITOR * firm)
    add_size(facts, "ram", wanted.get("memory"), spot_of(path, text, "memory"), _EDITOR * firm, "recommended")
    add_size(facts, "disk", wanted.get("storage"), spot_of(path, text, "storage"), _EDITOR * firm, "recommended")
    gpu, spot = wanted.get("gpu"), spot_of(path, text, "gpu")
    if gpu == "optional":
        facts.gpu.append(GpuSign("optional", -1.0, None, spot, "the development container calls it optional"))
    elif gpu:
        memory = byte_size(gpu.get("memory")) if isinstance(gpu, dict) else None
        add_gpus(facts, spot, firm, "the development container requires it", [Gpus(memory_gb=memory)])
    elif (asked := _run_arguments(found)) is not None:
        vendor, needle = asked
        add_gpus(facts, spot_of(path, text, needle), firm, "the development container is run with it", (), vendor)
    _features(found, path, text, firm, facts)
    if isinstance(image := found.get("image"), str):
        note = "its development container's image"
        add_image(parse_image(image), spot_of(path, text, image), _IMAGE_ALONE * firm, facts, note)


def _run_arguments(found: dict[str, Any]) -> tuple[Vendor, str] | None:
    arguments = strings(found.get("runArgs"))
    for number, argument in enumerate(arguments):
        joined = " ".join(arguments[number : number + 2])
        for pattern, vendor in _DEVICES:
            if argument.startswith("-") and pattern.search(joined):
                return vendor, argument
    return None


def _features(found: dict[str, Any], path: str, text: str, firm: float, facts: Facts) -> None:
    for name, options in table(found, "features").items():
        feature = name.rpartition("/")[2].partition(":")[0].lower()
        spot = spot_of(path, text, name)
        chosen = options if isinstance(options, dict) else {}
        if feature in ("nvidia-cuda", "cuda"):
            facts.gpu.append(GpuSign("container", 1.0 * firm, "nvidia", spot, "its development container has CUDA"))
            if re.fullmatch(r"\d{1,2}\.\d{1,2}", version := str(chosen.get("cudaVersion") or chosen.get("version"))):
                facts.cuda.append(CudaSign(version, firm, spot_of(path, text, version)))
        elif feature == "python" and (version := str(chosen.get("version"))):
            add_image(parse_image(f"python:{version}"), spot, firm, facts, "its development container's Python")
