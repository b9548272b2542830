"""Which reader reads which file, and what happens when one fails.

Owns: the table from names to readers, and turning any failure of a reader into a note. Must not: read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from envagent.repository.facts import Facts
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
)

Reader = Callable[[str, str, Facts], None]

_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (r"(.*/)?[^/]*(requirement|constraint)[^/]*\.(txt|in)|(.*/)?[^/]*requirements/[^/]+\.(txt|in)|(.*/)?deps\.txt", requirements.read),
        (r"(.*/)?pyproject\.toml", pyproject.read),
        (r"(.*/)?setup\.cfg", setup_files.read_cfg),
        (r"(.*/)?setup\.py", setup_files.read_py),
        (r"(.*/)?pipfile", locks.read_pipfile),
        (r"(.*/)?pipfile\.lock", locks.read_pipfile_lock),
        (r"(.*/)?(poetry|uv|pdm)\.lock", locks.read_lock),
        (r"(.*/)?(dockerfile|containerfile)([._-][^/]*)?|(.*/)?[^/]+\.dockerfile", containers.read_dockerfile),
        (r"(.*/)?(docker-)?compose[^/]*\.ya?ml", containers.read_compose),
        (r"(.*/)?\.?devcontainer\.json", containers.read_devcontainer),
        (r"\.github/workflows/.*|\.gitlab-ci\.yml|\.travis\.yml|\.circleci/.*|azure-pipelines\.yml|\.cirrus\.yml", pythons.read_ci),
        (r"(.*/)?(\.python-version|runtime\.txt|\.tool-versions)", pythons.read_version),
        (r"(.*/)?tox\.ini", pythons.read_tox),
        (r"(.*/)?(vagrantfile|profile\.py)|.*\.(slurm|sbatch|pbs)", machines.read),
        (r".*\.ipynb", code.read_notebook),
        (r"(.*/)?(meta\.yaml|pixi\.toml|dependencies\.yaml)|(.*/)?[^/]*(env|conda)[^/]*\.ya?ml|(.*/)?(envs|environments)/[^/]+\.ya?ml", conda.read),
        (r"(.*/)?(go\.mod|cargo\.toml|package\.json|pom\.xml|build\.gradle(\.kts)?|build\.sbt|meson\.build|configure\.ac|description|"
         r"project\.toml|cmakelists\.txt|(gnu)?makefile(\.in)?|module\.bazel|gemfile|stack\.yaml|mix\.exs|package\.swift|composer\.json)", native.read),
        (r".*\.(py|sh)", code.read_script),
        (r".*\.(md|rst|txt|markdown|adoc|org)|(.*/)?(readme|install|building|artifact|requirements)([._-][^/]*)?", document.read),
    )
)  # fmt: skip


def read_file(path: str, text: str, facts: Facts) -> None:
    """Read one file with the first reader that its name fits; a failure becomes a note."""
    low = path.lower()
    for pattern, reader in _READERS:
        if pattern.fullmatch(low):
            try:
                reader(path, text, facts)
            except Exception as error:
                facts.notes.append(f"{path}: could not be read ({type(error).__name__}).")
            return
