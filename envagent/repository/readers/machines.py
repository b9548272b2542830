"""Descriptions of machines: CloudLab profiles, virtual machines of Vagrant, Terraform and Packer, inventories.

Owns: the sizes and systems that they ask for. Must not: treat them as more than one way to run the job, nor the system
of a virtual machine as its host's.
"""

from __future__ import annotations

import re
from itertools import islice

from envagent.catalog.hardware import Gpu
from envagent.repository import instances
from envagent.repository.facts import Amount, Facts, GpuSign, SpecialSign, Spot, SystemSign, quote, spot_of
from envagent.repository.readers import chameleon
from envagent.repository.readers.scopes import scope_of

# `v.memory = 4096`, `"--memory", "4096"`, `:memory => 4096`, `memory: 4096`
_MEMORY = re.compile(r"\bmemory[\"']?\s{0,9}(?:=>?|,|:)\s{0,9}[\"']?(\d{3,6})\b", re.IGNORECASE)
_CPUS = re.compile(r"\bcpus[\"']?\s{0,9}(?:=>?|,|:)\s{0,9}[\"']?(\d{1,3})\b", re.IGNORECASE)
_DISK = re.compile(r"\bdisksize\.size\s{0,9}=\s{0,9}[\"'](\d{1,4})GB", re.IGNORECASE)
_CLOUDLAB_IMAGE = re.compile(r"UBUNTU(\d\d)(?:-\d+)?-64", re.IGNORECASE)
_HARDWARE = re.compile(r"hardware_type\s{0,9}=\s{0,9}[\"']([\w-]{2,20})[\"']")
_OF_TESTBEDS = re.compile(r"[\"']([a-z]{1,8}\d{3,4}[\w-]{0,6}|nvidiagh)[\"']", re.IGNORECASE)
_NODE = re.compile(r"\b\w{1,40}\.(RawPC|XenVM|DockerContainer)\(")
_PARAMETER = re.compile(
    r"defineParameter\(\s{0,20}[\"'][\w-]{0,20}(?:num|count|nodes)[\w-]{0,20}[\"'],[^)]{0,200}?INTEGER,\s{0,20}(\d{1,3})",
    re.IGNORECASE,
)
_HOST = re.compile(r"^(?!\[|#|;)[\w.-]{2,60}(?:\s+ansible_\w+=.{0,200})?$", re.MULTILINE)
_MAX_TYPES = 20
# Beside the virtual machine the host runs itself.
_OF_THE_HOST_GB = 2.0


def read_vagrant(path: str, text: str, facts: Facts) -> None:
    """Read the size of the virtual machine, which its host must exceed."""
    scope = scope_of(path)
    if scope is None:
        return
    weight = 0.2 if scope == "development" else 0.7
    if found := max(_MEMORY.finditer(text), key=lambda one: int(one[1]), default=None):
        size = round(int(found[1]) / 1024 + _OF_THE_HOST_GB, 1)
        facts.amounts.append(Amount("ram", size, "recommended", weight, _spot(path, text, found)))
    if found := max(_CPUS.finditer(text), key=lambda one: int(one[1]), default=None):
        facts.amounts.append(Amount("cores", int(found[1]), "recommended", weight, _spot(path, text, found)))
    if found := _DISK.search(text):
        facts.amounts.append(Amount("disk", int(found[1]), "recommended", weight, _spot(path, text, found)))


def read_profile(path: str, text: str, facts: Facts) -> None:
    """Read the nodes of a CloudLab profile: their type, image and number."""
    if "geni" not in text and not _CLOUDLAB_IMAGE.search(text):
        return
    if found := _CLOUDLAB_IMAGE.search(text):
        facts.systems.append(SystemSign("ubuntu", (f"{found[1]}.04",), False, 2.0, _spot(path, text, found)))
    named = [found for pattern in (_HARDWARE, _OF_TESTBEDS) for found in pattern.finditer(text)][:_MAX_TYPES]
    types = {node.name: (node, found) for found in named if (node := instances.node_of_testbed(found[1]))}
    # Of several types any one will do, so only what all of them have counts.
    if types and all(node.gpu for node, _ in types.values()):
        node, found = min(types.values(), key=lambda row: row[0].gpu.memory_gb or 0 if row[0].gpu else 0)
        _gpu(node.gpu, 2.0, _spot(path, text, found), f"its profile runs on {node.name} of {node.place}", facts)
    if types and all(node.architecture == "aarch64" for node, _ in types.values()):
        facts.specials.append(SpecialSign("aarch64", 1.5, _spot(path, text, next(iter(types.values()))[1])))
    if types:
        node, found = min(types.values(), key=lambda row: row[0].cores)
        facts.amounts.append(Amount("cores", node.cores, "mentioned", 0.5, _spot(path, text, found)))
        facts.amounts.append(Amount("ram", node.ram_gb, "mentioned", 0.5, _spot(path, text, found)))
    number = _PARAMETER.search(text)
    count = int(number[1]) if number else len(_NODE.findall(text))
    if count > 1:
        spot = _spot(path, text, number) if number else spot_of(path, text, "RawPC(")
        facts.amounts.append(Amount("nodes", count, "tested", 1.0, spot))


def read_cloud(path: str, text: str, facts: Facts) -> None:
    """Read the instance types of Terraform and Packer: what the job is run on, rather than what it needs."""
    scope = scope_of(path)
    if scope is None:
        return
    chameleon.read(path, text, facts)
    factor = {"main": 1.0, "component": 0.7}.get(scope, 0.2)
    code = "\n".join("" if line.lstrip().startswith(("#", "//")) else line for line in text.split("\n"))
    found = list(islice(instances.clouds_in(code), _MAX_TYPES))
    if not found:
        return
    # With a choice of types, the least one is enough.
    with_gpu = [(one, at) for one, at in found if one.gpu]
    one, at = min(with_gpu or found, key=lambda row: row[0].ram_gb)
    line = code.count("\n", 0, at)
    spot = Spot(path, line + 1, quote(text.split("\n")[line]))
    if one.gpu and len(with_gpu) == len(found):
        _gpu(one.gpu, 2.0 * factor, spot, f"it is deployed on {one.name} of {one.place}", facts)
    facts.amounts.append(Amount("cores", one.cores, "tested", 0.5 * factor, spot))
    facts.amounts.append(Amount("ram", one.ram_gb, "tested", 0.5 * factor, spot))


def read_inventory(path: str, text: str, facts: Facts) -> None:
    """Count the hosts of an Ansible inventory."""
    hosts = {found[0].split()[0] for found in _HOST.finditer(text)}
    if len(hosts) > 1 and "[" in text:
        facts.amounts.append(Amount("nodes", len(hosts), "mentioned", 0.5, spot_of(path, text, "[")))


def _gpu(gpu: Gpu | None, weight: float, spot: Spot, note: str, facts: Facts) -> None:
    if gpu is not None:
        facts.gpu.append(GpuSign("command", weight, gpu.vendor, spot, note))
        if gpu.memory_gb:
            facts.amounts.append(Amount("vram", gpu.memory_gb, "tested", 0.4 * weight, spot))


def _spot(path: str, text: str, found: re.Match[str]) -> Spot:
    line = text.count("\n", 0, found.start(1))
    return Spot(path, line + 1, quote(text.split("\n")[line]))
