"""The house keeps its order: which way imports run, and which room may know which library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.crash.mutants import by_hand

ROOT = Path(__file__).parents[2]
ROOMS = {
    "hints": set(),
    "errors": {"hints"},
    "catalog": set(),
    "engine": {"errors", "hints", "migrations", "wire"},
    "migrations": {"engine"},
    "repository": {"errors", "hints", "catalog", "children", "wire"},
    "cloud": {"errors", "hints", "catalog", "wire"},
    "advice": {"errors", "hints", "catalog", "repository", "cloud", "wire"},
    "environment": {"repository"},
    "provenance": set(),
    "drafts": set(),
    "wire": set(),
    "children": set(),
    "config": {"errors", "hints", "provenance"},
    "keys": {"drafts", "errors", "hints", "children"},
    "ssh": {"errors", "hints", "children", "keys"},
    "sandbox": set(),
    "api": {"cli", "errors", "hints"},
    "web": {"cli", "drafts", "engine", "errors", "hints"},
    "fleet": {"engine", "errors", "hints"},
    "diagrams": {"cloud", "engine", "steps"},
    "steps": {
        "drafts",
        "errors",
        "hints",
        "catalog",
        "engine",
        "environment",
        "repository",
        "cloud",
        "advice",
        "config",
        "keys",
        "ssh",
    },
}
"""Each room with the rooms that it may import; cli may import all."""

_DATABASE = {"engine/journal.py", "engine/postgres.py", "engine/sqlite_file.py"}

LIBRARIES = {
    "openstack": {"cloud"},
    "keystoneauth1": {"cloud"},
    "blazarclient": {"cloud"},
    "requests": {"cloud"},
    "openai": {"advice/ai.py"},
    "pypdf": {"repository/pdf.py"},
    "charset_normalizer": {"repository/decoding.py"},
    "markdown_it": {"repository/documents/markdown.py"},
    "docutils": {"repository/documents/restructured.py"},
    "rich": {"cli"},
    "IPython": {"cli/render/notebook_view.py"},
    "typer": {"cli"},
    "click": {"cli"},
    "sqlmodel": {"engine/tables.py"},
    "sqlalchemy": {
        *_DATABASE,
        "engine/run_query.py",
        "engine/statements.py",
        "engine/tables.py",
        "fleet/fleet_schema.py",
        "migrations",
    },
    "psycopg": {"engine/postgres.py"},
    "procrastinate": {"fleet", "migrations"},
    "alembic": {"engine/journal.py", "migrations"},
    "filelock": {"engine/lock.py"},
    "starlette": {"sandbox", "web"},
    "uvicorn": {"sandbox", "web/service.py"},
    "rocrate": {"cli/crate.py"},
    "jinja2": {"web/shown.py"},
    "jsonschema": {"sandbox"},
    "asyncssh": {"sandbox/ssh_sessions.py"},
}


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Give every module of the product by its path below the package, steps and migrations included."""
    return tuple(_parsed())


def _parsed() -> Iterator[tuple[str, ast.Module]]:
    for folder, prefix in ((ROOT / "envagent", ""), (ROOT / "steps", "steps/"), (ROOT / "migrations", "migrations/")):
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder).as_posix()
            if not prefix and relative.startswith(("steps/", "migrations/")):
                continue
            yield prefix + relative, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def test_imports_run_one_way() -> None:
    wrong = []
    for path, tree in modules():
        room = room_of(path)
        if room in ("cli", "__init__", "__main__"):
            continue
        allowed = ROOMS[room] | {room}
        for name in imported(tree):
            parts = name.split(".")
            if parts[0] == "envagent" and len(parts) > 1 and parts[1] in {*ROOMS, "cli"} and parts[1] not in allowed:
                wrong.append(f"{path} imports {name}")
    assert wrong == []


def test_each_library_has_its_room() -> None:
    wrong = []
    for path, tree in modules():
        for name in imported(tree):
            places = LIBRARIES.get(name.split(".")[0])
            if places is not None and not any(path == place or path.startswith(f"{place}/") for place in places):
                wrong.append(f"{path} imports {name}")
    assert wrong == []


HEAVY = (
    *("openstack", "blazarclient", "openai", "sqlmodel", "sqlalchemy", "alembic", "starlette", "cryptography"),
    *("docutils", "markdown_it"),
)


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import envagent", (*HEAVY, "envagent.api", "envagent.cli", "pydantic", "rich", "typer")),
        ("import envagent.cli.main", (*HEAVY, "pydantic")),
        ("import envagent.config, envagent.errors, envagent.keys, envagent.ssh", HEAVY),
        ("import envagent.steps", ("openstack", "blazarclient", "openai", "starlette", "cryptography", "alembic")),
        (
            "import envagent.cli.home, envagent.cli.documents.run_list, envagent.cli.render.home_page",  # status
            ("openstack", "alembic", "envagent.steps", "envagent.engine.runner", "envagent.cli.documents.run_models"),
        ),
        ("import envagent.advice.advisor", ("openai",)),
        ("import envagent.sandbox.server", ("asyncssh", "openstack", "yaml")),
    ],
)
def test_nothing_heavy_is_imported_before_its_use(statement: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([one for one in {unwanted!r} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_sandbox_loads_nothing_of_the_rest_of_envagent() -> None:
    code = (
        "import importlib, pkgutil, sys, envagent.sandbox as s\n"
        "for m in pkgutil.iter_modules(s.__path__): importlib.import_module(f'envagent.sandbox.{m.name}')\n"
        "print(sorted(m for m in sys.modules if m.startswith('envagent.') and not m.startswith('envagent.sandbox')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_every_module_says_what_it_owns() -> None:
    silent = [
        path for path, tree in modules() if not ast.get_docstring(tree) and not path.endswith("versions/__init__.py")
    ]
    assert silent == []


def test_no_file_holds_two_subjects() -> None:
    """A file of more than 600 lines has grown a second subject."""
    sizes = {
        path: len(
            (ROOT / ("" if path.startswith(("steps/", "migrations/")) else "envagent") / path).read_text().splitlines()
        )
        for path, _ in modules()
    }
    assert {path: size for path, size in sizes.items() if size > 600} == {}


def test_each_mutation_by_hand_fits_the_code_once() -> None:
    assert len(list(by_hand())) > 40


def test_a_file_name_is_used_once() -> None:
    """Whoever looks for a file by its name finds one; prose and conclusions are rebuilt as one room."""
    names = [Path(path).name for path, _ in modules()]
    twice = {name for name in names if names.count(name) > 1}
    assert twice <= {"__init__.py", "__main__.py"}
