"""Reports of bugs: the traceback and the version, in a file for its owner alone, without secrets."""

from __future__ import annotations

import os
import platform
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from envagent import __version__


def write_report(error: BaseException, arguments: list[str]) -> Path | None:
    """Write the report below ENVAGENT_HOME, or where that is impossible in the temporary folder.

    Returns:
        The file; None when it can be written nowhere.
    """
    from envagent.advice.untrusted import redact

    now = datetime.now(UTC)
    text = "\n".join(
        [
            f"envagent {__version__}, Python {platform.python_version()}, {platform.platform()}, {now.isoformat()}",
            f"arguments: {arguments!r}",
            "".join(traceback.format_exception(error)),
        ]
    )
    for folder in _folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(".txt", f"{now:%Y%m%d-%H%M%S}-", folder)  # created 0600
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(redact(text))
        except OSError:
            continue
        return Path(name)
    return None


def _folders() -> list[Path]:
    from envagent import config

    elsewhere = Path(tempfile.gettempdir())
    try:
        return [config.load().home / "crash", elsewhere]
    except Exception:  # whatever is wrong there, the first bug must be told
        return [elsewhere]
