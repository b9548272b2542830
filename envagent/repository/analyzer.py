"""Derive requirements from a snapshot by plain rules.

Owns the order: read every file into facts, survey the listing, conclude, size. Nothing from the repository is executed,
and a failing reader does not stop the analysis. Must not: hold rules of its own.
"""

from __future__ import annotations

from envagent.repository import also, languages
from envagent.repository.conclusions import amounts, gpu, python_version, sizing, systems
from envagent.repository.conclusions.evidence import evidence
from envagent.repository.facts import Facts
from envagent.repository.languages import Survey
from envagent.repository.readers import together
from envagent.repository.readers.registry import read_file
from envagent.repository.readers.scopes import is_readme, is_translation
from envagent.repository.results import Analysis, Requirements, Snapshot
from envagent.repository.workload import workload

_TOOLCHAINS = 5


def analyze(snapshot: Snapshot) -> Analysis:
    """Conclude what hardware the repository's main job needs, with evidence."""
    return conclude(snapshot, *gather(snapshot))


def gather(snapshot: Snapshot) -> tuple[Facts, Survey]:
    """Read every file into facts, and survey the listing."""
    facts = Facts(has_main_readme=any(is_readme(p) and not is_translation(p) for p in snapshot.files))
    for path, text in snapshot.files.items():
        read_file(path, text, facts)
    together.settle(snapshot.files, facts)
    also.read_into(snapshot, facts)
    survey = languages.survey(snapshot.entries)
    languages.read(snapshot.entries, survey, facts)
    return facts, survey


def conclude(snapshot: Snapshot, facts: Facts, survey: Survey) -> Analysis:
    """Conclude from facts, and size."""
    accelerator = gpu.conclude(facts)
    python = python_version.conclude(facts, python_share=survey.share("Python", "Jupyter"))
    ram, ram_evidence = amounts.conclude(facts, "ram", "ram_gb")
    disk, disk_evidence = amounts.conclude(facts, "disk", "disk_gb")
    cores, cores_evidence = amounts.conclude(facts, "cores", "cpu_cores")
    nodes, nodes_evidence = amounts.conclude(facts, "nodes", "node_count")
    os_type, os_version, system_evidence = systems.conclude_system(facts)
    special, architecture, special_evidence = systems.conclude_special(facts, gpu_vendor=accelerator.vendor)
    requirements = Requirements(
        cpu_cores=int(cores) if cores else None,
        ram_gb=ram,
        gpu_required=accelerator.required,
        gpu_optional=accelerator.optional,
        gpu_vendor=accelerator.vendor,
        gpu_count=accelerator.count,
        gpu_memory_gb=accelerator.memory_gb,
        compute_capability=accelerator.capability,
        cuda_required=accelerator.required and accelerator.vendor == "nvidia",
        cuda_version=accelerator.cuda_version,
        disk_gb=disk,
        os_type=os_type,
        os_version=os_version,
        architecture=architecture,
        python_version=python.version,
        python_allowed=python.allowed,
        special_requirements=special,
        node_count=int(nodes) if nodes and nodes > 1 else None,
    )
    analysis = Analysis(
        requirements=requirements,
        sizing=sizing.size(requirements, facts, survey),
        evidence=(
            *accelerator.evidence,
            *python.evidence,
            *ram_evidence,
            *disk_evidence,
            *cores_evidence,
            *(nodes_evidence if nodes and nodes > 1 else ()),
            *system_evidence,
            *special_evidence,
            *(evidence("toolchain", f"{t.name} {t.version}", t.spot, 1.0) for t in facts.toolchains[:_TOOLCHAINS]),
        ),
        assumptions=(*_unknown(requirements, snapshot), *python.assumptions, *systems.cpus_named(facts), *facts.notes),
        languages=survey.languages,
        workload=workload(facts.workload, requirements, empty=not snapshot.entries),
    )
    return also.with_places(analysis, snapshot)


def _unknown(requirements: Requirements, snapshot: Snapshot) -> list[str]:
    """Describe what no file documents, for the person who approves the plan."""
    if not snapshot.entries:
        return ["The repository is empty; assuming a small machine without a GPU."]
    if not snapshot.files and not snapshot.also:
        return ["No file says what it needs; sized by its languages alone."]
    fields = {
        "cores": requirements.cpu_cores,
        "RAM": requirements.ram_gb,
        "disk": requirements.disk_gb,
        "operating system": requirements.os_type,
        "GPU memory": requirements.gpu_memory_gb or not requirements.gpu_required,
    }
    missing = [name for name, value in fields.items() if not value]
    return [f"Defaults for what is not documented: {', '.join(missing)}."] if missing else []
