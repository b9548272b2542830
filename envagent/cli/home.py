"""The settings and the home folder: the journal, the folder and lock of each run, the private keys."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envagent import config
from envagent.cli.render.terminal import err
from envagent.config import Settings
from envagent.engine.journal import REVISION, Journal, moved_away
from envagent.engine.lock import is_locked, run_lock
from envagent.engine.tables import RunRecord, RunState
from envagent.errors import ConfigurationError, EnvagentError, RunMismatch, RunNotFound
from envagent.hints import Hint, Shell, command, teardown
from envagent.provenance import others_can_write

if TYPE_CHECKING:
    from envagent.steps.request import RunRequest


def read_settings(files: Iterable[Path] | None, *, repository: str | None = None, **flags: Any) -> Settings:
    """Read the configuration, and report on stderr which files of the current folder are ignored.

    Args:
        files: the files named by --config.
        repository: the repository under analysis.
        flags: settings from the command line.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return config.load(files=files or (), repository=repository, report=lambda line: err().line(line), **flags)


class Home:
    """The folder with all state: journal, run folders, private keys; mode 0700.

    Attributes:
        path: the folder.
        journal: the journal's file in it, or the URL of a database that several machines share.
        owner: whose runs are found there, along with those without an owner; None for all.
    """

    def __init__(self, path: Path, journal: str | None = None, owner: str | None = None) -> None:
        self.owner = owner
        self.path = path.expanduser().absolute()
        self.journal: Path | str = journal or self.path / "journal.db"
        self._changed = False

    @classmethod
    def of(cls, settings: Settings) -> Home:
        """Return the home that the settings name."""
        restricted = settings.journal is not None and not settings.fleet.operator
        return cls(settings.home, settings.journal, owner_of(settings) if restricted else None)

    @property
    def has_journal(self) -> bool:
        """Whether there is a journal yet; a shared one is taken to be there."""
        return isinstance(self.journal, str) or self.journal.exists()

    @property
    def runs(self) -> Path:
        """The folder with a folder for each run."""
        return self.path / "runs"

    @property
    def keys(self) -> Path:
        """The folder of private keys that envagent created."""
        return self.path / "keys"

    @property
    def ssh_config(self) -> Path:
        """The file with an entry for each server that can be logged in to."""
        return self.path / "ssh_config"

    @property
    def web_tokens(self) -> Path:
        """The file with the hashes of the tokens for the web page."""
        return self.path / "web_tokens.json"

    def run(self, run_id: str) -> Path:
        """Return a run's own folder."""
        return self.runs / run_id

    def prepare(self) -> None:
        """Create the folder, or check that only its owner can write to it.

        Raises:
            ConfigurationError: it cannot be created, or others can write to it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
        except OSError as error:
            raise ConfigurationError(
                f"cannot create the folder {self.path}: {error.strerror}",
                hint=Hint("set ENVAGENT_HOME to another one"),
            ) from None
        if others_can_write(status) or os.geteuid() not in (0, status.st_uid):
            raise ConfigurationError(
                f"other users can write to the folder {self.path}, which holds the journal and private keys",
                hint=Hint(Shell("chmod", "go-w", str(self.path)), "; or set ENVAGENT_HOME to a folder of your own"),
            )

    def is_worked_on(self, run_id: str) -> bool:
        """Return whether a process is working on the run."""
        return is_locked(self.run(run_id))

    @contextmanager
    def working_on(self, run_id: str) -> Iterator[None]:
        """Hold the run's lock; errors raised meanwhile belong to this run.

        Raises:
            RunLocked: another process is working on it.
        """
        try:
            with run_lock(self.run(run_id), run_id):
                self._changed = True
                yield
        except EnvagentError as error:
            error.run_id = error.run_id or run_id
            raise

    @contextmanager
    def acting_on(self, journal: Journal, run_id: str) -> Iterator[RunRecord]:
        """Hold the run's lock, and yield its row as the process that held it before left it.

        Raises:
            RunLocked: another process is working on it.
            RunMoved: another journal has it.
        """
        with self.working_on(run_id):
            row = journal.run(run_id)
            if row.state == RunState.MOVED:
                raise moved_away(run_id)
            yield row

    @contextmanager
    def starting(self, journal: Journal, run_id: str) -> Iterator[None]:
        """Hold the lock of a run that is about to start; if it never starts, nothing is left of it."""
        with self.working_on(run_id):
            try:
                yield
            except BaseException:
                try:
                    journal.run(run_id)
                except RunNotFound:
                    shutil.rmtree(self.run(run_id), ignore_errors=True)
                raise

    def run_names(self) -> list[str]:
        """List the names of runs that are not over, newest first, for completion; the journal is not upgraded for it.

        Raises:
            JournalError: it cannot be read.
        """
        if not self.has_journal or Journal.revision(self.journal) != REVISION:
            return []
        journal = Journal.open(self.journal)
        journal.seen_by = self.owner
        try:
            return journal.names()
        finally:
            journal.close()

    @contextmanager
    def opened_journal(self, *, to_read: bool = False, everyone: bool = False) -> Iterator[Journal]:
        """Open the journal; after work on a run, the entries for ssh are brought up to date.

        Args:
            to_read: fail where there is none, instead of creating it.
            everyone: find the runs of all owners.

        Raises:
            JournalError: it cannot be used.
            RunNotFound: `to_read`, and there is none.
        """
        if to_read and not self.has_journal:
            raise RunNotFound(
                f"there are no runs yet in {self.path}", hint=Hint(command("run", "URL", cloud="sandbox"))
            )
        self.prepare()
        journal = Journal.open(self.journal)
        journal.seen_by = None if everyone else self.owner
        if journal.notice is not None:
            err().line(journal.notice)
        try:
            yield journal
        finally:
            if self._changed:
                from envagent.cli.ssh_config import keep_current

                keep_current(self, journal)
            journal.close()


def owner_of(settings: Settings) -> str:
    """Return the owner of what is submitted with these settings."""
    import getpass

    return settings.fleet.owner or getpass.getuser()


def request_of(row: RunRecord) -> RunRequest:
    """Read the request of a stored run.

    Raises:
        RunMismatch: another version of envagent stored it in another format.
    """
    from pydantic import ValidationError

    from envagent.steps.request import RunRequest

    try:
        return RunRequest.model_validate_json(row.request)
    except ValidationError:
        raise RunMismatch(
            f"the request of run {row.run_id} was stored by another version of envagent",
            hint=Hint("resume it with the version that created it, or:", teardown()),
        ) from None
