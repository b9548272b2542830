"""Do the tests notice when a safeguard is taken out? Mutations of the engine, one at a time, in a copy of the project.

    python -m tests.crash.mutants [--only "adoption"] [--sample 40 --seed 1] [--workers 2]

A program of its own, not a sweep of pytest: its verdict is a share of all mutants, and its judges are pytest runs.

The first mutations are chosen by hand (mutations.toml): each takes out one rule that keeps runs single and nothing
left behind. The others are made from the code: comparisons turned, conditions and statements dropped, numbers moved by
one. A mutant is killed by the first of: the engine's unit tests, the simulation, the bounded crash sweeps. At least
90 % must be.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).parents[2]
ENGINE = "envagent/engine"
FILES = tuple(f"{ENGINE}/{name}.py" for name in ("intents", "runner", "loop", "removal", "journal"))
GENERATED = 80
WANTED = 0.9

PYTEST = (sys.executable, "-m", "pytest", "-x", "-q")
SWEEPS = ("kills", "late_creations", "lost_resources", "journal_damage")
JUDGES: tuple[tuple[str, ...], ...] = (
    *((*PYTEST, "--timeout", "30", folder) for folder in ("tests/unit/engine", "tests/simulation")),
    *((*PYTEST, "-m", "sweep", "--bounded", f"tests/crash/test_{name}.py") for name in SWEEPS),
)
LONGEST = 200.0
"""Seconds for one judge; a mutant that hangs is noticed."""

REPORTING = {"note", "announce", "_announce_started", "report", "warn"}
"""Calls that tell the user something: what happens in the cloud does not depend on them."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    name: str
    file: str
    text: str
    """The file's text with the change."""

    def __str__(self) -> str:
        return f"{Path(self.file).name}: {self.name}"


@dataclass
class Verdicts:
    """Which mutants were killed."""

    killed: dict[str, str] = field(default_factory=dict)
    survived: list[str] = field(default_factory=list)


# By hand

BY_HAND = Path(__file__).with_name("mutations.toml")


def by_hand() -> Iterator[Mutant]:
    """Make the chosen mutants; one that no longer fits the code is an error, so that the list stays true."""
    for one in tomllib.loads(BY_HAND.read_text("utf-8"))["mutation"]:
        file = f"{ENGINE}/{one['file']}"
        text = (ROOT / file).read_text("utf-8")
        if text.count(one["old"]) != 1:
            raise SystemExit(f"mutation {one['name']!r} fits {text.count(one['old'])} places of {file}: adapt it")
        yield Mutant(one["name"], file, text.replace(one["old"], one["new"]))


# Made from the code

TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def generated() -> Iterator[Mutant]:
    """Make every mutant that the rules below allow."""
    for file in FILES:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        for function in _functions(tree):
            for number, node in enumerate(ast.walk(function)):
                for what, change in _changes(node):
                    other = copy.deepcopy(tree)
                    twin = next(one for one in _functions(other) if one.lineno == function.lineno)
                    change(list(ast.walk(twin))[number])
                    line = getattr(node, "lineno", function.lineno)
                    text = ast.unparse(ast.fix_missing_locations(other)) + "\n"
                    yield Mutant(f"{function.name}, line {line}: {what}", file, text)


Change = Callable[[Any], None]


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and not _is_overload(node)]


def _is_overload(node: ast.FunctionDef) -> bool:
    return len(node.body) == 1 and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """List the changes that a node allows, each with its name."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in TURNED:
            turned = TURNED[type(operator)]
            yield f"{type(operator).__name__} becomes {turned.__name__}", lambda one: one.ops.__setitem__(0, turned())
        case ast.BoolOp(op=operator):
            other = ast.Or if isinstance(operator, ast.And) else ast.And
            yield f"{type(operator).__name__} becomes {other.__name__}", lambda one: setattr(one, "op", other())
        case ast.If():
            yield "the condition is always true", lambda one: setattr(one, "test", ast.Constant(True))
            yield "the condition is never true", lambda one: setattr(one, "test", ast.Constant(False))
        case ast.Constant(value=int() as value) if not isinstance(value, bool) and value < 0o400:
            yield f"{value} becomes {value + 1}", lambda one: setattr(one, "value", one.value + 1)
        case ast.Expr(value=ast.Call(func=called)) if _name(called) not in REPORTING:
            yield f"{_name(called)}() is dropped", lambda one: setattr(one, "value", ast.Constant(None))


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else "?"


# Judging


def judge(mutant: Mutant, folder: Path) -> str | None:
    """Put the mutant into the copy and run the tests; return which judge killed it, None when none did."""
    target = folder / mutant.file
    target.write_text(mutant.text, "utf-8")
    try:
        for command in JUDGES:
            if not _passes(command, folder):
                return command[-1]
        return None
    finally:
        shutil.copy(ROOT / mutant.file, target)


def _passes(command: tuple[str, ...], folder: Path) -> bool:
    surroundings = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, check=False, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def copy_project(folder: Path) -> None:
    """Copy what the tests need."""
    folder.mkdir()
    for name in ("envagent", "steps", "migrations", "tests", "pyproject.toml", "requirements-dev.lock"):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "corpus")
            shutil.copytree(source, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, folder / name)


def main() -> int:
    """Try the chosen mutants and a sample of the generated ones; print which were killed by what."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.mutants")
    parser.add_argument("--only", default="", help="try the mutants whose name contains this")
    parser.add_argument("--sample", type=int, default=GENERATED, help="how many of the generated mutants to try")
    parser.add_argument("--seed", type=int, default=1, help="draws the sample")
    parser.add_argument("--workers", type=int, default=1, help="copies of the project side by side")
    options = parser.parse_args()
    began = time.monotonic()
    mutants = [one for one in by_hand() if options.only in str(one)]
    others = [one for one in generated() if options.only in str(one)]
    mutants += random.Random(options.seed).sample(others, min(options.sample, len(others)))
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory(prefix="envagent-mutants-") as name:
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.workers):
            folder = Path(name) / str(number)
            copy_project(folder)
            folders.put(folder)
        for command in JUDGES:
            if not _passes(command, folder):
                raise SystemExit(f"the unchanged project does not pass: {' '.join(command)}")

        def judged(mutant: Mutant) -> str | None:
            own = folders.get()
            try:
                return judge(mutant, own)
            finally:
                folders.put(own)

        with ThreadPoolExecutor(options.workers) as pool:
            for number, (mutant, by) in enumerate(zip(mutants, pool.map(judged, mutants), strict=True), 1):
                if by is None:
                    verdicts.survived.append(str(mutant))
                else:
                    verdicts.killed[str(mutant)] = by
                verdict = "SURVIVED" if by is None else f"killed by {by}"
                sys.stdout.write(f"{number}/{len(mutants)} {verdict}: {mutant}\n")
                sys.stdout.flush()
    share = len(verdicts.killed) / max(1, len(mutants))
    sys.stdout.write(
        f"mutants: {len(mutants)} tried in {time.monotonic() - began:.0f} s\n"
        f"  killed   {len(verdicts.killed)} ({share:.0%})\n"
        f"  survived {len(verdicts.survived)}\n"
    )
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
