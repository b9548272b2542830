"""What a repository offers for its set-up, read once: its files by name and the commands that it declares."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from envagent.environment import declared_commands as declared
from envagent.environment.declared_commands import Declared
from envagent.environment.setup_plan import BELIEFS, VERBATIM, Belief, Phase, Reason, SetupStep
from envagent.repository.facts import line_of
from envagent.repository.results import Analysis, Snapshot

_LEFT_OUT = re.compile(r"(^|/)(third[-_]?party|vendor|external|node_modules|\.venv|site-packages|submodules)/")


@dataclass(frozen=True)
class Findings:
    """A repository as its set-up sees it.

    Attributes:
        folder: the folder that is set up; empty for the top.
    """

    snapshot: Snapshot
    analysis: Analysis
    folder: str = ""
    notes: list[str] = field(default_factory=list)

    @cached_property
    def paths(self) -> frozenset[str]:
        """The repository's own files."""
        own = (one.path for one in self.snapshot.entries if not _LEFT_OUT.search(one.path))
        return frozenset(path for path in own if path.isprintable())

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of each file, where it is known."""
        return {one.path: one.size or 0 for one in self.snapshot.entries}

    def path(self, name: str) -> str:
        """Return the path of a file of the folder that is set up."""
        return f"{self.folder}/{name}" if self.folder else name

    def inner(self, path: str) -> str:
        """Return a path as it is seen from the folder that is set up."""
        return path.removeprefix(f"{self.folder}/") if self.folder else path

    def has(self, *names: str) -> str | None:
        """Return the first of these files that is in the folder that is set up."""
        return next((name for name in names if self.path(name) in self.paths), None)

    def text(self, name: str) -> str:
        """Return the text of a file in the folder that is set up; empty if it was not read."""
        return self.snapshot.files.get(self.path(name), "")

    def toml(self, name: str) -> dict[str, Any]:
        """Return a file as TOML; empty if it is none."""
        try:
            return tomllib.loads(self.text(name))
        except tomllib.TOMLDecodeError:
            return {}

    def reason(self, name: str, *needles: str, belief: Belief = "manifest") -> Reason:
        """Return the place in a file where the needles stand."""
        line, quote = line_of(self.text(name), needles) if needles else (None, "")
        return Reason(belief=belief, path=self.path(name), line=line, quote=quote if line else "")

    @cached_property
    def ci(self) -> list[Declared]:
        """The commands of the job that tests, in order."""
        return declared.ci_commands(self.snapshot)

    @cached_property
    def docker(self) -> list[Declared]:
        """The RUN commands of the Dockerfile."""
        return declared.docker_commands(self.snapshot)

    @cached_property
    def devcontainer(self) -> list[Declared]:
        """The commands of the devcontainer."""
        return declared.devcontainer_commands(self.snapshot)

    @cached_property
    def readme(self) -> list[Declared]:
        """The commands of the readme."""
        return declared.readme_commands(self.snapshot)

    @cached_property
    def system_packages(self) -> dict[str, Reason]:
        """The system packages that are declared anywhere, each with its most credible place."""
        sources = [*declared.apt_file(self.snapshot), *self.devcontainer, *self.ci, *self.docker, *self.readme]
        found: dict[str, Reason] = {}
        for one in sorted(sources, key=lambda one: BELIEFS.index(one.belief)):
            for name in one.apt_packages:
                found.setdefault(name, one.reason)
        found.pop(
            self.snapshot.url.rstrip("/").rpartition("/")[2].removesuffix(".git").lower(), None
        )  # the released one
        return found

    @property
    def tests_in_ci(self) -> list[Declared]:
        """The commands of CI that test."""
        return [one for one in self.ci if one.is_test and not one.of_the_runner]


def step(
    name: str,
    phase: Phase,
    title: str,
    *commands: tuple[str, ...],
    reasons: Iterable[Reason] = (),
    done: tuple[str, ...] | None = None,
    minutes: int = 30,
    proves: str = "",
    decides: bool = True,
) -> SetupStep:
    """Make a step; see `SetupStep`."""
    return SetupStep(
        name=name,
        phase=phase,
        title=title,
        commands=commands,
        done=done,
        reasons=tuple(dict.fromkeys(reasons)),
        minutes=minutes,
        proves=proves,
        decides=decides,
    )


def verbatim(text: str) -> tuple[str, str]:
    """Return the command that runs a command of the repository as it stands there."""
    return VERBATIM, text


def usual(why: str) -> Reason:
    """Return the reason of what no file says."""
    return Reason(belief="convention", quote=why)
