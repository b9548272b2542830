"""Descriptions of machines: Vagrant files, CloudLab profiles.

Owns: the sizes and systems they ask for. Must not: treat them as more than one way to run the job.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Amount, Facts, SystemSign, spot_of
from envagent.repository.knowledge import table

_MEMORY = re.compile(r"\.memory\s*=\s*[\"']?(\d{3,6})")
_CPUS = re.compile(r"\.cpus\s*=\s*[\"']?(\d{1,3})")
_BOX = re.compile(
    r"\.box\s*=\s*[\"'](?:ubuntu|bento|generic)/(?:ubuntu-?)?(trusty|xenial|bionic|focal|jammy|noble|\d\d\.?04)"
)
_CLOUDLAB = re.compile(r"UBUNTU(\d\d)(?:-\d+)?-64")


def read(path: str, text: str, facts: Facts) -> None:
    """Read the file according to its kind."""
    name = path.rsplit("/", 1)[-1].lower()
    if name == "vagrantfile":
        _vagrant(path, text, facts)
    elif name == "profile.py" and (found := _CLOUDLAB.search(text)):
        facts.systems.append(SystemSign("ubuntu", (f"{found[1]}.04",), False, 1.5, spot_of(path, text, found[0])))


def _vagrant(path: str, text: str, facts: Facts) -> None:
    if found := _MEMORY.search(text):
        spot = spot_of(path, text, found[0])
        facts.amounts.append(Amount("ram", round(int(found[1]) / 1024, 1), "recommended", 0.4, spot))
    if found := _CPUS.search(text):
        facts.amounts.append(Amount("cores", int(found[1]), "recommended", 0.4, spot_of(path, text, found[0])))
    if found := _BOX.search(text):
        version = table("machines")["codenames"].get(found[1], f"{found[1][:2]}.04")
        facts.systems.append(SystemSign("ubuntu", (version,), False, 0.5, spot_of(path, text, found[0])))
