"""Dispatch each file to its reader.

Owns: the table from names to readers, and turning any failure of a reader into a note. Must not: read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from envagent.repository.facts import Facts
from envagent.repository.patterns import any_of
from envagent.repository.prose import document
from envagent.repository.readers import (
    code,
    conda,
    containers,
    locks,
    machines,
    native,
    pyproject,
    pythons,
    requirements,
    setup_files,
    toolchains,
)

Reader = Callable[[str, str, Facts], None]


def _named(*names: str) -> re.Pattern[str]:
    """Compile a pattern of file names in any folder; a name may begin with folders of its own."""
    return any_of(*(rf"(?:.*/)?(?:{name})" for name in names))


_READERS: tuple[tuple[Reader, re.Pattern[str]], ...] = (
    (requirements.read, _named(r"[^/]*(requirement|constraint)[^/]*\.(txt|in)", r"deps\.txt")),
    (requirements.read, _named(r"[^/]*requirements/[^/]+\.(txt|in)")),
    (pyproject.read, _named(r"pyproject\.toml")),
    (setup_files.read_cfg, _named(r"setup\.cfg")),
    (setup_files.read_py, _named(r"setup\.py")),
    (locks.read_pipfile, _named(r"pipfile")),
    (locks.read_pipfile_lock, _named(r"pipfile\.lock")),
    (locks.read_lock, _named(r"(poetry|uv|pdm)\.lock")),
    (containers.read_dockerfile, _named(r"(dockerfile|containerfile)([._-][^/]*)?", r"[^/]*\.dockerfile")),
    (containers.read_compose, _named(r"(docker-)?compose[^/]*\.ya?ml")),
    (containers.read_devcontainer, _named(r"\.?devcontainer\.json")),
    (pythons.read_ci, any_of(r"(\.github/workflows|\.circleci)/.*", r"\.(gitlab-ci|travis|cirrus)\.yml")),
    (pythons.read_ci, any_of(r"azure-pipelines\.yml")),
    (pythons.read_version, _named(r"\.python-version|runtime\.txt|\.tool-versions")),
    (pythons.read_tox, _named(r"tox\.ini")),
    (machines.read, _named(r"vagrantfile|profile\.py", r"[^/]*\.(slurm|sbatch|pbs)")),
    (code.read_notebook, _named(r"[^/]*\.ipynb")),
    (conda.read, _named(r"meta\.yaml|pixi\.toml|dependencies\.yaml", r"[^/]*(env|conda)[^/]*\.ya?ml")),
    (conda.read, _named(r"([^/]*envs|environments|[^/]*conda[^/]*)/[^/]+\.ya?ml")),
    (conda.read_unnamed, any_of(r"[^/]+\.ya?ml")),
    (native.read, _named(r"cmakelists\.txt|(gnu)?makefile(\.in)?|meson\.build|configure\.ac|module\.bazel")),
    (toolchains.read, _named(r"go\.mod|cargo\.toml|rust-toolchain(\.toml)?|package\.json|\.nvmrc|description")),
    (toolchains.read, _named(r"project\.toml|pom\.xml|build\.gradle(\.kts)?|build\.sbt")),
    (code.read_script, _named(r"[^/]*\.(py|sh)")),
    (document.read, _named(r"[^/]*\.(md|mdx|rst|txt|markdown|adoc|org)")),
    (document.read, _named(r"(readme|install|building|artifact|requirements)([._-][^/]*)?")),
)


def read_file(path: str, text: str, facts: Facts) -> None:
    """Read one file with the first reader that matches its name; a failure becomes a note."""
    for reader, pattern in _READERS:
        if pattern.fullmatch(path):
            try:
                reader(path, text, facts)
            except Exception as error:
                facts.notes.append(f"{path}: could not be read ({type(error).__name__}).")
            return
