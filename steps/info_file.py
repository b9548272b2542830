"""The file {server_name}_info.json: its name, its owner, and its end with the server.

A file belongs to the run whose run_id is in it. Only the run's own file, or one whose server is gone, is replaced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envagent.drafts import draft_of

ENDING = "_info.json"
UP, TORN_DOWN = "up", "torn_down"
LONGEST_FILE_NAME = 255
"""Bytes, on all common file systems."""
LARGEST = 1 << 20


def save(folder: Path, info: Mapping[str, Any]) -> Path:
    """Write the file; if another run's has the name, the run id is added to it.

    Raises:
        OSError: it cannot be written.
    """
    run_id, server_name = str(info["run_id"]), str(info["server_name"])
    path = folder / _file_name(server_name, ENDING)
    there = _read(path) or {}
    replaced = there.get("run_id") == run_id or there.get("state") == TORN_DOWN
    if not _write(path, info, replace=replaced):
        path = folder / _file_name(server_name, f"_{run_id}{ENDING}")
        _write(path, info, replace=True)
    return path


def mark_torn_down(path: Path, run_id: str, at: str) -> None:
    """Remove from a run's file what is gone: the login, and the private key if it was removed.

    A file that does not exist, or is no longer this run's, is left alone.

    Raises:
        OSError: it cannot be written.
    """
    info = _of_run(path, run_id)
    if info is None:
        return
    changed = info | {"state": TORN_DOWN} | dict.fromkeys(("ssh", "floating_ip", "fixed_ip"))
    changed.setdefault("torn_down_at", at)
    private_key = info.get("private_key")
    if isinstance(private_key, str) and not Path(private_key).exists():
        changed["private_key"] = None
    if changed != info:
        _write(path, changed, replace=True)


def mark_extended(path: Path, run_id: str, end: str) -> None:
    """Write the new end of the lease into a run's file, if it exists and is still this run's.

    Raises:
        OSError: it cannot be written.
    """
    info = _of_run(path, run_id)
    if info is not None and info.get("lease_end") != end:
        _write(path, info | {"lease_end": end}, replace=True)


def _of_run(path: Path, run_id: str) -> dict[str, Any] | None:
    info = _read(path)
    return info if info is not None and info.get("run_id") == run_id else None


def _file_name(server_name: str, ending: str) -> str:
    """Turn a server's name, which may be anything, into a file name of a valid length."""
    name = server_name.replace("/", "_").replace("\0", "_").lstrip(".") or "server"
    return os.fsencode(name)[: LONGEST_FILE_NAME - len(ending)].decode(errors="ignore") + ending


def _read(path: Path) -> dict[str, Any] | None:
    """Read a file of this kind; None for anything else."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        info = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return info if isinstance(info, dict) else None


def _write(path: Path, info: Mapping[str, Any], *, replace: bool) -> bool:
    """Write the file, whole or not at all; False if the name is taken and may not be replaced."""
    with draft_of(path, json.dumps(info, indent=2) + "\n") as draft:
        return _take(path, draft, replace=replace)


def _take(path: Path, draft: Path, *, replace: bool) -> bool:
    if not replace:
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                return False
        else:
            return True
    draft.replace(path)
    return True
