"""The sizing against what building and testing public repositories really took, and the rules behind it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from envagent.repository.conclusions.sizing import size
from envagent.repository.facts import Facts, Package, Spot
from envagent.repository.knowledge import table
from envagent.repository.languages import Survey
from envagent.repository.results import Requirements, Sizing

MEASURED = json.loads((Path(__file__).parents[2] / "fixtures" / "sizing" / "measured.json").read_text(encoding="utf-8"))
MOST = 8
SPOT = Spot("pyproject.toml", 1, "dependencies")


def package(name: str, scope: Any = "main") -> Package:
    name, _, local = name.partition("+")
    return Package(name, SpecifierSet(), frozenset(), local, scope, SPOT)


def sized(languages: dict[str, int], *packages: Package, **requirements: Any) -> Sizing:
    return size(Requirements(**requirements), Facts(packages=list(packages)), Survey(languages, 0))


@pytest.mark.parametrize("case", MEASURED["cases"], ids=lambda case: str(case["repo"]))
def test_covers_what_was_measured_and_not_eight_times_more(case: dict[str, Any]) -> None:
    found = case["facts"]
    packages = [package(name, scope) for scope, names in found["packages"].items() for name in names]
    listing = Survey(found["languages"], found["bytes"])
    sizing = size(Requirements(**found["requirements"]), Facts(packages=packages), listing)
    for name, got in (("cores", sizing.cpu_cores), ("ram_gb", sizing.ram_gb), ("disk_gb", sizing.disk_gb)):
        need = max(case["need"][name], MEASURED["least"][name])
        documented = found["requirements"].get("cpu_cores" if name == "cores" else name)
        assert need <= got, name
        # What an unfinished build had written says nothing about the whole, and documented needs are not ours to judge.
        if name not in case["at_least"] and not documented:
            assert got <= MOST * need, name


def test_cpu_wheels_need_no_room_for_cuda() -> None:
    python = {"Python": 50}
    plain, cuda = sized(python, package("torch+cpu")), sized(python, package("torch+cu121"))
    assert sized(python).disk_gb < plain.disk_gb < cuda.disk_gb


def test_a_framework_for_tests_alone_counts_less_than_one_that_is_installed() -> None:
    python = {"Python": 50}
    tests = sized(python, package("torch", "development"))
    assert sized(python).disk_gb < tests.disk_gb < sized(python, package("torch")).disk_gb


def test_kernels_are_compiled_as_cpp_where_no_gpu_is_needed() -> None:
    assert sized({"C++": 300, "CUDA": 350}) == sized({"C++": 650})
    assert sized({"C++": 300, "CUDA": 350}, gpu_required=True).ram_gb > sized({"C++": 650}, gpu_required=True).ram_gb


def test_containers_take_room() -> None:
    assert sized({"Go": 20}, special_requirements=("docker",)).disk_gb > sized({"Go": 20}).disk_gb


@pytest.mark.parametrize(("language", "rows"), table("builds")["languages"].items())
def test_more_files_never_take_less(language: str, rows: list[list[int]]) -> None:
    assert rows[0][0] == 0 and all(len(row) == 4 for row in rows), language
    for fewer, more in pairwise(rows):
        assert fewer[0] < more[0] and all(a <= b for a, b in zip(fewer, more, strict=True)), language
