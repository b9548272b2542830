"""Choose the files of a listing that are worth reading.

Owns: the kinds of relevant files by name, how deep and how many of each, and the order in which to read them.
Must not: open anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import NamedTuple

from envagent.repository.results import Entry

_MAX_FILES = 120
# Folders of third-party code and data, whose files say nothing about this repository.
_FOREIGN = re.compile(
    r"(^|/)(third[-_]?party|3rdparty|vendor|vendored|node_modules|externals?|extern|submodules|site-packages|"
    r"testdata|fixtures|\.?venv|\.git|_build|dist)(/|$)"
)
_PROSE = ("md", "rst", "txt", "markdown", "adoc", "org", "mdx")
# A readme in another language repeats the main one.
_TRANSLATION = re.compile(r"readme[._-](?!en\b|md\b|rst\b|txt\b|gpu|cuda|install)[a-z]{2}([_-][a-z]+)?\.")


class Kind(NamedTuple):
    """One kind of file: lower-case shell patterns matched against the name or, with a slash, the whole path."""

    name: str
    most: int
    depth: int
    """Maximum number of folders above the file."""
    patterns: tuple[str, ...]


def _prose(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for stem in stems for ending in _PROSE)


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
# Most relevant first: when the budget runs out, the last kinds are dropped.
KINDS: tuple[Kind, ...] = (
    Kind("readme", 12, 2, ("readme", "readme[._-]*")),
    Kind("install", 4, 0, ("install", "building", "artifact", "requirements")),
    Kind("install", 12, 3, _prose("install*", "building*", "requirements?md", *(f"{stem}*" for stem in _INSTALL))),
    Kind("requirements", 24, 3, ("*requirement*.txt", "*requirement*.in", "*constraint*.txt", "deps.txt")),
    Kind("requirements", 12, 4, ("*requirements/*.txt", "*requirements/*.in")),
    Kind("pyproject", 10, 3, ("pyproject.toml",)),
    Kind("setup", 10, 3, ("setup.py", "setup.cfg")),
    Kind("conda", 12, 3, ("*environment*.y*ml", "*conda*.y*ml", "env.y*ml", "*_env.y*ml", "meta.yaml", "pixi.toml")),
    Kind("conda", 6, 3, ("*environments/*.y*ml", "*envs/*.y*ml", "*conda*/*.y*ml", "dependencies.yaml")),
    # An environment file named after the project; the reader ignores other files.
    Kind("conda", 3, 0, ("*.y*ml",)),
    Kind("pipfile", 3, 2, ("pipfile",)),
    Kind("lock", 1, 0, ("pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock")),
    Kind("python-version", 6, 2, (".python-version", "runtime.txt", ".tool-versions", "tox.ini", "apt.txt")),
    Kind("docker", 14, 3, ("dockerfile", "dockerfile[._-]*", "*.dockerfile", "containerfile", "singularity*", "*.def")),
    Kind("compose", 6, 3, ("docker-compose*.y*ml", "compose*.y*ml")),
    Kind("devcontainer", 3, 3, ("devcontainer.json", ".devcontainer.json")),
    Kind("ci", 14, 3, (".github/workflows/*.y*ml", ".gitlab-ci.yml", ".travis.yml", ".circleci/config.yml")),
    Kind("ci", 3, 1, ("azure-pipelines.yml", "appveyor.yml", ".cirrus.yml", "jenkinsfile")),
    Kind("native", 12, 2, ("go.mod", "cargo.toml", "rust-toolchain*", "package.json", ".nvmrc", "pom.xml")),
    Kind("native", 12, 1, ("build.gradle*", "build.sbt", "meson.build", "configure.ac", "description", "project.toml")),
    Kind("native", 8, 1, ("cmakelists.txt", "makefile", "gnumakefile", "makefile.in", "module.bazel", "gemfile")),
    Kind("native", 4, 1, ("*.cabal", "stack.yaml", "mix.exs", "package.swift", "composer.json", "*.csproj")),
    Kind("docs", 16, 3, tuple(f"*doc*/{guide}" for guide in _prose(*(f"*{stem}*" for stem in _GUIDES)))),
    # Site generators keep pages deep in folders of their own.
    Kind("docs", 3, 6, ("*doc*/requirements.md*", "*doc*/system?requirements.md*", "*doc*/hardware*.md*")),
    Kind("docs", 4, 0, _prose("*guide*", "*manual*", "*faq*", "deploy*")),
    Kind("machine", 6, 2, ("vagrantfile", "profile.py", "*.slurm", "*.sbatch")),
    Kind("notebook", 3, 2, ("*.ipynb",)),
    Kind("script", 12, 1, tuple(f"{stem}*.{ending}" for stem in _SCRIPTS for ending in ("py", "sh"))),
)  # fmt: skip
_NAMES = [re.compile("|".join(translate(p) for p in k.patterns if "/" not in p) or r"(?!)") for k in KINDS]
_PATHS = [re.compile("|".join(translate(p) for p in k.patterns if "/" in p) or r"(?!)") for k in KINDS]
# Most files of a large listing match nothing, so one combined pattern is tried first.
_ANY_NAME, _ANY_PATH = (re.compile("|".join(p.pattern for p in patterns)) for patterns in (_NAMES, _PATHS))


def choose(entries: Sequence[Entry]) -> list[Entry]:
    """Return the files worth reading, most relevant first, at most 120.

    Within a kind, shallow files come first, so that a monorepo's own files win over those of its parts.
    """
    taken: dict[str, Entry] = {}
    candidates = _candidates(entries)
    for kind, names, paths in zip(KINDS, _NAMES, _PATHS, strict=True):
        count = 0
        for depth, _, path, name, entry in candidates:
            if count >= kind.most or depth > kind.depth:
                break
            if entry.path not in taken and (names.match(name) or paths.match(path)):
                count += 1
                taken[entry.path] = entry
    return list(taken.values())[:_MAX_FILES]


def _candidates(entries: Iterable[Entry]) -> list[tuple[int, bool, str, str, Entry]]:
    """Return the files of any kind, sorted by depth, translations last, then path, with the keys for matching."""
    deepest = max(kind.depth for kind in KINDS)
    found = []
    for entry in entries:
        depth = entry.path.count("/")
        if depth <= deepest and entry.size != 0 and len(entry.path) < 300:
            path = entry.path.lower()
            name = path.rpartition("/")[2]
            if (_ANY_NAME.match(name) or _ANY_PATH.match(path)) and not _FOREIGN.search(path):
                found.append((depth, is_translation(path), path, name, entry))
    return sorted(found, key=lambda row: row[:3])


def is_translation(path: str) -> bool:
    """Return whether a readme is a translation of the main one."""
    return _TRANSLATION.match(path.lower().rpartition("/")[2]) is not None
