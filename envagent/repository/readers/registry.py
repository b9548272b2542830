"""Which reader reads which file, and what happens when one fails.

Owns: the table from names to readers, and turning any failure of a reader into a note. Must not: read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from envagent.repository.facts import Facts
from envagent.repository.patterns import one_of
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
        one_of(
            r"(.*/)?[^/]*(requirement|constraint)[^/]*\.(txt|in)",
            r"(.*/)?[^/]*requirements/[^/]+\.(txt|in)",
            r"(.*/)?deps\.txt",
        ),
        requirements.read,
    ),
    (one_of(r"(.*/)?pyproject\.toml"), pyproject.read),
    (one_of(r"(.*/)?setup\.cfg"), setup_files.read_cfg),
    (one_of(r"(.*/)?setup\.py"), setup_files.read_py),
    (one_of(r"(.*/)?pipfile"), locks.read_pipfile),
    (one_of(r"(.*/)?pipfile\.lock"), locks.read_pipfile_lock),
    (one_of(r"(.*/)?(poetry|uv|pdm)\.lock"), locks.read_lock),
    (one_of(r"(.*/)?(dockerfile|containerfile)([._-][^/]*)?", r".*\.dockerfile"), containers.read_dockerfile),
    (one_of(r"(.*/)?(docker-)?compose[^/]*\.ya?ml"), containers.read_compose),
    (one_of(r"(.*/)?\.?devcontainer\.json"), containers.read_devcontainer),
    (
        one_of(
            r"\.github/workflows/.*",
            r"\.(gitlab-ci|travis|cirrus)\.yml",
            r"\.circleci/.*",
            r"azure-pipelines\.yml",
        ),
        pythons.read_ci,
    ),
    (one_of(r"(.*/)?(\.python-version|runtime\.txt|\.tool-versions)"), pythons.read_version),
    (one_of(r"(.*/)?tox\.ini"), pythons.read_tox),
    (one_of(r"(.*/)?(vagrantfile|profile\.py)", r".*\.(slurm|sbatch|pbs)"), machines.read),
    (one_of(r".*\.ipynb"), code.read_notebook),
    (
        one_of(
            r"(.*/)?(meta\.yaml|pixi\.toml|dependencies\.yaml)",
            r"(.*/)?[^/]*(env|conda)[^/]*\.ya?ml",
            r"(.*/)?([^/]*envs|environments|[^/]*conda[^/]*)/[^/]+\.ya?ml",
        ),
        conda.read,
    ),
    (one_of(r"[^/]+\.ya?ml"), conda.read_unnamed),
    (
        one_of(
            r"(.*/)?(cmakelists\.txt|(gnu)?makefile(\.in)?|meson\.build|configure\.ac|module\.bazel)",
        ),
        native.read,
    ),
    (
        one_of(
            r"(.*/)?(go\.mod|cargo\.toml|rust-toolchain(\.toml)?|package\.json|\.nvmrc|description|project\.toml)",
            r"(.*/)?(pom\.xml|build\.gradle(\.kts)?|build\.sbt)",
        ),
        toolchains.read,
    ),
    (one_of(r".*\.(py|sh)"), code.read_script),
    (
        one_of(
            r".*\.(md|mdx|rst|txt|markdown|adoc|org)",
            r"(.*/)?(readme|install|building|artifact|requirements)([._-][^/]*)?",
        ),
        document.read,
    ),
)


def read_file(path: str, text: str, facts: Facts) -> None:
    """Read one file with the first reader that its name fits; a failure becomes a note."""
    for pattern, reader in _READERS:
        if pattern.fullmatch(path):
            try:
                reader(path, text, facts)
            except Exception as error:
                facts.notes.append(f"{path}: could not be read ({type(error).__name__}).")
            return
