"""The one table of the files that are worth reading, each kind with its reader.

Owns: names, how deep and how many of each kind, in the order of their relevance, and turning any failure of a reader
into a note. `choose` takes from a listing what this table names, so nothing is fetched that is never read. Must not:
read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import cache
from typing import NamedTuple

from envagent.repository.facts import Facts
from envagent.repository.prose import document
from envagent.repository.readers import (
    batch,
    clusters,
    code,
    conda,
    containers,
    dockerfiles,
    gpu_platforms,
    installs,
    julia,
    locks,
    machines,
    mise,
    mlflow,
    native,
    nix,
    pixi,
    pyproject,
    pythons,
    r_packages,
    requirements,
    rust,
    scopes,
    setup_files,
    spaces,
    spack,
    toolchains,
    untyped_yaml,
    workflows,
)

Reader = Callable[[str, str, Facts], None]


class Kind(NamedTuple):
    """One kind of file.

    Attributes:
        reader: appends what such a file says to the facts.
        most: how many of them are read.
        depth: maximum number of folders above the file.
        patterns: lower-case shell patterns, matched against the name or, with a slash, the whole path. `.yaml` stands
            for `.yml` too.
    """

    reader: Reader
    most: int
    depth: int
    patterns: tuple[str, ...]


_TEXTS = ("md", "rst", "txt", "markdown", "adoc", "org", "mdx")


def _texts(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for stem in stems for ending in _TEXTS)


def _read_nothing(path: str, text: str, facts: Facts) -> None:
    """Leave the facts as they are."""


_INSTALL = (
    "install", "build", "hardware", "get?started", "getting?started", "quick?start", "quickstart", "artifact", "ae",
    "setup",
)  # fmt: skip
_GUIDES = (
    "install", "require", "hardware", "manual", "start", "setup", "build", "guide", "faq", "running", "inference",
    "overview",
)  # fmt: skip
_SCRIPTS = (
    "train", "main", "run", "demo", "infer", "inference", "predict", "generate", "sample", "eval", "benchmark",
)  # fmt: skip
_INSTALLERS = ("install", "setup", "dependenc", "deps", "bootstrap", "provision", "prepare", "prereq")
_LAUNCHERS = ("*chameleon", "cc-", "cc_", "chi_", "chi-", "*reserv", "lease", "*[_-]lease", "*provision", "*launch")
_BATCH = ("slurm", "slrm", "sbatch", "batch", "pbs", "lsf", "bsub", "sge", "qsub", "oar", "flux")
_SUBMITS = (
    "submit", "slurm", "sbatch", "srun", "batch", "job", "launch", "pbs", "qsub", "bsub", "cluster", "hpc", "run",
    "train",
)  # fmt: skip
_SERVES = ("modal", "serve", "deploy", "beam", "bento", "service")
_JOBS = (
    "k8s", "kube", "manifest", "deploy", "helm", "pod", "job", "serve", "serving", "service", "sky", "ray", "cluster",
    "dstack", "task", "truss", "accelerate", "determined", "gpu", "worker", "inference", "train",
)  # fmt: skip

# The first kind that fits a path is the file's kind, so special names stand above general ones. When the budget of all
# files runs out, the last kinds are dropped.
KINDS: tuple[Kind, ...] = (
    Kind(spaces.read_readme, 12, 2, ("readme", *_texts("readme", "readme[._-]*", *scopes.README[1:]))),
    Kind(requirements.read, 24, 3, ("*requirement*.txt", "*requirement*.in", "*constraint*.txt", "deps.txt")),
    Kind(requirements.read, 3, 2, ("*requirement*.lock", "*requirement*.lst", "*requirement*.pip")),
    Kind(requirements.read, 12, 4, ("*requirements/*.txt", "*requirements/*.in")),
    Kind(document.read, 4, 0, ("install", "building", "artifact", "requirements")),
    Kind(document.read, 12, 3, ("requirements.md*", "requirements.rst", *_texts(*(f"{stem}*" for stem in _INSTALL)))),
    # The text of a PDF, which `fetch` takes out of it.
    Kind(document.read, 2, 2, ("*appendix*.pdf", "*artifact*.pdf", "*artefact*.pdf", "ae.pdf", "ae[._-]*.pdf")),
    Kind(pyproject.read, 10, 3, ("pyproject.toml",)),
    Kind(setup_files.read_py, 10, 3, ("setup.py",)),
    Kind(setup_files.read_cfg, 10, 3, ("setup.cfg",)),
    Kind(containers.read_compose, 6, 3, ("docker-compose*.yaml", "compose*.yaml")),
    Kind(
        pythons.read_ci, 14, 3, (".github/workflows/*.yaml", ".gitlab-ci.yaml", ".travis.yaml", ".circleci/config.yaml")
    ),
    Kind(pythons.read_ci, 3, 1, ("azure-pipelines.yaml", ".cirrus.yaml")),
    Kind(mlflow.read, 3, 2, ("mlproject",)),
    Kind(mlflow.read_python_env, 4, 2, ("python_env.yaml",)),
    # Environments of single processes, as Snakemake and nf-core keep them.
    Kind(
        workflows.read_environment, 6, 4, ("*workflow/envs/*.yaml", "*rules/envs/*.yaml", "*modules/*/environment.yaml")
    ),
    Kind(locks.read_conda_lock, 2, 0, ("pixi.lock", "conda-lock.yaml")),
    Kind(conda.read, 12, 3, ("*environment*.yaml", "*conda*.yaml", "env.yaml", "*_env.yaml", "meta.yaml")),
    Kind(pixi.read, 4, 2, ("pixi.toml",)),
    Kind(conda.read, 6, 3, ("*environments/*.yaml", "*envs/*.yaml", "*conda*/*.yaml", "dependencies.yaml")),
    Kind(locks.read_pipfile, 3, 2, ("pipfile",)),
    Kind(locks.read_pipfile_lock, 1, 0, ("pipfile.lock",)),
    Kind(locks.read_lock, 2, 0, ("poetry.lock", "uv.lock", "pdm.lock")),
    Kind(pythons.read_version, 6, 2, (".python-version", "runtime.txt")),
    Kind(mise.read_tool_versions, 3, 2, (".tool-versions",)),
    Kind(mise.read, 4, 2, ("mise.toml", ".mise.toml", "*mise/config.toml")),
    Kind(pythons.read_tox, 3, 2, ("tox.ini", "tox.toml", "noxfile.py")),
    Kind(workflows.read_container, 4, 4, ("*modules/local/*dockerfile", "*modules/nf-core/*dockerfile")),
    Kind(dockerfiles.read_dockerfile, 14, 3, ("dockerfile", "dockerfile[._-]*", "*.dockerfile", "containerfile")),
    Kind(gpu_platforms.read_cog, 4, 2, ("cog.yaml", "cog[_-]*.yaml")),
    Kind(gpu_platforms.read_bento, 2, 2, ("bentofile.yaml",)),
    Kind(gpu_platforms.read_app, 2, 1, ("fly.toml", "cerebrium.toml")),
    Kind(clusters.read_values, 6, 4, ("values.yaml", "values[_-]*.yaml", "*[_-]values.yaml")),
    Kind(containers.read_devcontainer, 3, 3, ("devcontainer.json", ".devcontainer.json")),
    # They say what is installed and run, which the set-up reads, and nothing about the hardware.
    Kind(_read_nothing, 4, 1, ("apt.txt", "postbuild", "pytest.ini")),
    Kind(rust.read, 8, 2, ("cargo.toml",)),
    Kind(toolchains.read, 12, 2, ("go.mod", "rust-toolchain*", "package.json", "pom.xml")),
    Kind(toolchains.read, 4, 1, (".nvmrc", ".node-version", ".java-version", ".sdkmanrc", "system.properties")),
    Kind(toolchains.read, 8, 1, ("build.gradle*", "build.sbt")),
    Kind(r_packages.read, 4, 1, ("description",)),
    Kind(r_packages.read_lock, 2, 1, ("renv.lock",)),
    Kind(r_packages.read_script, 3, 1, ("install.r", "requirements.r", "packages.r", "dependencies.r")),
    Kind(julia.read, 4, 1, ("project.toml", "juliaproject.toml")),
    Kind(spack.read, 4, 3, ("spack.yaml",)),
    Kind(nix.read, 4, 1, ("flake.nix", "shell.nix", "default.nix", "devenv.nix")),
    Kind(native.read, 8, 1, ("cmakelists.txt", "makefile", "gnumakefile", "makefile.in", "module.bazel")),
    Kind(native.read, 4, 1, ("meson.build", "configure.ac")),
    Kind(native.read_presets, 1, 0, ("cmakepresets.json",)),
    Kind(native.read_bazelrc, 1, 0, (".bazelrc",)),
    Kind(document.read, 16, 3, tuple(f"*doc*/{guide}" for guide in _texts(*(f"*{stem}*" for stem in _GUIDES)))),
    # Site generators keep pages deep in folders of their own.
    Kind(document.read, 3, 6, ("*doc*/requirements.md*", "*doc*/system?requirements.md*", "*doc*/hardware*.md*")),
    Kind(document.read, 4, 0, _texts("*guide*", "*manual*", "*faq*", "deploy*")),
    Kind(machines.read_profile, 3, 2, ("profile.py", "*cloudlab*.py")),
    Kind(machines.read_vagrant, 3, 2, ("vagrantfile",)),
    Kind(machines.read_cloud, 6, 2, ("*.tf", "*.tfvars", "*.pkr.hcl")),
    Kind(
        machines.read_inventory, 3, 2, ("inventory", "inventory.ini", "hosts.ini", "inventory/hosts", "ansible/hosts")
    ),
    Kind(workflows.read_snakemake, 12, 3, ("snakefile", "*.smk", "*profile*/config*.yaml")),
    Kind(
        workflows.read_nextflow,
        6,
        2,
        ("nextflow.config", "base.config", "*conf*/base.config", "*conf*/modules*.config"),
    ),
    Kind(workflows.read_nextflow, 8, 3, ("main.nf", "*.nf")),
    Kind(workflows.read_wdl, 8, 2, ("*.wdl",)),
    Kind(workflows.read_cwl, 8, 2, ("*.cwl",)),
    Kind(batch.read, 12, 3, tuple(f"*.{ending}" for ending in _BATCH)),
    Kind(installs.read, 8, 2, tuple(f"*{stem}*.{ending}" for stem in _INSTALLERS for ending in ("sh", "bash"))),
    Kind(dockerfiles.read_definition, 8, 4, ("*.def", "singularity*", "apptainer*", "*.singularity", "*.apptainer")),
    # Notebooks and scripts that reserve and launch nodes.
    Kind(code.read_notebook, 4, 2, tuple(f"{stem}*.ipynb" for stem in _LAUNCHERS)),
    Kind(code.read_job, 4, 2, tuple(f"{stem}*.py" for stem in _LAUNCHERS)),
    Kind(code.read_notebook, 3, 2, ("*.ipynb",)),
    Kind(code.read_script, 12, 1, tuple(f"{stem}*.{ending}" for stem in _SCRIPTS for ending in ("py", "sh"))),
    # Batch scripts by other names; the reader ignores what asks no scheduler.
    Kind(code.read_job, 8, 2, tuple(f"*{stem}*.{ending}" for stem in _SUBMITS for ending in ("sh", "bash"))),
    Kind(code.read_job, 12, 1, ("*.sh", "*.bash", "*.job")),
    # Other programs may declare what they need.
    Kind(code.read_requests, 6, 2, tuple(f"*{stem}*.py" for stem in _SERVES)),
    Kind(code.read_requests, 6, 2, tuple(f"*{stem}*/*.py" for stem in _SERVES)),
    # What these are shows in their first lines; the readers ignore the rest.
    Kind(untyped_yaml.read, 12, 2, tuple(f"*{stem}*.yaml" for stem in _JOBS)),
    Kind(untyped_yaml.read, 8, 3, tuple(f"*{stem}*/*.yaml" for stem in _JOBS)),
    Kind(untyped_yaml.read, 8, 0, ("*.yaml",)),
    Kind(code.read_requests, 12, 0, ("*.py",)),
    # Readmes of parts and platforms, with endings of their own.
    Kind(document.read, 4, 1, ("readme[._-]*",)),
)
_WITH_WORDS = (code.read_notebook, code.read_script, code.read_job, batch.read, installs.read)
"""Of what these read, the Markdown cells and the comments are documents of their own."""
DEEPEST = max(kind.depth for kind in KINDS)


def _ending(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[2] if "." in name else ""


_ENDINGS = frozenset(e for kind in KINDS for e in map(_ending, kind.patterns) if e.isalnum())
# Named like a readme, and never text.
_BINARY = frozenset([
    "gif", "png", "jpg", "jpeg", "webp", "bmp", "ico", "tif", "tiff", "svg", "heic", "avif", "psd", "eps", "mp3", "mp4",
    "mov", "avi", "mkv", "webm", "wav", "ogg", "docx", "doc", "odt", "pptx", "xlsx", "zip", "gz", "tgz", "bz2", "xz",
    "zst", "7z", "tar", "rar", "woff", "woff2", "ttf", "otf", "pkl", "npy", "npz", "pt", "pth", "bin", "so", "exe",
])  # fmt: skip


def kind_of(path: str) -> Kind | None:
    """Return the kind of a file by its path; None for what is never read."""
    path = path.lower()
    if path.endswith(".yml"):
        path = f"{path[:-4]}.yaml"
    ending = _ending(path)
    if ending in _BINARY:
        return None
    names, paths = _matchers(min(path.count("/"), DEEPEST + 1), ending if ending in _ENDINGS else "")
    found = [m.lastgroup for m in (names.match(path.rpartition("/")[2]), paths.match(path)) if m]
    return KINDS[min(int(group[1:]) for group in found if group)] if found else None


@cache
def _matchers(depth: int, ending: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile what fits this deep and with this ending: a pattern of names and one of paths, with a group per kind.

    Most files of a large listing are of no kind, so it must cost little to see that.
    """
    names: list[str] = []
    paths: list[str] = []
    for number, kind in enumerate(KINDS):
        within = kind.patterns if depth <= kind.depth else ()
        fitting = [p for p in within if _ending(p) == ending or not _ending(p).isalnum()]
        for group, with_folder in ((names, False), (paths, True)):
            if own := "|".join(translate(p) for p in fitting if ("/" in p) is with_folder):
                group.append(f"(?P<k{number}>{own})")
    return re.compile("|".join(names) or "(?!)"), re.compile("|".join(paths) or "(?!)")


def read_file(path: str, text: str, facts: Facts) -> None:
    """Read one file with the reader of its kind; a failure becomes a note."""
    kind = kind_of(path)
    if kind is None:
        return
    try:
        kind.reader(path, text, facts)
        if kind.reader in _WITH_WORDS:
            document.read(path, text, facts)
    except Exception as error:
        facts.notes.append(f"{path}: could not be read ({type(error).__name__}).")
