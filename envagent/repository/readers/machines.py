"""Descriptions of machines: Vagrant files, CloudLab profiles, batch scripts.

Owns: the sizes and systems they ask for. Must not: treat them as more than one way to run the job.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Amount, Facts, GpuSign, Spot, SystemSign, quote, spot_of
from envagent.repository.knowledge import table
from envagent.repository.quantities import gigabytes
from envagent.repository.readers.scopes import scope_of

_MEMORY = re.compile(r"\.memory\s*=\s*[\"']?(\d{3,6})")
_CPUS = re.compile(r"\.cpus\s*=\s*[\"']?(\d{1,3})")
_BOX = re.compile(
    r"\.box\s*=\s*[\"'](?:ubuntu|bento|generic)/(?:ubuntu-?)?(trusty|xenial|bionic|focal|jammy|noble|\d\d\.?04)"
)
_CLOUDLAB = re.compile(r"UBUNTU(\d\d)(?:-\d+)?-64")
_BATCH = re.compile(r"^#(?:SBATCH|PBS)\s+(.*)", re.MULTILINE)


def read(path: str, text: str, facts: Facts) -> None:
    """Read the file according to its kind."""
    name = path.rsplit("/", 1)[-1].lower()
    if name == "vagrantfile":
        _vagrant(path, text, facts)
    elif name == "profile.py":
        if found := _CLOUDLAB.search(text):
            facts.systems.append(SystemSign("ubuntu", (f"{found[1]}.04",), False, 1.5, spot_of(path, text, found[0])))
    else:
        _batch(path, text, facts)


def _vagrant(path: str, text: str, facts: Facts) -> None:
    if found := _MEMORY.search(text):
        spot = spot_of(path, text, found[0])
        facts.amounts.append(Amount("ram", round(int(found[1]) / 1024, 1), "recommended", 0.4, spot))
    if found := _CPUS.search(text):
        facts.amounts.append(Amount("cores", int(found[1]), "recommended", 0.4, spot_of(path, text, found[0])))
    if found := _BOX.search(text):
        version = table("machines")["codenames"].get(found[1], f"{found[1][:2]}.04")
        facts.systems.append(SystemSign("ubuntu", (version,), False, 0.5, spot_of(path, text, found[0])))


def _batch(path: str, text: str, facts: Facts) -> None:
    scope = scope_of(path)
    if scope not in ("main", "component"):
        return
    for found in _BATCH.finditer(text):
        option = found[1].partition("#")[0]
        spot = Spot(path, text.count("\n", 0, found.start()) + 1, quote(found[0]))
        if re.search(r"--gres=gpu|--gpus|ngpus", option, re.IGNORECASE):
            facts.gpu.append(GpuSign("command", 1.0, None, spot, "its batch script asks for a GPU"))
        elif (memory := re.search(r"--mem[= ](\S+)", option)) and (
            size := gigabytes(memory[1] + ("B" if memory[1][-1:] in "GgMm" else ""))
        ):
            facts.amounts.append(Amount("ram", size, "tested", 0.5, spot))
        elif cores := re.search(r"--cpus-per-task[= ](\d+)", option):
            facts.amounts.append(Amount("cores", int(cores[1]), "tested", 0.4, spot))
