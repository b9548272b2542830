"""Dockerfiles, compose files and devcontainers.

Owns: what a container asks of its host: GPUs, CPUs, memory. Must not: take the distribution of a base image for a
requirement of the host.
"""

from __future__ import annotations

import io
import re
from typing import Any

from envagent.repository.facts import Amount, CudaSign, Facts, GpuSign, PythonSign, Scope, Spot, Vendor, quote, spot_of
from envagent.repository.quantities import gigabytes
from envagent.repository.readers.parsing import items, json_table, table, yaml_table
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import python_specifier, read_command
from envagent.repository.yamls import MERGE

_CUDA_TAG = re.compile(r"(?:cuda|cu)[:_-]?(\d{1,2}\.\d)")
_IMAGES: tuple[tuple[re.Pattern[str], float, Vendor], ...] = (
    (re.compile(r"nvcr\.io/nvidia/(?!cuda)"), 2.2, "nvidia"),
    (re.compile(r"(nvidia/cuda(gl)?|nvcr\.io/nvidia/cuda|nvidia/cudagl)\b"), 1.7, "nvidia"),
    (re.compile(r"pytorch/pytorch.*cuda|tensorflow/tensorflow.*gpu"), 2.0, "nvidia"),
    (re.compile(r"rapidsai/|nvidia/|deepspeed/|vllm/vllm-openai"), 2.0, "nvidia"),
    (re.compile(r"(^|/)rocm/|rocm"), 2.2, "amd"),
)
_FACTOR: dict[Scope, float] = {"main": 1.0, "component": 0.6, "documented": 0.4, "optional": 0.3, "development": 0.15}
_JSON_COMMENT = re.compile(r"(?<![:\"\w/])//[^\n]*|/\*.{0,2000}?\*/", re.DOTALL)
_MAX_VALUE = 2000
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


def read_dockerfile(path: str, text: str, facts: Facts) -> None:
    """Read the base images and commands of a Dockerfile."""
    from dockerfile_parse import DockerfileParser

    scope = scope_of(path)
    if scope is None:
        return
    # Only through a file object does the parser take text without touching the disk.
    parser = DockerfileParser(fileobj=io.BytesIO(text.encode("utf-8", errors="replace")))
    on_gpu = False
    for step in parser.structure:
        line, value = step["startline"] + 1, step["value"][:_MAX_VALUE]
        if step["instruction"] == "FROM":
            on_gpu = _image(value, scope, Spot(path, line, quote(f"FROM {value}")), facts)
        elif step["instruction"] == "RUN":
            # Packages installed into a GPU image are the same evidence as the image.
            inner: Scope = "optional" if on_gpu else "documented" if scope in ("main", "component") else scope
            read_command(path, line, value, facts, scope=inner, weight=0.4 * _FACTOR[scope])


def _image(value: str, scope: Scope, spot: Spot, facts: Facts) -> bool:
    """Record the base image; return whether it is a GPU image."""
    image = value.split(" AS ")[0].split(" as ")[0].strip().lower()
    for pattern, weight, vendor in _IMAGES:
        if pattern.search(image):
            facts.gpu.append(GpuSign("container", weight * _FACTOR[scope], vendor, spot, "its container's base image"))
            if cuda := _CUDA_TAG.search(image):
                facts.cuda.append(CudaSign(cuda[1], _FACTOR[scope], spot))
            return True
    if found := re.search(r"(?:^|/)python:(\d\.\d+)", image):
        facts.pythons.append(PythonSign(python_specifier(found[1]), 0, spot, "its container's Python"))
    return False


def read_compose(path: str, text: str, facts: Facts) -> None:
    """Read devices and resources that services reserve."""
    scope = scope_of(path)
    services = table(yaml_table(path, text, facts), "services")
    if scope is None:
        return
    for service in services.values():
        if isinstance(service, dict):
            _service({**table(service, MERGE), **service}, path, text, _FACTOR[scope], facts)


def _service(service: dict[str, Any], path: str, text: str, factor: float, facts: Facts) -> None:
    reserved = table(service, "deploy", "resources", "reservations")
    drivers = [d.get("driver") for d in items(reserved, "devices") if isinstance(d, dict) and _wants_gpu(d)]
    if drivers or service.get("runtime") == "nvidia" or service.get("gpus"):
        spot = spot_of(path, text, *(["runtime", "nvidia"] if service.get("runtime") == "nvidia" else ["gpu"]))
        vendor: Vendor | None = "nvidia" if "nvidia" in (*drivers, service.get("runtime")) else None
        if service.get("profiles"):
            # Services of a profile start only on request.
            facts.gpu.append(GpuSign("optional", -0.3, vendor, spot, "a service of an optional profile reserves a GPU"))
        else:
            facts.gpu.append(GpuSign("container", 2.0 * factor, vendor, spot, "its service reserves a GPU"))
    memory = reserved.get("memory")
    if isinstance(memory, str) and (size := gigabytes(memory)):
        facts.amounts.append(Amount("ram", size, "recommended", factor, spot_of(path, text, memory)))


def _wants_gpu(device: dict[str, Any]) -> bool:
    return any(isinstance(c, str) and c.lower() == "gpu" for c in items(device, "capabilities"))


def read_devcontainer(path: str, text: str, facts: Facts) -> None:
    """Read hostRequirements, which state exactly what this asks for."""
    plain = _TRAILING_COMMA.sub(r"\1", _JSON_COMMENT.sub("", text))
    wanted = table(json_table(path, plain, facts), "hostRequirements")
    if isinstance(wanted.get("cpus"), int):
        facts.amounts.append(Amount("cores", wanted["cpus"], "minimum", 1.0, spot_of(path, text, "cpus")))
    if size := gigabytes(str(wanted.get("memory", ""))):
        facts.amounts.append(Amount("ram", size, "minimum", 1.0, spot_of(path, text, "memory")))
    if size := gigabytes(str(wanted.get("storage", ""))):
        facts.amounts.append(Amount("disk", size, "minimum", 1.0, spot_of(path, text, "storage")))
    gpu, spot = wanted.get("gpu"), spot_of(path, text, "gpu")
    if gpu == "optional":
        facts.gpu.append(GpuSign("optional", -1.0, None, spot, "the development container calls it optional"))
    elif gpu:
        facts.gpu.append(GpuSign("container", 2.5, None, spot, "the development container requires it"))
