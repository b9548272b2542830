"""Manifests of platforms that run a job on rented GPUs: Cog, SkyPilot, dstack, Truss, Determined and others.

Owns: their formats. What they ask for is what the job needs of any machine. Must not: read source code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from envagent.catalog.gpus import identify
from envagent.repository.facts import Amount, CudaSign, Facts, GpuSign, PythonSign, Scope, spot_of
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, pip_package
from envagent.repository.readers.dockerfiles import commands_of
from envagent.repository.readers.gpu_requests import (
    Gpus,
    add_cores,
    add_gpus,
    add_size,
    cores_of,
    firmness,
    gpus_of_instance,
    parse_gpus,
)
from envagent.repository.readers.image_names import add_image, parse_image
from envagent.repository.readers.parsing import items, merged, strings, table, toml_table, yaml_table, yaml_tables
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import python_specifier, read_command

_A_VERSION = re.compile(r"\d{1,2}\.\d{1,2}")
# A parser of YAML takes 3.10 for a number.
_PYTHON = re.compile(r"^[ \t]*python_version:[ \t]*[\"']?(?:py)?(\d)\.?(\d{1,2})", re.MULTILINE)
_MOST_OPTIONS = 30
_MOST_NODES = 2000
_DISK = 0.5
_SPEAKS = 0.9
_WEAK = 0.3
_INSTANCE_KEY = re.compile(r"(?:instance|machine|node)_?type(?:_id)?|vm_?size|size|accelerator_?type", re.IGNORECASE)


def _packages(names: Iterable[str], path: str, text: str, facts: Facts) -> None:
    scope: Scope = scope_of(path) or "development"
    for name in list(names)[:MOST_OF_A_FILE]:
        facts.add(pip_package(name.partition(" --")[0], scope, path, spot_of(path, text, name).line))


def _python(path: str, text: str, facts: Facts) -> None:
    if (found := _PYTHON.search(text)) and (allowed := python_specifier(f"{found[1]}.{found[2]}")):
        # Documents that name another version are read by people, and come first.
        authority = 1 if firmness(path) >= _SPEAKS else 0
        facts.pythons.append(
            PythonSign(allowed, authority, spot_of(path, text, "python_version"), "the environment's pin")
        )


def _cuda(value: object, path: str, text: str, firm: float, facts: Facts) -> None:
    if found := _A_VERSION.match(str(value or "")):
        facts.cuda.append(CudaSign(found[0], 2.0 * firm, spot_of(path, text, "cuda", found[0])))


def _commands(found: object, path: str, text: str, firm: float, facts: Facts) -> None:
    lines = found.split("\n") if isinstance(found, str) else strings(found)
    for line in lines[:MOST_OF_A_FILE]:
        number = spot_of(path, text, line.strip()).line
        for command in commands_of(line.partition(" #")[0]):
            read_command(path, number, command, facts, scope="documented", weight=0.4 * firm)


def _options(value: object, count: float | None = None) -> list[Gpus]:
    """Return the ways to meet a request: a name, a list of them, or a mapping from names to counts."""
    match value:
        case dict():
            return [parse_gpus(name, cores_of(n) or count) for name, n in list(value.items())[:_MOST_OPTIONS]]
        case list():
            return [gpus for one in value[:_MOST_OPTIONS] for gpus in _options(one, count)]
        case str():
            return [parse_gpus(one, count) for one in value.split(",")[:_MOST_OPTIONS] if one.strip()]
        case int() | float():
            return [parse_gpus(value)]
    return []


def read_cog(path: str, text: str, facts: Facts) -> None:
    """Read cog.yaml: GPU, CUDA, Python and packages of the image that Cog builds."""
    firm = firmness(path)
    build = table(yaml_table(path, text, facts), "build")
    if not build or not firm:
        return
    spot = spot_of(path, text, "gpu:")
    if build.get("gpu") is True:
        # It is one way to deploy the model, so a document that calls GPUs optional outranks it.
        add_gpus(facts, spot, 0.8 * firm, "its cog.yaml builds for GPUs", (), "nvidia")
        _cuda(build.get("cuda"), path, text, firm, facts)
    elif build.get("gpu") is False:
        facts.gpu.append(GpuSign("denial", -2.0 * firm, None, spot, "its cog.yaml builds for CPUs"))
    _python(path, text, facts)
    _packages(strings(build.get("python_packages")), path, text, facts)
    runs = [run if isinstance(run, str) else merged(run).get("command") for run in items(build, "run")]
    _commands(runs, path, text, firm, facts)


def read_skypilot(path: str, text: str, facts: Facts) -> None:
    """Read a task of SkyPilot: its accelerators, of several any one, and the sizes of its machine."""
    firm = firmness(path)
    for task in yaml_tables(path, text, facts) if firm else ():
        resources = merged(task.get("resources"))
        choices = [{**resources, **merged(one)} for key in ("any_of", "ordered") for one in items(resources, key)] or [
            resources
        ]
        gpus: list[Gpus | None] = []
        for choice in choices[:_MOST_OPTIONS]:
            gpus += _options(choice.get("accelerators")) or [gpus_of_instance(choice.get("instance_type"))]
        # A choice without accelerators is a way without a GPU.
        if any(gpus) and all(gpus):
            needle = "accelerators" if "accelerators" in text else "instance_type"
            note = "its task asks for accelerators"
            add_gpus(facts, spot_of(path, text, f"{needle}:"), firm, note, [g for g in gpus if g])
        add_cores(facts, str(resources.get("cpus")), spot_of(path, text, "cpus:"), firm)
        memory, disk = str(resources.get("memory")).rstrip("+"), str(resources.get("disk_size"))
        for what, size, weight in (("memory", memory, firm), ("disk_size", disk, _DISK * firm)):
            size = f"{size}g" if size.replace(".", "").isdecimal() else size
            spot = spot_of(path, text, f"{what}:")
            if what == "memory":
                add_size(facts, "ram", size, spot, weight)
            else:
                add_size(facts, "disk", size, spot, weight, "recommended")
        if 1 < (nodes := cores_of(task.get("num_nodes"))) <= 1000:
            facts.amounts.append(Amount("nodes", nodes, "minimum", firm, spot_of(path, text, "num_nodes:")))
        image = str(resources.get("image_id") or "")
        if image.startswith("docker:"):
            spot = spot_of(path, text, image)
            add_image(parse_image(image.removeprefix("docker:")), spot, 0.5 * firm, facts, "its task's image")
        _commands(task.get("setup"), path, text, firm, facts)
        _commands(task.get("run"), path, text, firm, facts)


def read_dstack(path: str, text: str, facts: Facts) -> None:
    """Read a configuration of dstack: GPUs by name, memory and number, each perhaps a range."""
    firm = firmness(path)
    whole = yaml_table(path, text, facts) if firm else {}
    resources = merged(whole.get("resources"))
    asked, spot = resources.get("gpu"), spot_of(path, text, "gpu:")
    if isinstance(asked, dict):
        wanted = merged(asked)
        memory = re.match(r"\d{1,3}", str(wanted.get("memory") or ""))
        count = cores_of(str(wanted.get("count") or "").partition("..")[0]) or None
        names = _options(wanted.get("name"), count) or [Gpus(count=count)]
        options = [Gpus(g.model, g.count, float(memory[0]) if memory else g.memory_gb) for g in names]
        add_gpus(facts, spot, firm, "its run asks for GPUs", options)
    elif options := _options(asked):
        add_gpus(facts, spot, firm, "its run asks for GPUs", options)
    add_cores(facts, str(resources.get("cpu")).partition("..")[0], spot_of(path, text, "cpu:"), firm)
    for key in ("memory", "disk"):
        size = resources.get(key)
        size = merged(size).get("size") if isinstance(size, dict) else size
        least, place = str(size).partition("..")[0], spot_of(path, text, f"{key}:")
        add_size(facts, "ram" if key == "memory" else "disk", least, place, firm)
    if 1 < (nodes := cores_of(whole.get("nodes"))) <= 1000:
        facts.amounts.append(Amount("nodes", nodes, "minimum", firm, spot_of(path, text, "nodes:")))
    if isinstance(image := whole.get("image"), str):
        add_image(parse_image(image), spot_of(path, text, image), 0.5 * firm, facts, "its run's image")
    _python_of_dstack(whole.get("python"), path, text, facts)
    _commands(whole.get("commands"), path, text, firm, facts)


def _python_of_dstack(value: object, path: str, text: str, facts: Facts) -> None:
    if value is not None and (allowed := python_specifier(str(value))):
        facts.pythons.append(PythonSign(allowed, 1, spot_of(path, text, "python:"), "the environment's pin"))


def read_truss(path: str, text: str, facts: Facts) -> None:
    """Read the config.yaml of a Truss: accelerator, sizes, Python and packages."""
    firm = firmness(path)
    whole = yaml_table(path, text, facts) if firm else {}
    resources = merged(whole.get("resources"))
    if resources.get("accelerator") or resources.get("use_gpu") is True:
        spot = spot_of(path, text, "accelerator:" if resources.get("accelerator") else "use_gpu:")
        add_gpus(facts, spot, firm, "its model is served on a GPU", _options(resources.get("accelerator")))
    add_cores(facts, resources.get("cpu"), spot_of(path, text, "cpu:"), firm)
    add_size(facts, "ram", resources.get("memory"), spot_of(path, text, "memory:"), firm)
    _python(path, text, facts)
    _packages(strings(whole.get("requirements")), path, text, facts)


def read_bento(path: str, text: str, facts: Facts) -> None:
    """Read bentofile.yaml: the image's CUDA and Python, and packages."""
    firm = firmness(path)
    whole = yaml_table(path, text, facts) if firm else {}
    docker = merged(whole.get("docker"))
    if docker.get("cuda_version"):
        add_gpus(facts, spot_of(path, text, "cuda_version:"), firm, "its image is built with CUDA", (), "nvidia")
        _cuda(docker["cuda_version"], path, text, firm, facts)
    if isinstance(image := docker.get("base_image"), str):
        add_image(parse_image(image), spot_of(path, text, image), firm, facts, "its service's base image")
    _python(path, text, facts)
    _packages(strings(merged(whole.get("python")).get("packages")), path, text, facts)


