"""Workflows in Nextflow, Snakemake, WDL and CWL: the largest of what their processes ask for.

Owns: the resources of processes, and that a process's own environment does not speak for the machine. Must not:
evaluate a workflow; of an expression its numbers count.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from envagent.repository.facts import Amount, CudaSign, Facts, GpuSign, Measure, Spot, Stance, quote, spot_of
from envagent.repository.readers import conda, dockerfiles
from envagent.repository.readers.parsing import items, table, yaml_table
from envagent.repository.readers.scopes import scope_of

_MAX_LINE = 1000
_SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s?\.?\s?([KMGT])i?B?\b", re.IGNORECASE)
_GB_OF = {"K": 1 / 1024 / 1024, "M": 1 / 1024, "G": 1.0, "T": 1024.0}
_NUMBER = re.compile(r"(?<![\w.])(\d{1,9})(?![\w.]|\s*if\b)")
_MOST_CORES = 256
# A process's own share; the least machine runs several of them.
_LEAST_GB = 4.0
# What asks for more is written with the largest machine of a cluster in mind.
_OF_ORDINARY_MACHINES = 256


@dataclass
class _Largest:
    """The most that the processes of one file ask for, each with its line."""

    path: str
    lines: list[str] = field(default_factory=list)
    found: dict[Measure, tuple[float, int | None, float, Stance]] = field(default_factory=dict)

    def add(self, what: Measure, value: float, line: int | None, weight: float, stance: Stance = "recommended") -> None:
        """Keep the amount if it is the largest of the heaviest."""
        before = self.found.get(what)
        if value > 0 and (before is None or (weight, value) > (before[2], before[0])):
            self.found[what] = value, line, weight, stance

    def append_to(self, facts: Facts, factor: float) -> None:
        """Append what was kept."""
        for what, (value, line, weight, stance) in self.found.items():
            if (what == "cores" and not 1 < value <= _MOST_CORES) or (what == "ram" and value < _LEAST_GB):
                continue
            if what == "ram" and value > _OF_ORDINARY_MACHINES:
                stance = "mentioned"
            facts.amounts.append(Amount(what, round(value, 1), stance, weight * factor, self.spot(line)))
        if gpus := self.found.get("gpus"):
            note = "a process of its workflow asks for a GPU"
            facts.gpu.append(GpuSign("command", 2.4 * factor, None, self.spot(gpus[1]), note))

    def spot(self, line: int | None) -> Spot:
        """Return the place of a line."""
        return Spot(self.path, line, quote(self.lines[line - 1] if line and self.lines else self.path))


def _factor(path: str) -> float:
    return {"main": 1.0, "component": 1.0, "optional": 0.5, "documented": 0.5}.get(scope_of(path) or "", 0.1)


def _gigabytes(text: str) -> float:
    found = _SIZE.search(text)
    return float(found[1]) * _GB_OF[found[2].upper()] if found else 0.0


def _from_megabytes(number: float) -> float:
    return number / (1024 if number % 1024 == 0 else 1000)


def _most(text: str) -> int:
    """Return the largest number in an expression; a plain product is multiplied."""
    numbers = [int(number) for number in _NUMBER.findall(text)]
    if re.fullmatch(r"[\d\s*]{1,40}", text) and len(numbers) > 1:
        product = 1
        for number in numbers:
            product *= number
        return product
    return max(numbers, default=0)


# Nextflow

_ASSIGNED = re.compile(
    r"(?<![\w.-])(?:process\.)?(memory|cpus|accelerator|containerOptions)\s{0,20}([=:]?)\s{0,20}([^;\n]{1,200})"
)
_OF_CONVENTION = re.compile(r"with(?:Label|Name)\s{0,5}:\s{0,5}['\"]?process_(\w{1,20})")
_ONLY_WHERE = re.compile(r"\?|\bif\b|params\.\w*gpu|profile", re.IGNORECASE)
_USUAL_PROFILES = ("standard", "local", "docker", "singularity", "apptainer", "conda")
# Labels of nf-core's template are there whether a process has them or not.
_CONVENTION = 0.3


def read_nextflow(path: str, text: str, facts: Facts) -> None:
    """Read the directives of processes and the settings for them."""
    script = path.endswith(".nf")
    largest = _Largest(path, text.split("\n"))
    template = _OF_CONVENTION.search(text) is not None
    for number, line, blocks in _blocks(largest.lines):
        if any(block.startswith("params") for block in blocks) or not _in_use(blocks):
            continue
        conditional = any(block.startswith(("if", "else")) for block in blocks)
        label = next((found[1] for block in blocks if (found := _OF_CONVENTION.match(block))), "")
        for what, sign, value in _ASSIGNED.findall(line):
            if bool(sign) is script:
                continue
            own = any(block.startswith(("withName", "withLabel")) for block in blocks) and not label
            weight = _CONVENTION if template and not own else 1.2
            if what == "memory" and label != "high_memory":
                largest.add("ram", _gigabytes(value), number, weight)
            elif what == "cpus":
                largest.add("cores", _most(value), number, weight)
            elif what == "accelerator" and (conditional or _ONLY_WHERE.search(value)):
                spot = largest.spot(number)
                facts.gpu.append(GpuSign("optional", -0.3, None, spot, "its workflow uses GPUs where asked to"))
            elif what == "accelerator" or (what == "containerOptions" and _runs_on_gpu(value)):
                largest.add("gpus", max(1, _most(value)), number, 0.8)
    largest.append_to(facts, _factor(path))


def _runs_on_gpu(value: str) -> bool:
    return re.search(r"--gpus|--nv\b|--rocm\b", value) is not None and "?" not in value


def _in_use(blocks: list[str]) -> bool:
    """Return whether the settings hold unless a profile is asked for."""
    if "profiles" not in blocks:
        return True
    inner = blocks[blocks.index("profiles") + 1 :]
    return bool(inner) and inner[0] in _USUAL_PROFILES


def _blocks(lines: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number and text of each line without comments, and the heads of the blocks that it stands in."""
    stack: list[str] = []
    comment = False
    for number, whole in enumerate(lines, 1):
        line = whole[:_MAX_LINE]
        if comment:
            _, ended, line = line.partition("*/")
            comment = not ended
        line = re.sub(r"(?<!:)//.*", "", line)
        line, begun, rest = line.partition("/*")
        if begun:
            comment = "*/" not in rest
        heads = [*stack, *(head.strip() for head in line.split("{")[:-1])]
        yield number, line, heads
        for part in re.finditer(r"([^{}]*)([{}])", line):
            if part[2] == "{":
                stack.append(part[1].strip())
            elif stack:
                stack.pop()


