"""Imports what the commands import when they need it (see tests/kit/warm.py)."""

import gc
import importlib
import pkgutil

import envagent

_LIBRARIES = ("alembic.command", "cryptography.hazmat.primitives.serialization", "filelock", "keystoneauth1.identity")
"""What none of our modules imports while it is imported itself."""

for _name in _LIBRARIES:
    importlib.import_module(_name)
for _module in pkgutil.walk_packages(envagent.__path__, "envagent."):
    if not _module.name.endswith(".__main__") and ".migrations" not in _module.name:
        importlib.import_module(_module.name)
gc.collect()
gc.freeze()  # a child's collector leaves these alone, so their pages stay shared
