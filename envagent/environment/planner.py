"""Make the plan of a set-up from what was read of a repository."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from envagent.environment.compiled_setup import go_steps, native_steps, r_steps, rust_steps
from envagent.environment.findings import Findings, step, usual, verbatim
from envagent.environment.node_setup import node_steps
from envagent.environment.python_setup import python_steps
from envagent.environment.setup_plan import PHASES, Reason, SetupPlan, SetupStep
from envagent.repository.results import Analysis, Snapshot

Ecosystem = Callable[[Findings], Iterator[SetupStep]]

_ECOSYSTEMS: dict[str, tuple[Ecosystem, tuple[str, ...], tuple[str, ...]]] = {
    "Python": (
        python_steps,
        (
            "pyproject.toml",
            "setup.py",
            "setup.cfg",
            "requirements.txt",
            "environment.yml",
            "environment.yaml",
            "conda.yaml",
            "Pipfile",
        ),
        ("Python", "Jupyter", "Cython"),
    ),
    "Node.js": (node_steps, ("package.json",), ("JavaScript", "TypeScript", "Vue", "Svelte")),
    "Rust": (rust_steps, ("Cargo.toml",), ("Rust",)),
    "Go": (go_steps, ("go.mod",), ("Go",)),
    "R": (r_steps, ("DESCRIPTION", "renv.lock"), ("R",)),
    "C/C++": (
        native_steps,
        (
            "CMakeLists.txt",
            "meson.build",
            "configure.ac",
            "configure",
            "autogen.sh",
            "Makefile",
            "makefile",
            "GNUmakefile",
        ),
        ("C", "C++", "CUDA", "Fortran", "C/C++ headers", "C/C++"),
    ),
}
"""Each with its steps, the files that show it, and its languages in the survey; of equals the first is chosen."""

_UNLIKELY = re.compile(
    r"(^|/)(docs?|examples?|tests?|third[-_]?party|vendor|website|tutorials?|benchmarks?)(/|$)", re.I
)


def plan_setup(snapshot: Snapshot, analysis: Analysis) -> SetupPlan:
    """Return what is done on a node, in the order of phases; every step with its reasons."""
    top = Findings(snapshot, analysis)
    name, folder = _chosen(top)
    found = Findings(snapshot, analysis, folder)
    steps = list(_first(found))
    if name:
        steps += _ECOSYSTEMS[name][0](found)
        found.notes.extend(_others(top, name))
    else:
        steps += _only_documented(found)
    steps += _devcontainer(found)
    steps.sort(key=lambda one: PHASES.index(one.phase))
    return SetupPlan(
        url=snapshot.url,
        commit=snapshot.commit,
        name=_folder_name(snapshot.url),
        folder=folder,
        ecosystem=name,
        steps=tuple(steps),
        notes=tuple(dict.fromkeys(found.notes)),
    )


def _folder_name(url: str) -> str:
    name = re.sub(r"[^\w.-]", "-", url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")).lstrip("-.")
    return name or "repository"


def _chosen(found: Findings) -> tuple[str, str]:
    """Return the ecosystem that is set up, and the folder with its files: the top if it has any."""
    shown = [name for name, (_, files, _) in _ECOSYSTEMS.items() if found.has(*files)]
    if shown:
        return max(shown, key=lambda name: _share(found, name)), ""
    parts: Counter[tuple[str, str]] = Counter()
    for path in found.paths:
        folder, _, name = path.rpartition("/")
        if folder and folder.count("/") < 2 and not _UNLIKELY.search(folder):
            for ecosystem, (_, files, _) in _ECOSYSTEMS.items():
                if name in files:
                    parts[ecosystem, folder] = sum(one.startswith(f"{folder}/") for one in found.paths)
    languages = found.analysis.languages
    without = (
        ("Python", "") if max(languages, key=languages.__getitem__, default="") in ("Python", "Jupyter") else ("", "")
    )
    return max(parts, key=lambda one: (_share(found, one[0]), parts[one], one[1]), default=without)


def _share(found: Findings, name: str) -> tuple[int, int]:
    """Return how much speaks for an ecosystem: a manifest of its own, then its files."""
    languages = _ECOSYSTEMS[name][2]
    files = sum(count for language, count in found.analysis.languages.items() if language in languages)
    packaged = name == "Python" and found.has("pyproject.toml", "setup.py") is not None
    if packaged and files * 4 >= sum(found.analysis.languages.values()):
        files = max(files, sum(found.analysis.languages.values()))  # its build compiles what else there is
    return files, -list(_ECOSYSTEMS).index(name)


def _others(found: Findings, chosen: str) -> Iterator[str]:
    for name, (_, files, _) in _ECOSYSTEMS.items():
        shown = found.has(*files)
        if name != chosen and shown and name != "C/C++":
            yield f"Its {name} part ({shown}) is not set up."


def _first(found: Findings) -> Iterator[SetupStep]:
    """Yield what every set-up begins with: the GPU's driver, the system's packages, the clone."""
    needs = found.analysis.requirements
    if needs.gpu_required and needs.gpu_vendor in (None, "nvidia"):
        places = [one for one in found.analysis.evidence if one.field in ("gpu_required", "gpu_vendor")]
        yield step(
            "gpu",
            "system",
            "the driver sees the GPU",
            ("see_gpu",),
            reasons=[Reason(belief="manifest", path=one.path, line=one.line, quote=one.quote) for one in places[:3]],
            minutes=2,
        )
    named = found.system_packages
    yield step(
        "system-packages",
        "system",
        "git" + (f", and what it names: {', '.join([*named][:4])}{', ...' if len(named) > 4 else ''}" if named else ""),
        ("apt_install", "git", "ca-certificates"),
        *([("apt_install", *named)] if named else []),
        reasons=[*dict.fromkeys(named.values()), *([] if named else [usual("to clone it")])],
        done=("git", "--version"),
    )
    commit = (found.snapshot.commit or "")[:12]
    yield step(
        "clone",
        "system",
        f"the repository{f' at {commit}' if commit else ''}",
        ("clone",),
        reasons=[usual("the commit that was analyzed")],
        done=("cloned",),
    )


def _devcontainer(found: Findings) -> Iterator[SetupStep]:
    """Yield what a devcontainer runs once it is created, apart from installations."""
    commands = [one for one in found.devcontainer if not one.apt_packages and not one.pip_installs][:6]
    if commands:
        yield step(
            "devcontainer",
            "build",
            "what its devcontainer runs once it is created",
            *[verbatim(one.text) for one in commands],
            reasons=[one.reason for one in commands],
            decides=False,
        )


def _only_documented(found: Findings) -> Iterator[SetupStep]:
    """Yield the commands of the Dockerfile or the readme, where no manifest says how to set it up."""
    source = found.docker or found.readme
    commands = [one for one in source if (one.is_build or one.pip_installs) and not one.apt_packages][:20]
    if not commands:
        found.notes.append("No file says how it is set up: it is only cloned.")
        return
    yield step(
        "documented-commands",
        "build",
        "what it says to run",
        ("apt_install", "build-essential"),
        verbatim("\n".join(one.text for one in commands)),
        reasons=[one.reason for one in commands],
        minutes=60,
    )
