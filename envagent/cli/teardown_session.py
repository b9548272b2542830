"""The teardown of one run, from the question to the last line.

The caller has opened the journal and holds the run's lock.
"""

from __future__ import annotations

from pathlib import Path

from envagent.cli import interaction
from envagent.cli.audience import Audience
from envagent.cli.clouds import CloudAccess, is_sandbox, reach
from envagent.cli.documents.json_models import ErrorPart
from envagent.cli.documents.run_document import StoredRun, resource_part, run_document, stored_output
from envagent.cli.documents.run_models import RunDocument
from envagent.cli.home import Home
from envagent.cli.interaction import Stop
from envagent.cli.render import screens
from envagent.cli.render.hint_text import hint_text
from envagent.cli.render.progress import ProgressLines
from envagent.cli.run_session import Ended
from envagent.cli.wiring import opened_teardown
from envagent.config import Settings
from envagent.engine.journal import Journal
from envagent.engine.removal import in_doubt
from envagent.engine.step import Stopped
from envagent.engine.tables import RunRecord, RunState
from envagent.errors import EnvagentError, UsageError
from envagent.hints import Command, Hint, Shell, teardown
from envagent.steps.ensure_keypair import ChosenKey, EnsuredKeypair
from envagent.steps.info_file import mark_torn_down


