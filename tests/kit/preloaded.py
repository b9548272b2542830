"""Imports what the commands import when they need it, and computes what they keep (see tests/kit/warm.py)."""

import gc
import importlib
import pkgutil
import tempfile
from pathlib import Path

import envagent
from envagent.catalog.gpus import identify
from envagent.repository.analyzer import analyze
from envagent.repository.results import Snapshot
from tests.crash.child import warm_up

_LIBRARIES = (
    "asyncssh",
    "alembic.command",
    "cryptography.hazmat.primitives.serialization",
    "filelock",
    "keystoneauth1.identity",
)
"""What none of our modules imports while it is imported itself."""

for _name in _LIBRARIES:
    importlib.import_module(_name)
for _module in pkgutil.walk_packages(envagent.__path__, "envagent."):
    if not _module.name.endswith(".__main__") and ".migrations" not in _module.name:
        importlib.import_module(_module.name)
with tempfile.TemporaryDirectory() as _folder:
    warm_up([], Path(_folder, "journal.db"))
analyze(Snapshot(url="x", commit=None, entries=(), files={"README.md": "# a\n\nNeeds a GPU.\n"}))
identify("NVIDIA A100")
gc.collect()
gc.freeze()  # a child's collector leaves these alone, so their pages stay shared
