"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import envagent

ROOT = Path(envagent.__file__).parent
MODULES = sorted(
    ".".join(("envagent", *path.relative_to(ROOT).with_suffix("").parts))
    for room in (ROOT, ROOT / "steps", ROOT / "migrations")
    for path in room.rglob("*.py")
    if ">>>" in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", sorted(set(MODULES)))
def test_examples(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(name))
    assert tried.attempted > 0
    assert tried.failed == 0
