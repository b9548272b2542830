"""The front matter of a Hugging Face Space: its hardware and its Python.

Owns: telling a Space from a model card, whose front matter says nothing about machines. Must not: read the prose below.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, GpuSign, PythonSign, spot_of
from envagent.repository.knowledge import table
from envagent.repository.prose import document
from envagent.repository.readers.gpu_requests import add_gpus, parse_gpus
from envagent.repository.readers.parsing import yaml_table
from envagent.repository.readers.shell_commands import python_specifier

_FRONT_MATTER = re.compile(r"\s{0,20}---[ \t]*\n(.{0,8000}?)\n---[ \t]*(?:\n|$)", re.DOTALL)


def read_readme(path: str, text: str, facts: Facts) -> None:
    """Read a readme, and at the top of the repository the front matter of a Space."""
    if "/" not in path and (found := _FRONT_MATTER.match(text)):
        _front_matter(path, found[1], text, facts)
    document.read(path, text, facts)


def _front_matter(path: str, front_matter: str, text: str, facts: Facts) -> None:
    wanted = yaml_table(path, front_matter, facts)
    # Only a Space names an SDK.
    if not isinstance(wanted.get("sdk"), str):
        return
    allowed = python_specifier(str(wanted.get("python_version", "")))
    if allowed:
        spot = spot_of(path, text, "python_version")
        facts.pythons.append(PythonSign(allowed, 3, spot, "the Python of its Space"))
    hardware = str(wanted.get("suggested_hardware", "")).strip().lower()
    if not hardware:
        return
    spot = spot_of(path, text, "suggested_hardware")
    if row := table("spaces")["hardware"].get(hardware):
        model, count = row
        add_gpus(facts, spot, 1.0, "the hardware of its Space", [parse_gpus(model, float(count))])
    elif hardware.startswith("cpu"):
        facts.gpu.append(GpuSign("optional", -1.0, None, spot, "its Space runs without a GPU"))