# Snakemake

_RESOURCE = re.compile(
    r"(?<![\w.-])(mem_mb|mem_mib|mem_gb|memory_gb|mem|memory|disk_mb|disk_mib|disk_gb|gpus?|nvidia_gpu|ngpus?|threads)"
    r"[\"']?\s{0,5}[=:]\s{0,5}(?=([^#\n]{1,200}))"
)
_CONDA = re.compile(r"^[ \t]{1,20}conda:\s{0,200}[\"']([^\"'\n]{1,200})[\"']", re.MULTILINE)


def read_snakemake(path: str, text: str, facts: Facts) -> None:
    """Read the resources of rules, or those that a profile sets for them."""
    largest = _Largest(path, text.split("\n"))
    for number, line in enumerate(largest.lines, 1):
        for name, rest in _RESOURCE.findall(line[:_MAX_LINE].partition("#")[0]):
            value = rest if rest.startswith("lambda") else rest.split(",", 1)[0].strip()
            amount = _most(value)
            if name in ("mem", "memory"):
                largest.add("ram", _gigabytes(value) or _from_megabytes(amount), number, 1.2)
            elif name.startswith("mem"):
                largest.add("ram", amount if "gb" in name else _from_megabytes(amount), number, 1.2)
            elif name.startswith("disk"):
                largest.add("disk", amount if "gb" in name else _from_megabytes(amount), number, 0.8)
            elif name == "threads":
                # Where a machine has fewer cores, a rule gets what there is.
                largest.add("cores", amount, number, 0.6, "tested")
            elif not re.search(r"\bif\b|config", value):
                largest.add("gpus", amount, number, 0.8)
    largest.append_to(facts, _factor(path))
    for environment in _CONDA.findall(text):
        _for_a_process(posixpath.normpath(posixpath.join(posixpath.dirname(path), environment)), facts)


def read_environment(path: str, text: str, facts: Facts) -> None:
    """Read a conda environment that one process installs for itself."""
    conda.read(path, text, facts)
    _for_a_process(path, facts)


