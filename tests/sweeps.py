"""Sweeps: tests marked `sweep`, one per point, that run only with `-m sweep`.

    pytest -m sweep tests/crash                     every point of every sweep
    pytest -m sweep --bounded -n 2 tests/crash      some points of each, drawn by --seed: what each commit must pass

The marker says where the points come from, `sweep(points=..., bounded=...)`: a function of the plan, and how many of
them `--bounded` takes; with `journal=...`, there are none with another `--journal`. The test gets each as `point`. A
failure shows the command that repeats it alone.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import pytest

Point = TypeVar("Point")

OPTIONS = ("bounded", "sample", "seed", "rounds", "journal")


@dataclass(frozen=True)
class Plan:
    """Which points the command line asks for."""

    config: pytest.Config
    bounded: bool
    sample: int | None
    seed: int
    rounds: int | None
    journal: str

    @classmethod
    def of(cls, config: pytest.Config) -> Plan:
        """Read the options."""
        return cls(config, *(config.getoption(name) for name in OPTIONS))

    @property
    def wanted(self) -> bool:
        """Whether `-m` selects sweeps; discovering points takes seconds, so it is not done for nothing."""
        return re.search(r"(?<!\bnot )\bsweep\b", self.config.getoption("markexpr")) is not None

    def choose(self, points: Sequence[Point], bounded: int) -> list[Point]:
        """Take all points, or those that the seed draws.

        The draw depends on the names alone: a point more or less in another recording hardly changes it.
        """
        limits = [bounded] if self.bounded else []
        limits += [] if self.sample is None else [self.sample]
        names = sorted((str(one) for one in points), key=lambda name: sha256(f"{self.seed} {name}".encode()).digest())
        drawn = set(names[: min(limits)] if limits else names)
        return [one for one in points if str(one) in drawn]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that bound a sweep."""
    group = parser.getgroup("sweeps", "sweeps (-m sweep)")
    group.addoption("--bounded", action="store_true", help="of each sweep, only the part that every commit must pass")
    group.addoption("--sample", type=int, metavar="N", help="of each sweep, at most N points")
    group.addoption("--seed", type=int, default=1, metavar="S", help="draws the points of a sample, and random rounds")
    group.addoption("--rounds", type=int, metavar="N", help="the number of rounds, where a sweep consists of rounds")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each point."""
    marker = metafunc.definition.get_closest_marker("sweep")
    if marker is None:
        return
    plan = Plan.of(metafunc.config)
    chosen: list[object] = []
    if plan.wanted and marker.kwargs.get("journal", plan.journal) == plan.journal:
        points = marker.kwargs["points"](plan)
        if not points:
            raise pytest.UsageError(f"{metafunc.function.__name__} has no points")
        chosen = plan.choose(points, marker.kwargs["bounded"])
    skipped = pytest.param(None, id="none", marks=pytest.mark.skip("no point of it is in this part"))
    metafunc.parametrize("point", chosen or [skipped], ids=str)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure how to repeat it."""
    report = yield
    if report.failed and item.get_closest_marker("sweep"):
        report.sections.append(("repeat it alone", _command(item)))
    return report


def _command(item: pytest.Item) -> str:
    words = ["python", "-m", "pytest", "-m", "sweep"]
    for name in OPTIONS:
        value = item.config.getoption(name)
        if value not in (None, False, "sqlite"):
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join([*words, item.nodeid])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what each sweep counted."""
    counts: dict[str, Counter[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    if name == "counts":
                        counts.setdefault(Path(report.location[0]).stem, Counter()).update(value)
    if counts:
        terminalreporter.section(f"sweeps, seed {config.getoption('seed')}")
    for sweep, counted in sorted(counts.items()):
        texts = [f"{number} {what}" for what, number in counted.items() if number]
        terminalreporter.line(f"{sweep}: {', '.join(texts)}")
