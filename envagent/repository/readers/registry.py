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

_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (
        any_of(
            r"(.*/)?[^/]*(requirement|constraint)[^/]*\.(txt|in)",
            r"(.*/)?[^/]*requirements/[^/]+\.(txt|in)",
            r"(.*/)?deps\.txt",
        ),
        requirements.read,
    ),
    (any_of(r"(.*/)?pyproject\.toml"), pyproject.read),
    (any_of(r"(.*/)?setup\.cfg"), setup_files.read_cfg),
    (any_of(r"(.*/)?setup\.py"), setup_files.read_py),
    (any_of(r"(.*/)?pipfile"), locks.read_pipfile),
    (any_of(r"(.*/)?pipfile\.lock"), locks.read_pipfile_lock),
    (any_of(r"(.*/)?(poetry|uv|pdm)\.lock"), locks.read_lock),
    (any_of(r"(.*/)?(dockerfile|containerfile)([._-][^/]*)?", r".*\.dockerfile"), containers.read_dockerfile),
    (any_of(r"(.*/)?(docker-)?compose[^/]*\.ya?ml"), containers.read_compose),
    (any_of(r"(.*/)?\.?devcontainer\.json"), containers.read_devcontainer),
    (
        any_of(
            r"\.github/workflows/.*",
            r"\.(gitlab-ci|travis|cirrus)\.yml",
            r"\.circleci/.*",
            r"azure-pipelines\.yml",
        ),
        pythons.read_ci,
    ),
    (any_of(r"(.*/)?(\.python-version|runtime\.txt|\.tool-versions)"), pythons.read_version),
    (any_of(r"(.*/)?tox\.ini"), pythons.read_tox),
    (any_of(r"(.*/)?(vagrantfile|profile\.py)", r".*\.(slurm|sbatch|pbs)"), machines.read),
    (any_of(r".*\.ipynb"), code.read_notebook),
    (
        any_of(
            r"(.*/)?(meta\.yaml|pixi\.toml|dependencies\.yaml)",
            r"(.*/)?[^/]*(env|conda)[^/]*\.ya?ml",
            r"(.*/)?([^/]*envs|environments|[^/]*conda[^/]*)/[^/]+\.ya?ml",
        ),
        conda.read,
    ),
    (any_of(r"[^/]+\.ya?ml"), conda.read_unnamed),
    (
        any_of(
            r"(.*/)?(cmakelists\.txt|(gnu)?makefile(\.in)?|meson\.build|configure\.ac|module\.bazel)",
        ),
        native.read,
    ),
    (
        any_of(
            r"(.*/)?(go\.mod|cargo\.toml|rust-toolchain(\.toml)?|package\.json|\.nvmrc|description|project\.toml)",
            r"(.*/)?(pom\.xml|build\.gradle(\.kts)?|build\.sbt)",
        ),
        toolchains.read,
    ),
    (any_of(r".*\.(py|sh)"), code.read_script),
    (
        any_of(
            r".*\.(md|mdx|rst|txt|markdown|adoc|org)",
            r"(.*/)?(readme|install|building|artifact|requirements)([._-][^/]*)?",
        ),
        document.read,
    ),
)


def read_file(path: str, text: str, facts: Facts) -> None:
    """Read one file with the first reader that matches its name; a failure becomes a note."""
    for pattern, reader in _READERS:
        if pattern.fullmatch(path):
            try:
                reader(path, text, facts)
            except Exception as error:
                facts.notes.append(f"{path}: could not be read ({type(error).__name__}).")
            return