def read_container(path: str, text: str, facts: Facts) -> None:
    """Read the container of one process."""
    dockerfiles.read_dockerfile(path, text, facts)
    _for_a_process(path, facts)


def _for_a_process(path: str, facts: Facts) -> None:
    """Keep of an environment only that the packages occur: its Python is not the machine's."""
    facts.pythons = [sign for sign in facts.pythons if sign.spot.path != path]
    facts.packages = [
        replace(p, scope="optional") if p.spot.path == path and p.scope != "development" else p for p in facts.packages
    ]


# WDL

_RUNTIME = re.compile(
    r"^\s{0,40}(memory|cpu|gpuCount|gpu|acceleratorCount|disks|gpuType)\s{0,5}:\s{0,5}([^\n#]{1,200})", re.MULTILINE
)
_DECLARED = re.compile(
    r"(?:^|\{)[ \t]{0,40}(?:Int|Float|String)\??[ \t]{1,5}(\w{1,60})[ \t]{0,5}=[ \t]{0,5}\"?([\w. ]{1,40})",
    re.MULTILINE,
)
_VARIABLE = re.compile(r"[~$]\{(\w{1,60})\}|\b([a-zA-Z]\w{0,60})\b(?=\s*(?:\+|$))")


def read_wdl(path: str, text: str, facts: Facts) -> None:
    """Read the runtime sections of tasks; a variable stands for its default."""
    defaults = {name: value.strip() for name, value in _DECLARED.findall(text)}
    largest = _Largest(path, text.split("\n"))
    for found in _RUNTIME.finditer(text):
        number = text.count("\n", 0, found.start(1)) + 1
        value = _VARIABLE.sub(lambda m: defaults.get(m[1] or m[2], m[0]), found[2].strip())
        value = " ".join(re.sub(r"[\"'+]", " ", value).split())
        if found[1] == "memory":
            largest.add("ram", _gigabytes(value), number, 1.2)
        elif found[1] == "cpu":
            largest.add("cores", _most(value), number, 1.0)
        elif found[1] == "disks":
            largest.add("disk", _most(value), number, 0.8)
        elif found[1] in ("gpuCount", "acceleratorCount"):
            largest.add("gpus", _most(value), number, 0.8)
        elif value.lower() not in ("false", "0"):
            largest.add("gpus", 1, number, 0.6)
    largest.append_to(facts, _factor(path))


# CWL


def read_cwl(path: str, text: str, facts: Facts) -> None:
    """Read the resource requirements of tools and steps."""
    document = yaml_table(path, text, facts)
    graph = [part for part in items(document, "$graph") if isinstance(part, dict)]
    for part in [document, *graph][:200]:
        for kind, weight in (("requirements", 1.2), ("hints", 0.8)):
            for name, wanted in _requirements(part, kind):
                _requirement(name, wanted, weight * _factor(path), path, text, facts)


def _requirements(part: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield class and content of each requirement, in either of the two forms."""
    yield from ((name, wanted) for name, wanted in table(part, kind).items() if isinstance(wanted, dict))
    for wanted in items(part, kind):
        if isinstance(wanted, dict) and isinstance(wanted.get("class"), str):
            yield wanted["class"], wanted


def _requirement(name: str, wanted: dict[str, Any], weight: float, path: str, text: str, facts: Facts) -> None:
    name = name.rpartition(":")[2]
    if name == "ResourceRequirement":
        measures: tuple[tuple[Measure, str, float], ...] = (
            ("ram", "ramMin", 1024),
            ("cores", "coresMin", 1),
            ("disk", "tmpdirMin", 1024),
        )
        for what, key, unit in measures:
            value = wanted.get(key)
            if isinstance(value, int | float) and value / unit >= 1:
                spot = spot_of(path, text, key, f"{value}")
                facts.amounts.append(Amount(what, round(value / unit, 1), "recommended", weight, spot))
    elif name == "CUDARequirement":
        spot = spot_of(path, text, "CUDARequirement")
        facts.gpu.append(GpuSign("command", 2.4 * weight, "nvidia", spot, "a tool of its workflow needs CUDA"))
        version = wanted.get("cudaVersionMin")
        if re.fullmatch(r"\d{1,2}\.\d{1,2}", str(version)):
            facts.cuda.append(CudaSign(f">={version}", weight, spot))
