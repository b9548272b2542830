"""Which files of a listing tell what hardware the repository needs.

Owns: the kinds of telling files by name, how deep and how many of each, and in which order they are worth reading.
Must not: open anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import NamedTuple

from envagent.repository.results import Entry

_MAX_FILES = 120
# Folders whose files speak of something else: other people's code, and data.
_FOREIGN = re.compile(
    r"(^|/)(third[-_]?party|3rdparty|vendor|vendored|node_modules|externals?|extern|submodules|site-packages|"
    r"testdata|fixtures|\.?venv|\.git|_build|dist)(/|$)"
)
_PROSE = ("md", "rst", "txt", "markdown", "adoc", "org", "mdx")
# A readme in another language repeats the main one.
_TRANSLATION = re.compile(r"readme[._-](?!en\b|md\b|rst\b|txt\b|gpu|cuda|install)[a-z]{2}([_-][a-z]+)?\.")


class Kind(NamedTuple):
    """Files of one sort: shell patterns in lower case against the file's name or, with a slash, its whole path."""

    name: str
    most: int
    depth: int
    """Folders above the file, at most."""
    patterns: tuple[str, ...]


def _prose(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for stem in stems for ending in _PROSE)


_INSTALL = (
    "install",
    "build",
    "hardware",
    "get?started",
    "getting?started",
    "quick?start",
    "quickstart",
    "artifact",
    "ae",
    "setup",
)
_GUIDES = (
    "install",
    "require",
    "hardware",
    "manual",
    "start",
    "setup",
    "build",
    "guide",
    "faq",
    "running",
    "inference",
    "overview",
)
_SCRIPTS = ("train", "main", "run", "demo", "infer", "inference", "predict", "generate", "sample", "eval", "benchmark")

# In order of worth: when the budget ends, the last go first.
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
    # An environment named after the project; its reader leaves other files alone.
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
    # Generators of sites keep pages deep in their own folders.
    Kind("docs", 3, 6, ("*doc*/requirements.md*", "*doc*/system?requirements.md*", "*doc*/hardware*.md*")),
    Kind("docs", 4, 0, _prose("*guide*", "*manual*", "*faq*", "deploy*")),
    Kind("machine", 6, 2, ("vagrantfile", "profile.py", "*.slurm", "*.sbatch")),
    Kind("notebook", 3, 2, ("*.ipynb",)),
    Kind("script", 12, 1, tuple(f"{stem}*.{ending}" for stem in _SCRIPTS for ending in ("py", "sh"))),
)  # fmt: skip
_NAMES = [re.compile("|".join(translate(p) for p in k.patterns if "/" not in p) or r"(?!)") for k in KINDS]
_PATHS = [re.compile("|".join(translate(p) for p in k.patterns if "/" in p) or r"(?!)") for k in KINDS]
# Of a large listing hardly anything is of any kind: asked once, before each kind is.
_ANY_NAME, _ANY_PATH = (re.compile("|".join(p.pattern for p in patterns)) for patterns in (_NAMES, _PATHS))


def choose(entries: Sequence[Entry]) -> list[Entry]:
    """The files worth reading, most telling first, at most 120.

    Within a kind the shallow come before the deep, so that a large monorepo's own files win over its parts'.
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
    """Those of any kind by depth, translations last, then by path: with what the patterns look at."""
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
    """Whether a readme repeats the main one in another language."""
    return _TRANSLATION.match(path.lower().rpartition("/")[2]) is not None