class TeardownSession:
    """Remove what one run created."""

    def __init__(self, home: Home, journal: Journal, settings: Settings, audience: Audience) -> None:
        self._home = home
        self._journal = journal
        self._settings = settings
        self._audience = audience
        self._terminal = audience.terminal

    def remove(self, row: RunRecord, *, delete_key: bool, agreed: bool = False) -> Ended:
        """Ask, remove and report.

        Args:
            row: the run.
            delete_key: whether to delete the private key that was created for it.
            agreed: whether nothing is to be asked: the run has nothing that anybody could miss.

        Raises:
            UsageError: nobody can be asked.
            EnvagentError: the cloud cannot be reached, or the credentials are for another project.
        """
        document = self._document(row)
        over = row.state == RunState.TORN_DOWN
        if over and not in_doubt(self._journal, row.run_id):
            self._terminal.line(f"run {row.run_id} is already torn down")
        else:
            if over:
                self._terminal.line(
                    f"run {row.run_id} is torn down, but one of its requests got no response; "
                    "checking whether it was carried out later"
                )
            access = reach(document.cloud, self._settings)
            output = ProgressLines(self._terminal)
            with self._audience.stoppable(lambda: _announce_stop(output), output.restore) as stop:
                if not over and not agreed and not self._agreed(document, access, stop):
                    return Ended(document, stop.exit_code if stop.signal is not None else interaction.DECLINED)
                failed = self._carry_out(row, access, output, stop)
            if failed is not None:
                return failed
        used = self._document(row).cost
        if used is not None:
            screens.show_used(self._terminal, used)
        self._settle_key(row, document, delete=delete_key)
        self._mark_file(document)
        return Ended(self._document(row))

    def preview(self, row: RunRecord, *, delete_key: bool) -> Ended:
        """Show what would be removed, as the cloud has it now; nothing is removed or recorded.

        Raises:
            EnvagentError: the cloud cannot be reached, or the credentials are for another project.
        """
        document = self._document(row)
        access = reach(document.cloud, self._settings)
        output = ProgressLines(self._terminal)
        with self._audience.stoppable(lambda: _announce_stop(output), output.restore) as stop:
            try:
                with opened_teardown(self._home, self._journal, access, row, output, stop.event) as removal:
                    listed = [resource_part(one) for one in removal.preview(row)]
            except Stopped:
                return Ended(document, stop.exit_code)
        screens.show_removable(self._terminal, listed)
        key = self._made_key(row) if delete_key else None
        if key is not None and key.exists() and self._other_user(row, key) is None:
            self._terminal.line(f"the private key {key} would be removed as well")
        self._terminal.line("Dry run: nothing was removed.")
        return Ended(document.model_copy(update={"would_remove": listed}))

    def _agreed(self, document: RunDocument, access: CloudAccess, stop: Stop) -> bool:
        if access.simulated:
            return True
        screens.show_existing(self._terminal, document)
        question = f"Remove everything that run {document.run_id} created?"
        return self._audience.removal_agreed(question, stop.event, again=Command("teardown", (document.run_id,)))

    def _carry_out(self, row: RunRecord, access: CloudAccess, output: ProgressLines, stop: Stop) -> Ended | None:
        """Remove everything; return None once all is gone."""
        try:
            listener = self._audience.listener(output)
            with opened_teardown(self._home, self._journal, access, row, listener, stop.event) as removal:
                removed = removal.run(row)
        except Stopped:
            self._terminal.line(hint_text(Hint("Stopped. To continue:", teardown()), row.run_id))
            return Ended(self._document(row), stop.exit_code)
        except EnvagentError as error:
            part = ErrorPart.of(error, row.run_id, removing=True)
            screens.show_error(self._terminal, part)
            return Ended(self._document(row).model_copy(update={"error": part}), error.exit_code, error)
        self._terminal.line(f"Run {row.run_id} is torn down: {len(removed)} removed, nothing is left.")
        return None

    def _mark_file(self, document: RunDocument) -> None:
        """Remove the login from the file that the run wrote."""
        from envagent.engine.clock import SystemClock, to_text

        if document.info_file is None:
            return
        try:
            mark_torn_down(Path(document.info_file), document.run_id, to_text(SystemClock().now()))
        except OSError as error:
            self._terminal.line(f"{document.info_file} cannot be written ({error.strerror}): it still shows the login")

    def _settle_key(self, row: RunRecord, document: RunDocument, *, delete: bool) -> None:
        """Remove the private key that was created for the run, or say how; never one that another run uses."""
        path = self._made_key(row)
        if path is None or not path.exists():
            if delete:
                self._terminal.line("No private key was removed: none was created for this run.")
            return
        other = self._other_user(row, path)
        if other is not None:
            self._terminal.line(f"The private key {path} was kept: run {other} uses it as well.")
            return
        if not delete and not is_sandbox(document.cloud) and self._audience.answers:
            with self._audience.stoppable() as stop:
                delete = self._audience.agreed(f"Remove the private key {path} as well?", stop.event)
        if not delete:
            kept = Hint(f"The private key {path} was kept. To remove it:", teardown(delete_key=True))
            self._terminal.line(hint_text(kept, row.run_id))
            return
        try:
            path.unlink()
        except OSError as error:
            raise UsageError(
                f"the private key {path} cannot be removed: {error.strerror}", hint=Hint(Shell("rm", str(path)))
            ) from None
        self._terminal.line(f"Removed the private key {path}.")

    def _made_key(self, row: RunRecord) -> Path | None:
        chosen = stored_output(self._journal.stages(row.run_id), ChosenKey)
        return self._home.keys / chosen.name if chosen is not None and chosen.origin == "created" else None

    def _other_user(self, row: RunRecord, path: Path) -> str | None:
        """Return another run that is not torn down and logs in with the key."""
        for other in self._journal.runs():
            if other.run_id != row.run_id and other.state != RunState.TORN_DOWN:
                stages = self._journal.stages(other.run_id)
                used = stored_output(stages, EnsuredKeypair) or stored_output(stages, ChosenKey)
                if self._made_key(other) == path or (used is not None and used.private_key == path):
                    return other.run_id
        return None

    def _document(self, row: RunRecord) -> RunDocument:
        return run_document(StoredRun.load(self._journal, row, working=False))


def _announce_stop(output: ProgressLines) -> None:
    output.say(("Stopping after the current request. ", "yellow"), "Press Ctrl-C again to quit immediately.")
