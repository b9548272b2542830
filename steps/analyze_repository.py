"""What the repository needs, with evidence."""

from __future__ import annotations

from envagent.engine.step import Output, Step, Stopped, stage
from envagent.environment.setup_plan import SetupPlan
from envagent.repository.results import Analysis, Requirements
from envagent.steps.initialize import Initialized
from envagent.steps.request import RunRequest
from envagent.steps.services import StepContext, record


class AnalyzedRepository(Output):
    """One commit and what it needs."""

    url: str
    commit: str | None
    analysis: Analysis
    by_rules: Analysis | None = None
    """What the rules alone conclude, if the AI changed it."""
    notes: tuple[str, ...] = ()
    """What was not read, and why."""
    setup: SetupPlan | None = None
    """How it is set up on the node, if the user wants that; None in runs of earlier versions."""

    def summary(self) -> str:
        """Say what the repository needs."""
        return describe(self.analysis.requirements)


class AnalyzeRepository(Step):
    """Fetch the repository, read the relevant files, decide the requirements.

    Reads: the repository and the documents given with it, untrusted; the AI, if there is one.
    Creates: nothing (a temporary folder that is removed afterwards).
    Owner mark: none.
    Undo: nothing to undo.
    """

    @stage
    def analyze(self, context: StepContext, request: RunRequest, initialized: Initialized) -> AnalyzedRepository:
        """Read the repository and conclude what it needs."""
        from envagent.environment.planner import plan_setup
        from envagent.repository.analyzer import analyze
        from envagent.repository.fetch import fetch
        from envagent.repository.git import Cancelled

        try:
            snapshot = fetch(request.repository, ref=request.ref, cancelled=context.stopping)
            snapshot = snapshot.with_documents(request.also)
        except Cancelled:
            raise Stopped from None
        for note in snapshot.notes:
            context.report(note)
        ours = analyze(snapshot)
        analysis, decision = context.services.advisor.requirements(snapshot, ours)
        record(context, decision)
        return AnalyzedRepository(
            url=snapshot.url,
            commit=snapshot.commit,
            analysis=analysis,
            by_rules=None if analysis.requirements == ours.requirements else ours,
            notes=snapshot.notes,
            setup=plan_setup(snapshot, ours),
        )


_NAMES = {
    "nvidia": "NVIDIA",
    "amd": "AMD",
    "intel": "Intel",
    "centos": "CentOS",
    "rhel": "RHEL",
    "opensuse": "openSUSE",
    "aarch64": "ARM64",
}


def describe(needs: Requirements) -> str:
    """Say in one line what a repository needs.

    >>> describe(Requirements(gpu_required=True, gpu_vendor="nvidia", gpu_memory_gb=16.0, python_version="3.11"))
    'NVIDIA GPU with 16 GB, Python 3.11'
    >>> describe(Requirements(gpu_optional=True, os_type="ubuntu", os_version="22.04"))
    'GPU optional, Ubuntu 22.04'
    """
    parts = []
    if needs.gpu_required:
        count = f"{needs.gpu_count} x " if (needs.gpu_count or 1) > 1 else ""
        vendor = f"{_NAMES[needs.gpu_vendor]} " if needs.gpu_vendor else ""
        parts.append(f"{count}{vendor}GPU" + (f" with {needs.gpu_memory_gb:g} GB" if needs.gpu_memory_gb else ""))
        if needs.compute_capability:
            parts.append(f"compute capability {needs.compute_capability}")
    elif needs.gpu_optional:
        parts.append("GPU optional")
    sizes = ((needs.cpu_cores, "CPU cores"), (needs.ram_gb, "GB RAM"), (needs.disk_gb, "GB disk"))
    parts += [f"{size:g} {unit}" for size, unit in sizes if size]
    if needs.os_type or needs.os_version:
        system = needs.os_type or "OS version"
        parts.append(f"{_NAMES.get(system, system[:1].upper() + system[1:])} {needs.os_version or ''}".rstrip())
    if needs.architecture:
        parts.append(_NAMES.get(needs.architecture, needs.architecture))
    if needs.cuda_required or needs.cuda_version:
        parts.append(f"CUDA {needs.cuda_version or ''}".rstrip())
    if needs.python_version:
        parts.append(f"Python {needs.python_version}")
    if (needs.node_count or 1) > 1:
        parts.append(f"{needs.node_count} machines")
    return ", ".join([*parts, *needs.special_requirements]) or "no special requirements"
