"""Manifests of clusters: Kubernetes, Helm's values, Ray's cluster launcher.

Owns: what one pod or node asks for. Replicas do not multiply it, since they need not share a machine. Must not: render
templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from envagent.catalog.gpus import identify
from envagent.repository.facts import Facts, GpuSign, SpecialSign, Spot, Vendor, spot_of
from envagent.repository.quantities import byte_size
from envagent.repository.readers.gpu_requests import (
    Gpus,
    add_cores,
    add_gpus,
    add_size,
    cores_of,
    firmness,
    gpus_of_instance,
    parse_gpus,
    resource_kind,
)
from envagent.repository.readers.image_names import add_image, parse_image
from envagent.repository.readers.parsing import items, merged, strings, table, yaml_table, yaml_tables
from envagent.repository.readers.shell_commands import read_command

_MOST_NODES = 5000
_MOST_PODS = 40
_SELECTS_MODEL = re.compile(r"accelerator|gpu[._-]?(?:product|name|model|type)", re.IGNORECASE)
_SELECTS_INSTANCE = re.compile(r"instance-?type", re.IGNORECASE)
# Charts have values of their own for what they fill in: requestGPU, gpuCount, numGpus.
_COUNTS = frozenset([
    "gpu", "gpus", "requestgpu", "requestgpus", "limitgpu", "gpucount", "gpunum", "numgpu", "numgpus", "ngpu", "ngpus",
    "gpulimit", "gpurequest", "gpusperworker", "gpuspernode", "gpuspertask",
])  # fmt: skip
_IMAGE_ALONE = 0.4
_DISK = 0.5


class _Pod(NamedTuple):
    """What runs on one node: the resources of its containers by name, and the mapping that says where."""

    wanted: dict[str, list[object]]
    node: dict[str, Any]


def _wanted(containers: list[dict[str, Any]]) -> dict[str, list[object]]:
    """Return the resources that containers request; a limit without a request is the request."""
    wanted: dict[str, list[object]] = {}
    for resources in containers:
        for name, value in {**merged(resources.get("limits")), **merged(resources.get("requests"))}.items():
            wanted.setdefault(str(name), []).append(value)
    return wanted


def read_kubernetes(path: str, text: str, facts: Facts) -> None:
    """Read the pods of a stream of manifests, in whatever resource they are nested."""
    firm = firmness(path)
    pods = [pod for document in (yaml_tables(path, text, facts) if firm else ()) for pod in _pods(document)]
    _read_pods(pods[:_MOST_PODS], path, text, firm, facts)


def read_values(path: str, text: str, facts: Facts) -> None:
    """Read the values of a chart: its resources, and the counts of GPUs that it fills in."""
    firm = firmness(path)
    values = yaml_table(path, text, facts) if firm else {}
    _read_pods(list(_pods(values))[:_MOST_PODS], path, text, firm, facts)
    for mapping in _mappings(values):
        for key, value in mapping.items():
            name = re.sub(r"[^a-z]", "", str(key)[:40].lower())
            if name in _COUNTS and (count := _count(value)):
                spot = spot_of(path, text, f"{key}:")
                add_gpus(facts, spot, firm, "its chart asks for a GPU", [Gpus(count=count or None)])
            elif name == "requestmemory":
                add_size(facts, "ram", value, spot_of(path, text, f"{key}:"), firm)


def _count(value: object) -> float | None:
    """Return the number of GPUs that a value of a chart asks for; None if it asks for none."""
    if isinstance(value, dict):
        chosen = merged(value)
        if chosen.get("enabled") is not True:
            return None
        return next((n for key in ("count", "number", "num", "limit") if (n := cores_of(chosen.get(key)))), 1.0)
    return cores_of(value) or None


def _mappings(whole: object) -> Iterator[dict[str, Any]]:
    """Yield the mappings of a document, except what is switched off."""
    ahead, seen = [whole], set[int]()
    while ahead and len(seen) < _MOST_NODES:
        node = ahead.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, list):
            ahead += reversed(node)
        elif isinstance(node, dict) and node.get("enabled") is not False:
            mapping = merged(node)
            yield mapping
            ahead += reversed(list(mapping.values()))


def _pods(whole: object) -> Iterator[_Pod]:
    in_pods = set[int]()
    for mapping in _mappings(whole):
        containers = [merged(c) for c in items(mapping, "containers")]
        resources = [merged(c.get("resources")) for c in containers]
        if containers:
            in_pods |= {id(c.get("resources")) for c in containers}
            yield _Pod(_wanted(resources), mapping)
        elif isinstance(mapping.get("resources"), dict) and id(mapping["resources"]) not in in_pods:
            yield _Pod(_wanted([merged(mapping["resources"])]), mapping)
        elif any(mapping.get(key) for key in ("deviceClassName", "runtimeClassName", "nodeSelector")):
            yield _Pod({}, mapping)


def _read_pods(pods: list[_Pod], path: str, text: str, firm: float, facts: Facts) -> None:
    """Record the GPUs of each pod, and the sizes of the largest: of those with GPUs, if there are any."""
    with_gpu = [pod for pod in pods if _devices(pod, path, text, firm, facts)]
    sizes: dict[str, tuple[float, str]] = {}
    for pod in pods:
        for name, values in pod.wanted.items():
            if with_gpu and pod not in with_gpu and name in ("cpu", "memory"):
                continue
            size = sum(map(cores_of, values)) if name == "cpu" else sum(byte_size(v) or 0 for v in values)
            largest = max(values, key=lambda v: byte_size(v) or 0)
            sizes[name] = max(sizes.get(name, (0.0, "")), (size, str(largest)))
    for name, (size, largest) in sizes.items():
        spot = spot_of(path, text, f"{name}:", largest)
        if name == "cpu":
            add_cores(facts, f"{size:.3f}", spot, firm)
        elif name == "memory":
            add_size(facts, "ram", f"{size:.3f}g", spot, firm)
        elif name in ("storage", "ephemeral-storage"):
            add_size(facts, "disk", f"{size:.3f}g", spot, _DISK * firm, "recommended")


def _devices(pod: _Pod, path: str, text: str, firm: float, facts: Facts) -> bool:
    """Record the devices that a pod asks for; return whether there are GPUs among them."""
    wanted, node = pod
    models, selected = _selected(node)
    count, vendor, spot = 0.0, None, None
    for name, values in wanted.items():
        number = sum(map(cores_of, values))
        if number and (kind := resource_kind(name)):
            tag, maker = kind
            place = spot_of(path, text, name, str(values[0]))
            if tag:
                facts.specials.append(SpecialSign(tag, 2.0 * firm, place))
            else:
                # Parts of a GPU and memory of one are counted in other units.
                shared = "mig" in name or "mem" in name or "percent" in name or "core" in name
                count, vendor, spot = (1.0 if shared else count + number), maker or vendor, place
    spot = spot or _other_sign(node, path, text)
    if spot is None and models:
        spot = spot_of(path, text, selected)
    if spot is not None:
        options = [Gpus(m.model, count or m.count, m.memory_gb) for m in models] or [Gpus(count=count or None)]
        add_gpus(facts, spot, firm, "its pod asks for a GPU", options, vendor)
        return True
    for image in [str(merged(c).get("image") or "") for c in items(node, "containers")]:
        if (named := parse_image(image)).vendor:
            add_image(named, spot_of(path, text, image), _IMAGE_ALONE * firm, facts, "its pod's image")
    return False


def _other_sign(node: dict[str, Any], path: str, text: str) -> Spot | None:
    """Return the place that asks for a GPU without a number: a class of devices or of runtimes, or a label of nodes."""
    device, runtime = str(node.get("deviceClassName") or ""), str(node.get("runtimeClassName") or "")
    if "gpu" in device or "mig" in device:
        return spot_of(path, text, "deviceClassName", device)
    if "nvidia" in runtime.lower():
        return spot_of(path, text, "runtimeClassName", runtime)
    for key, value in merged(node.get("nodeSelector")).items():
        if "gpu" in str(key).lower() and str(value).lower() == "true":
            return spot_of(path, text, str(key))
    return None


def _selected(node: dict[str, Any]) -> tuple[list[Gpus], str]:
    """Return the models of GPUs among which a node selector chooses, and the key that it does so by."""
    selector = {str(key): [value] for key, value in merged(node.get("nodeSelector")).items()}
    affinity = merged(merged(node.get("affinity")).get("nodeAffinity"))
    for mapping in _mappings(affinity.get("requiredDuringSchedulingIgnoredDuringExecution")):
        if mapping.get("operator") == "In" and isinstance(mapping.get("key"), str):
            selector[mapping["key"]] = strings(mapping.get("values"))
    for key, values in selector.items():
        if _SELECTS_INSTANCE.search(key):
            found = [gpus for value in values if (gpus := gpus_of_instance(value))]
        elif _SELECTS_MODEL.search(key):
            found = [parse_gpus(value) for value in values if isinstance(value, str) and _is_model(value)]
        else:
            found = []
        if found:
            return found, key
    return [], ""


def _is_model(name: str) -> bool:
    return identify(name) is not None or "tpu" in name.lower()


def read_ray_cluster(path: str, text: str, facts: Facts) -> None:
    """Read the node types of Ray's cluster launcher: the largest number of GPUs that one of them has."""
    firm = firmness(path)
    whole = yaml_table(path, text, facts) if firm else {}
    nodes = [merged(node) for node in merged(whole.get("available_node_types")).values()]
    nodes += [{"node_config": whole.get(old)} for old in ("head_node", "worker_nodes")]
    found: list[tuple[float, Gpus, str]] = []
    for node in nodes:
        config = merged(node.get("node_config"))
        azure = merged(merged(config.get("azure_arm_parameters")))
        kind = config.get("InstanceType") or config.get("machineType") or azure.get("vmSize") or config.get("vmSize")
        model = gpus_of_instance(kind) or Gpus()
        accelerators = [merged(a) for a in items(config, "guestAccelerators")]
        for accelerator in accelerators:
            name = str(accelerator.get("acceleratorType")).rpartition("/")[2]
            model = parse_gpus(name, cores_of(accelerator.get("acceleratorCount")) or None)
        resources = merged(node.get("resources"))
        count = cores_of(resources.get("GPU")) or model.count or 0
        needle = "GPU" if resources.get("GPU") else str(kind)
        if count or model.model:
            found.append((count, Gpus(model.model, count or None, model.memory_gb), needle))
        add_cores(facts, resources.get("CPU"), spot_of(path, text, "CPU"), 0.5 * firm)
        if resources.get("memory"):
            add_size(facts, "ram", resources["memory"], spot_of(path, text, "memory"), 0.5 * firm)
    if found:
        _, largest, needle = max(found, key=lambda row: row[0])
        add_gpus(facts, spot_of(path, text, needle), firm, "a node of its cluster has GPUs", [largest])
    _ray_container(whole, path, text, firm, facts)


def _ray_container(whole: dict[str, Any], path: str, text: str, firm: float, facts: Facts) -> None:
    docker = table(whole, "docker")
    for image in [str(docker.get(key) or "") for key in ("image", "head_image", "worker_image")]:
        if image:
            add_image(parse_image(image), spot_of(path, text, image), firm, facts, "its cluster's image")
    if any("--gpus" in option for option in strings(docker.get("run_options"))):
        vendor: Vendor = "nvidia"
        facts.gpu.append(GpuSign("command", 1.2 * firm, vendor, spot_of(path, text, "--gpus"), "runs it with GPUs"))
    for key in ("setup_commands", "head_setup_commands", "worker_setup_commands"):
        for command in strings(whole.get(key)):
            line = spot_of(path, text, command.split("\n")[0]).line
            read_command(path, line, command, facts, scope="documented", weight=0.4 * firm)
