"""Writing files whole or not at all: a draft next to the file is complete before it is renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def draft_of(path: Path, content: str | bytes) -> Iterator[Path]:
    """Write a draft of a file, for its owner alone, and yield its path; what has not got a name by the end is removed.

    Args:
        path: the file; its folder exists.
        content: what it is to contain; text as UTF-8.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".envagent-")  # created 0600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Replace a file, or make it; whoever reads it sees the old one or the new one.

    Raises:
        OSError: it cannot be written; the old one is as it was.
    """
    with draft_of(path, content) as draft:
        draft.chmod(mode)
        draft.replace(path)