def read_determined(path: str, text: str, facts: Facts) -> None:
    """Read an experiment of Determined: its slots are GPUs unless its image is one for CPUs."""
    firm = firmness(path)
    whole = yaml_table(path, text, facts) if firm else {}
    resources = merged(whole.get("resources"))
    slots = cores_of(resources.get("slots_per_trial") or resources.get("slots"))
    if slots:
        spot = spot_of(path, text, "slots")
        add_gpus(facts, spot, 0.8 * firm, "its trials take slots", [Gpus(count=slots)])
    image = merged(whole.get("environment")).get("image")
    for name in strings([image] if isinstance(image, str) else list(merged(image).values())):
        add_image(parse_image(name), spot_of(path, text, name), 0.5 * firm, facts, "its trials' image")


def read_launcher(path: str, text: str, facts: Facts) -> None:
    """Read settings of accelerate and Lightning: on how many devices their authors ran, which is no need."""
    firm = firmness(path)
    whole = yaml_table(path, text, facts) if firm else {}
    trainer = merged(whole.get("trainer"))
    on_cpu = whole.get("use_cpu") is True or "CPU" in str(whole.get("distributed_type"))
    devices, spot = 0.0, None
    if "distributed_type" in whole and not on_cpu and "TPU" not in str(whole["distributed_type"]):
        devices, spot = cores_of(whole.get("num_processes")), spot_of(path, text, "distributed_type")
    elif str(trainer.get("accelerator")) in ("gpu", "cuda") or cores_of(trainer.get("gpus")):
        devices = cores_of(trainer.get("devices") or trainer.get("gpus"))
        spot = spot_of(path, text, "accelerator" if "accelerator" in trainer else "gpus")
    if spot is not None:
        facts.gpu.append(GpuSign("command", 1.0 * firm, None, spot, "its launcher is set to GPUs"))
        if devices > 1:
            facts.amounts.append(Amount("gpus", devices, "tested", _WEAK * firm, spot))


