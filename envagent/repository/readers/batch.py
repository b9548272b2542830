"""Batch scripts of Slurm, PBS, Grid Engine, LSF, Flux and OAR: what a job asks its scheduler for.

Owns: the spellings of each scheduler, as the share of one machine; and which of several scripts speaks for the
repository. Must not: know what a machine has.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from envagent.catalog import gpus
from envagent.repository.facts import Amount, Facts, GpuSign, Measure, Scope, Spot, Stance, quote
from envagent.repository.readers.scopes import scope_of

# A second `#` or a blank after the first makes a comment of it.
_DIRECTIVE = re.compile(r"^#(SBATCH|PBS|BSUB|OAR|flux:|FLUX:|\$)[ \t]+([^\n]{1,1000})", re.MULTILINE)
_COMMAND = re.compile(r"(?:^|[;&|]|\bexec)[ \t$]{0,20}(sbatch|srun|salloc|qsub|bsub|oarsub|flux run)[ \t]+(.*)")
_MAX_DIRECTIVES = 200
_MAX_COMMAND = 1000
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_GB_OF = {"k": 1 / 1024 / 1024, "m": 1 / 1024, "g": 1.0, "t": 1024.0}
_GPU = re.compile(r"gpu\w{0,20}(?:[:/=]([a-z][\w.-]{0,40}))?(?:[:=](\d{1,3}))?", re.IGNORECASE)
_MODEL_AND_COUNT = re.compile(r"(?:([a-z][\w.-]{0,40}):)?(\d{1,3})", re.IGNORECASE)
_RESOURCE = re.compile(r"([a-z_]{1,30})[ ]?[=<>]{1,2}[ ]?[\"']?([\w.-]{1,40})", re.IGNORECASE)
_GPU_QUEUE = re.compile(r"gpu|cuda|\b[avhpk]\d{2,3}\b", re.IGNORECASE)
# More are never in one machine, so they stand for several machines.
_MOST_GPUS = 16
_USUAL_GPUS = 8
_MOST_CORES = 256
# With more of them a job takes its share of a cluster's node, whether it has work for them or not.
_CORES_OF_A_GPU = 16
_DECIDES = 3.0
_OUTVOTED = 0.2
_FACTOR: dict[Scope, float] = {"main": 1.0, "component": 1.0, "development": 0.15}
# A cluster has more than a job takes, so only the number of GPUs and the sizes are taken for wishes of the job's own.
_TOLD: dict[Measure, tuple[Stance, float]] = {
    "gpus": ("recommended", 1.5),
    "vram": ("tested", 0.8),
    "ram": ("recommended", 1.2),
    "cores": ("recommended", 1.2),
    "nodes": ("tested", 0.5),
}
# The options that say it, the most direct first.
_ABOUT: dict[Measure, tuple[str, ...]] = {
    "gpus": (
        *("gpus-per-node", "gres", "gpus", "G", "gpus-per-task", "tres-per-task", "tres-per-node", "gpus-per-socket"),
        *("gpu", "g", "l", "R", "constraint", "C", "partition", "p", "q", "queue"),
    ),
    "vram": ("gres", "constraint", "C", "gpus", "G", "gpus-per-node", "gpus-per-task", "gpu", "p", "l"),
    "ram": ("mem", "mem-per-cpu", "mem-per-gpu", "l", "R"),
    "cores": ("cpus-per-task", "c", "cpus-per-gpu", "ntasks-per-node", "pe", "ntasks", "n", "cores-per-task", "l"),
    "nodes": ("nodes", "N", "nnodes", "R", "l"),
}
_TEXTS = (".md", ".rst", ".txt", ".ipynb", ".org", ".adoc")


@dataclass
class Job:
    """What a job asks of each of its machines."""

    gpus: int = 0
    counted: bool = True
    """Its number of GPUs is a number, no variable."""
    model: str = ""
    ram_gb: float = 0.0
    cores: int = 0
    nodes: int = 1
    gpu_queue: bool = False
    """Its queue or the kind of machine is named after GPUs."""

    def each(self, total: int) -> int:
        """Share a total among the machines."""
        return math.ceil(total / max(1, self.nodes))


Options = dict[str, tuple[str, int]]
"""Value and line of each option, by its name without dashes; repeated ones are joined by commas."""


def read(path: str, text: str, facts: Facts) -> None:
    """Read the directives of a batch script, or else the commands that submit one."""
    if scope_of(path) is None:
        return
    by_scheduler: dict[str, Options] = defaultdict(dict)
    for number, scheduler, words in _lines(text):
        options = by_scheduler[scheduler]
        for name, value in _options(words):
            before = options[name][0] + "," if name in options else ""
            options[name] = before + value, number
    lines = text.split("\n")
    for scheduler, options in by_scheduler.items():
        _append(_SCHEDULERS[scheduler](options), options, path, lines, _factor(path), facts)
    _elect(facts)


def read_command(path: str, line: int | None, text: str, facts: Facts, *, weight: float) -> None:
    """Read what a command such as `srun --gres=gpu:4` in a document asks for; scripts are read as a whole."""
    if path.endswith(_TEXTS) and (found := _COMMAND.search(text[:_MAX_COMMAND])):
        options: Options = {name: (value, 1) for name, value in _options(_words(found[2]))}
        job = _SCHEDULERS[_SUBMITS[found[1]]](options)
        _append(job, options, path, [text], weight, facts, first_line=line)


def _lines(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line number, scheduler and words of what asks a scheduler for something."""
    directives = list(islice(_DIRECTIVE.finditer(text), _MAX_DIRECTIVES))
    for found in directives:
        yield text.count("\n", 0, found.start()) + 1, found[1].lower(), _words(found[2])
    if directives:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if (command := _COMMAND.search(line[:_MAX_COMMAND])) and not line.lstrip().startswith("#"):
            yield number, _SUBMITS[command[1]], _words(command[2])


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.partition(" #")[0].split()


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each option: `--name=value`, `--name value`, `-n value`, `-nvalue`."""
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        value = "" if following.startswith("-") else following
        if word.startswith("--"):
            name, separator, told = word[2:].partition("=")
            yield name, told if separator else value
        elif re.match(r"-[A-Za-z]", word):
            if word == "-pe":
                yield "pe", " ".join(words[position + 1 : position + 3])
            elif word in ("-gpu", "-nnodes"):
                yield word[1:], value
            elif len(word) > 2:
                yield word[1], word[2:].removeprefix("=")
            else:
                yield word[1], value


def _value(options: Options, *names: str) -> str:
    return next((options[name][0] for name in names if name in options), "")


def _number(options: Options, *names: str) -> int:
    """Return the first number of an option, 0 without one; of a range such as `2-4` the least."""
    found = re.match(r"\d{1,6}", _value(options, *names))
    return int(found[0]) if found else 0


def _gigabytes(text: str) -> float:
    """Parse a size as schedulers take it: MB unless it has a unit; people take 1000 of them for a GB."""
    found = _SIZE.match(text)
    if found is None:
        return 0.0
    number, unit = float(found[1]), found[2].lower() or "m"
    return number / 1000 if unit == "m" and number % 1024 else number * _GB_OF[unit]


def _gpus_of(text: str) -> tuple[int, str]:
    """Return count and model of `4`, `a100:4`, `gpu:4` or `gpu:a100:4`; a count left out or in a variable is 1."""
    if found := _GPU.search(text):
        return int(found[2] or 1), found[1] or ""
    found = _MODEL_AND_COUNT.fullmatch(text.split(",", 1)[0])
    return (int(found[2]), found[1] or "") if found else (1 if text else 0, "")


def _slurm(options: Options) -> Job:
    job = Job(nodes=_number(options, "nodes", "N") or 1)
    tasks = _number(options, "ntasks", "n")
    per_node = _number(options, "ntasks-per-node", "tasks-per-node") or job.each(tasks) or 1
    for names, factor in (
        (("gpus-per-node",), 1.0),
        (("gres", "tres-per-node"), 1.0),
        (("gpus-per-task", "tres-per-task"), per_node),
        (("gpus-per-socket",), _number(options, "sockets-per-node") or 1),
        (("gpus", "G"), 1 / job.nodes),
    ):
        told = _value(options, *names)
        # Generic resources are licenses and scratch disks too.
        if told and ("gpu" in told.lower() or names[0].startswith("gpus")):
            count, job.model = _gpus_of(told)
            job.gpus = math.ceil(count * factor)
            job.counted = "$" not in told
            break
    threads = _number(options, "cpus-per-task", "c") or 1
    by_gpu = _number(options, "cpus-per-gpu") * job.gpus
    if "cpus-per-task" in options or "c" in options or tasks > 1 or per_node > 1 or by_gpu:
        job.cores = by_gpu or threads * per_node
    job.ram_gb = (
        _gigabytes(_value(options, "mem"))
        or _gigabytes(_value(options, "mem-per-cpu")) * max(1, job.cores)
        or _gigabytes(_value(options, "mem-per-gpu")) * max(1, job.gpus)
    )
    wanted = _value(options, "constraint", "C")
    job.model = job.model or (wanted if gpus.identify(wanted) else "")
    job.gpu_queue = _GPU_QUEUE.search(f"{wanted} {_value(options, 'partition', 'p')}") is not None
    return job


def _pbs(options: Options) -> Job:
    asked = _value(options, "l", "select")
    first = asked.split("+", 1)[0]
    found = {name.lower(): value for name, value in re.findall(r"(\w{1,20})=([^:,+\s]{1,40})", first)}
    job = Job(nodes=_number({name: (value, 0) for name, value in found.items()}, "select", "nodes") or 1)
    job.gpus, job.model = _gpus_of(found.get("ngpus") or found.get("gpus") or "")
    job.model = job.model or found.get("gpu_type", "") or found.get("gpu_model", "")
    job.cores = int(found.get("ncpus") or found.get("ppn") or 0) if _numeric(found, "ncpus", "ppn") else 0
    in_all = "select" not in found and job.nodes > 1
    job.ram_gb = _gigabytes(found.get("mem", "")) / (job.nodes if in_all else 1)
    job.ram_gb = job.ram_gb or _gigabytes(found.get("pmem", "")) * max(1, job.cores)
    job.gpu_queue = _GPU_QUEUE.search(_value(options, "q")) is not None
    return job


def _numeric(found: dict[str, str], *names: str) -> bool:
    return all(found[name].isdecimal() for name in names if name in found)


def _grid_engine(options: Options) -> Job:
    job = Job()
    found = {name.lower(): value for name, value in _RESOURCE.findall(_value(options, "l"))}
    slots = re.search(r"\s(\d{1,4})", _value(options, "pe"))
    job.cores = int(slots[1]) if slots else 0
    for name, value in found.items():
        if name in ("gpu", "gpus", "ngpus", "num_gpu", "cuda", "gpu_card", "gpu_devices"):
            job.gpus = int(value) if value.isdecimal() else 1
        elif name in ("gpu_type", "gpu_model", "cuda_name"):
            job.model = value
        elif name in ("h_vmem", "mem_free", "m_mem_free", "mem_per_core", "s_vmem") and value[-1:].lower() in "kmgt":
            job.ram_gb = _gigabytes(value) * max(1, job.cores)
    job.gpu_queue = _GPU_QUEUE.search(_value(options, "q")) is not None
    return job


def _lsf(options: Options) -> Job:
    needs = _value(options, "R")
    job = Job(nodes=_number(options, "nnodes") or 1, cores=_number(options, "n"))
    on_each = re.search(r"span\s*\[\s*ptile\s*=\s*(\d{1,4})", needs)
    if on_each and job.cores and (slots := int(on_each[1])):
        job.nodes, job.cores = math.ceil(job.cores / slots), slots
    if count := re.search(r"num\s*=\s*(\d{1,3})", _value(options, "gpu")):
        job.gpus = int(count[1])
    elif _value(options, "gpu"):
        job.gpus = 1
    elif count := re.search(r"ngpus\w*\s*=\s*(\d{1,3})", needs):
        job.gpus = int(count[1])
    if model := re.search(r"gmodel\s*=\s*([\w-]{1,40})", _value(options, "gpu")):
        job.model = model[1]
    if memory := re.search(r"rusage\s*\[[^\]]{0,80}?mem\s*=\s*(\w{1,12})", needs):
        job.ram_gb = _gigabytes(memory[1])
    job.gpu_queue = _GPU_QUEUE.search(_value(options, "q")) is not None
    return job


def _flux(options: Options) -> Job:
    job = Job(nodes=_number(options, "nodes", "N") or 1)
    tasks = job.each(_number(options, "ntasks", "n")) or 1
    job.gpus = _number(options, "gpus-per-node") or tasks * _number(options, "gpus-per-task", "g")
    job.cores = tasks * _number(options, "cores-per-task", "c")
    job.gpu_queue = _GPU_QUEUE.search(_value(options, "queue", "q")) is not None
    return job


def _oar(options: Options) -> Job:
    found = {name.lower(): value for name, value in _RESOURCE.findall(_value(options, "l"))}
    job = Job(nodes=max(1, *(int(found.get(name, "0")) for name in ("nodes", "host") if _numeric(found, name)), 0))
    job.gpus, _ = _gpus_of(found.get("gpu", "") or found.get("gpu_count", ""))
    job.cores = int(found.get("core", "0")) if _numeric(found, "core") else 0
    wanted = _value(options, "p")
    job.model = wanted if gpus.identify(wanted) else ""
    job.gpu_queue = _GPU_QUEUE.search(wanted) is not None
    return job


_SCHEDULERS: dict[str, Callable[[Options], Job]] = {
    "sbatch": _slurm,
    "pbs": _pbs,
    "$": _grid_engine,
    "bsub": _lsf,
    "flux:": _flux,
    "oar": _oar,
}
_SUBMITS = {
    "sbatch": "sbatch", "srun": "sbatch", "salloc": "sbatch", "qsub": "pbs", "bsub": "bsub", "oarsub": "oar",
    "flux run": "flux:",
}  # fmt: skip


def _append(
    job: Job,
    options: Options,
    path: str,
    lines: list[str],
    factor: float,
    facts: Facts,
    *,
    first_line: int | None = 1,
) -> None:
    """Append what the job asks for, each with the line that most likely says so."""

    def spot(what: Measure) -> Spot:
        first = min((number for _, number in options.values()), default=1)
        number = next((options[name][1] for name in _ABOUT[what] if name in options), first)
        return Spot(path, None if first_line is None else number + first_line - 1, quote(lines[number - 1]))

    if job.gpus > _MOST_GPUS and job.nodes == 1:
        job.nodes, job.gpus = math.ceil(job.gpus / _USUAL_GPUS), _USUAL_GPUS
    known = gpus.identify(job.model.replace("_", " ")) if job.model else None
    if job.gpus:
        note = (
            f"its batch job asks for {job.gpus} GPU{'s' if job.gpus > 1 else ''}"
            if job.counted
            else "its batch job asks for GPUs"
        )
        facts.gpu.append(GpuSign("command", _DECIDES * factor, known.vendor if known else None, spot("gpus"), note))
    elif job.gpu_queue:
        facts.gpu.append(GpuSign("command", factor, None, spot("gpus"), "its batch job runs in a queue for GPUs"))
    found: tuple[tuple[Measure, float, bool], ...] = (
        ("gpus", min(job.gpus, _MOST_GPUS), job.counted),
        ("vram", (known and known.memory_gb) or 0.0, job.gpus > 0 and known is not None),
        ("ram", round(job.ram_gb, 1), job.ram_gb >= 1),
        ("cores", job.cores, 1 < job.cores <= min(_MOST_CORES, _CORES_OF_A_GPU * (job.gpus or _MOST_CORES))),
        ("nodes", job.nodes, job.nodes > 1),
    )
    for what, value, told in found:
        if told and value:
            stance, weight = _TOLD[what]
            facts.amounts.append(Amount(what, value, stance, weight * factor, spot(what)))


def _elect(facts: Facts) -> None:
    """Let those scripts speak that ask for as many GPUs as most do, of as many the fewer; the others are wishes."""
    counts: dict[str, float] = {}
    for amount in facts.amounts:
        if _from_script(amount):
            counts[amount.spot.path] = amount.value if amount.what == "gpus" else counts.get(amount.spot.path, 0.0)
    votes = Counter(count for path, count in counts.items() if count and scope_of(path) != "development")
    if not votes:
        return
    elected = min(votes, key=lambda count: (-votes[count], count))
    for place, amount in enumerate(facts.amounts):
        if _from_script(amount):
            stance, weight = _TOLD[amount.what]
            weight *= _factor(amount.spot.path)
            outvoted = counts[amount.spot.path] not in (elected, 0.0)
            facts.amounts[place] = replace(
                amount,
                stance="mentioned" if outvoted else stance,
                weight=weight * _OUTVOTED if outvoted else weight,
            )


def _from_script(amount: Amount) -> bool:
    told = amount.spot.quote
    return not amount.spot.path.endswith(_TEXTS) and bool(_DIRECTIVE.match(told) or _COMMAND.search(told))


def _factor(path: str) -> float:
    return _FACTOR.get(scope_of(path) or "development", 0.6)
