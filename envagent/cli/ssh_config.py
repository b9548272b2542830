"""The entries for ssh: a file of ours with one for each server, and the line in ~/.ssh/config that includes it.

The file is written whole from the journal, whenever a run was worked on: what is gone has no entry. The user's own
configuration gets one `Include` line if they ask for it, and is otherwise never changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli.home import Home
from envagent.cli.logins import ServerLogin, current_logins
from envagent.cli.render.terminal import err
from envagent.drafts import write_whole
from envagent.engine.journal import Journal
from envagent.engine.lock import file_lock
from envagent.errors import ConfigurationError, EnvagentError
from envagent.hints import Hint

if TYPE_CHECKING:
    from envagent.cli.documents.run_models import RunDocument

HEADER = "# Written by envagent from its journal; changes are lost. Servers that are gone have no entry.\n"
LOCK_SECONDS = 5.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""A server's name that becomes a host's name: without a dot, so that it never hides a host of the Internet."""
_INCLUDE = re.compile(rb"\s*include[\s=]", re.IGNORECASE)
_HOST = re.compile(r"\s*host[\s=]+(.*)", re.IGNORECASE)
_UNWRITABLE = re.compile(r'[\x00-\x1f\x7f*?\[\]"\\]')


def plain_host(run_id: str) -> str:
    """Return the name of a run's server that is always its own."""
    return f"envagent-{run_id}"


def host_of(home: Home, run: RunDocument) -> str | None:
    """Return the name by which plain ssh finds a run's server; None unless the user has included the entries."""
    if not is_included(home):
        return None
    return plain_host(run.run_id) if run.name is None or run.name in _own_hosts() else run.name


def host_names(logins: Iterable[ServerLogin]) -> dict[str, list[str]]:
    """Choose the names of each run's host: one made of the run's id and, where free, the server's and the run's own."""
    logins, taken = list(logins), _own_hosts()
    names = {one.run_id: [plain_host(one.run_id)] for one in logins}
    own = [(one.run_id, one.name) for one in logins if one.name is not None]
    for run_id, name in (*own, *((one.run_id, one.server_name) for one in logins)):
        if _NAME.fullmatch(name) and name not in taken:
            names[run_id].insert(1, name)  # the run's own is the last
            taken.add(name)
    return names


def keep_current(home: Home, journal: Journal) -> None:
    """Write the entries; a failure is reported, and changes nothing for the run that was worked on."""
    try:
        write_entries(home, journal)
    except (EnvagentError, OSError) as error:
        err().line(("warning: ", "yellow"), f"the entries for ssh in {home.ssh_config} are not up to date: {error}")


def write_entries(home: Home, journal: Journal) -> None:
    """Write the file with an entry for each server, if it changes.

    Raises:
        OSError: it cannot be written.
        JournalError: the journal cannot be read.
    """
    with file_lock(home.path / "ssh_config.lock").acquire(timeout=LOCK_SECONDS):
        logins = current_logins(home, journal)
        names = host_names(logins)
        entries = [one.target.config_entry(names[one.run_id]) for one in logins if _on_one_line(one)]
        text = "\n".join([HEADER, *entries])
        there = home.ssh_config.read_text("utf-8", "surrogateescape") if home.ssh_config.exists() else None
        if text != there and (entries or there is not None):
            write_whole(home.ssh_config, os.fsencode(text), mode=0o600)


def is_included(home: Home) -> bool:
    """Return whether ~/.ssh/config includes the entries."""
    wanted = os.fsencode(home.ssh_config)
    return any(_INCLUDE.match(line) and wanted in line for line in _read(_own_file()).splitlines())


def include_entries(home: Home) -> Path | None:
    """Add the line that includes the entries at the top of ~/.ssh/config.

    The rest of the file stays as it is, byte for byte; a symbolic link and permissions are kept.

    Returns:
        The file that was changed; None if the line is there already.

    Raises:
        ConfigurationError: it cannot be changed.
    """
    if is_included(home):
        return None
    entries, path = str(home.ssh_config), _own_file()
    if _UNWRITABLE.search(entries):
        raise ConfigurationError(f"ssh cannot include {entries}", hint=Hint("set ENVAGENT_HOME to another folder"))
    line = f'Include "{entries}"'
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        real = path.resolve()
        mode = real.stat().st_mode & 0o7777 if real.exists() else 0o600
        comment = b"# The servers that envagent has launched; keep this line first.\n"
        write_whole(real, comment + os.fsencode(line) + b"\n\n" + _read(real), mode=mode)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigurationError(
            f"cannot change {path}: {reason}", hint=Hint(f"add this as its first line: {line}")
        ) from None
    return path


def _own_file() -> Path:
    return Path.home() / ".ssh" / "config"


def _own_hosts() -> set[str]:
    """List the names that have an entry of the user's, which is not to be hidden by one of ours."""
    lines = _read(_own_file()).decode("utf-8", "replace").splitlines()
    return {name.strip('"') for line in lines if (match := _HOST.match(line)) for name in match[1].split()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _on_one_line(login: ServerLogin) -> bool:
    """Return whether the paths can be written into the file; a line break in one would start another option."""
    paths = (login.target.private_key, login.target.known_hosts)
    return not any(path is not None and re.search(r"[\x00-\x1f\x7f]", str(path)) for path in paths)