def read_app(path: str, text: str, facts: Facts) -> None:
    """Read fly.toml and cerebrium.toml: GPU and sizes of the machine."""
    firm = firmness(path)
    whole = toml_table(path, text, facts) if firm else {}
    machines = [merged(vm) for vm in items(whole, "vm")] + [merged(table(whole, "cerebrium", "hardware"))]
    for machine in machines:
        model = machine.get("gpu_kind") or machine.get("gpu") or machine.get("compute")
        count = cores_of(machine.get("gpus") or machine.get("gpu_count")) or None
        if isinstance(model, str) and identify(model) is not None:
            add_gpus(facts, spot_of(path, text, model), firm, "its machine has a GPU", [parse_gpus(model, count)])
        add_cores(facts, machine.get("cpus") or machine.get("cpu"), spot_of(path, text, "cpu"), firm)
        memory = str(machine.get("memory"))
        size = f"{memory}g" if memory.replace(".", "").isdecimal() and float(memory) < 2048 else memory
        add_size(facts, "ram", size, spot_of(path, text, "memory"), firm)


def read_cloud(path: str, text: str, facts: Facts) -> None:
    """Read the machine types and accelerators that any other manifest of a cloud names."""
    firm = firmness(path)
    ahead: list[Any] = list(yaml_tables(path, text, facts)) if firm else []
    seen, found = set[int](), list[tuple[Gpus, str]]()
    while ahead and len(seen) < _MOST_NODES:
        node = ahead.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, list):
            ahead += node
        elif isinstance(node, dict):
            mapping = merged(node)
            ahead += mapping.values()
            for key, value in mapping.items():
                if isinstance(key, str) and isinstance(value, str) and _INSTANCE_KEY.fullmatch(key[:40]):
                    if gpus := gpus_of_instance(value.removeprefix("ml.")):
                        found.append((gpus, value))
                    elif "ccelerator" in key and identify(value) is not None:
                        number = mapping.get("acceleratorCount") or mapping.get("accelerator_count")
                        found.append((parse_gpus(value, cores_of(number) or None), value))
    if found:
        gpus, needle = max(found, key=lambda row: row[0].count or 1)
        add_gpus(facts, spot_of(path, text, needle), firm, "its machine has GPUs", [gpus])
