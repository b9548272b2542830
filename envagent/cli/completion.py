"""Shell completion of run ids, from the names of the runs' folders: quick, and without opening the journal."""

from __future__ import annotations


def run_ids(incomplete: str) -> list[str]:
    """List the run ids that begin so, newest first, and `last`."""
    from envagent import config
    from envagent.cli.session import Home
    from envagent.errors import EnvagentError

    try:
        folders = sorted(Home(config.load().home).runs.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
    except (EnvagentError, OSError):
        folders = []
    return [name for name in (*(one.name for one in folders), "last") if name.startswith(incomplete)]
