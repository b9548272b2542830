"""Removal of tagged resources in a project that no run in the journal has: `teardown --orphans`.

This is the way out when a journal is lost or broken. What a run in this journal has is not an orphan: it is listed, and
removed only with --all; such runs are torn down as runs, so that their record stays true. A run that a process works on
now, or that was moved to another journal, is left alone. What other users of the project created is not listed, and
nothing is removed that was not listed when the user agreed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from envagent.cli import interaction
from envagent.cli.audience import Audience
from envagent.cli.clouds import CloudAccess, chosen_cloud, reach
from envagent.cli.documents.json_models import OrphanPart, OrphansDocument
from envagent.cli.documents.run_list import state_of
from envagent.cli.home import Home
from envagent.cli.interaction import Stop
from envagent.cli.render import screens, times
from envagent.cli.render.hint_text import command_text, hint_text
from envagent.cli.render.progress import ProgressLines
from envagent.cli.render.terminal import Terminal
from envagent.cli.wiring import opened_teardown
from envagent.config import Settings
from envagent.engine.intents import REPEAT_DELETE
from envagent.engine.journal import Journal
from envagent.engine.kinds import Found, ResourceKind, object_text
from envagent.engine.run_query import RunQuery
from envagent.engine.step import Stopped
from envagent.engine.tables import RunRecord, RunState
from envagent.errors import (
    Conflict,
    EnvagentError,
    JournalError,
    LeftoversExist,
    OutcomeUnknown,
    RunLocked,
    RunMismatch,
)
from envagent.hints import Command, Hint

PAUSE = 0.5
"""Seconds between two checks of what is being removed."""


@dataclass(frozen=True)
class Orphan:
    """One tagged object."""

    kind: ResourceKind
    found: Found


class Orphans:
    """All tagged objects of the user in one project, and their removal.

    Args:
        everything: whether to remove also what runs in the journal have.
    """

    def __init__(
        self,
        home: Home,
        journal: Journal | None,
        access: CloudAccess,
        audience: Audience,
        stop: threading.Event,
        *,
        everything: bool,
    ) -> None:
        from envagent.steps.resources import registered_keys, removal_order, runs_of_others

        self._home = home
        self._journal = journal
        self._access = access
        self._audience = audience
        self._terminal = audience.terminal
        self._stop = stop
        self._everything = everything
        self.known: dict[str, RunRecord] = {} if journal is None else {row.run_id: row for row in journal.runs()}
        intents = [] if journal is None else [one for run_id in reversed(self.known) for one in journal.intents(run_id)]
        moved = RunQuery(states=(RunState.MOVED,), archived=True)
        self._elsewhere = set() if journal is None else {row.run_id for row in journal.runs(moved)}
        self._cloud = access.connect()
        self._kinds: Sequence[ResourceKind] = tuple(removal_order(self._cloud, registered_keys(intents)))
        self._others = runs_of_others(self._cloud)
        self.found = self._find()
        self.busy = {one.found.run_id for one in self.found if home.is_worked_on(one.found.run_id)}
        self._states = {
            run_id: state_of(row, working=run_id in self.busy) for run_id, row in self.known.items()
        }  # before the removal

    def offers(self, run_id: str) -> bool:
        """Return whether a run's objects are removed."""
        row = self.known.get(run_id)
        held = row is not None and row.state != RunState.TORN_DOWN
        return run_id not in self.busy | self._elsewhere and (self._everything or not held)

    @property
    def offered(self) -> list[Orphan]:
        """What is removed."""
        return [one for one in self.found if self.offers(one.found.run_id)]

    def remove(self) -> None:
        """Remove what is offered.

        Raises:
            Stopped: a stop was requested.
            EnvagentError: the cloud cannot be reached any more.
        """
        for run_id in dict.fromkeys(one.found.run_id for one in self.offered):
            row = self.known.get(run_id)
            if row is not None and row.state != RunState.TORN_DOWN:
                self._tear_down(row)
        for kind in self._kinds:
            self._remove_kind(kind)

    def document(self, *, after: bool) -> OrphansDocument:
        """Return what was found; `after` the removal, check what is left of it."""
        there = {(one.kind.name, one.found.id) for one in self._find()} if after else set()
        parts = [
            OrphanPart(
                kind=one.kind.name,
                id=one.found.id,
                name=one.found.name,
                run_id=one.found.run_id,
                known_as=self._states.get(one.found.run_id),
                offered=self.offers(one.found.run_id),
                outcome="left_alone"
                if not after or not self.offers(one.found.run_id)
                else "still_there"
                if (one.kind.name, one.found.id) in there
                else "removed",
            )
            for one in self.found
        ]
        return OrphansDocument(orphans=parts)

    def close(self) -> None:
        """Close the cloud."""
        self._cloud.close()

    def _find(self) -> list[Orphan]:
        found = [Orphan(kind, one) for kind in self._kinds for one in kind.find(None)]
        return [one for one in found if one.found.run_id not in self._others]

    def _tear_down(self, row: RunRecord) -> None:
        if self._journal is None:
            raise AssertionError("a run is known without a journal")
        output = ProgressLines(self._terminal)
        try:
            with (
                self._home.working_on(row.run_id),
                opened_teardown(
                    self._home, self._journal, self._access, row, self._audience.listener(output), self._stop
                ) as teardown,
            ):
                now = self._journal.run(row.run_id)
                if now.state != RunState.TORN_DOWN and now.updated_at != row.updated_at:
                    self._terminal.line(f"run {row.run_id} was worked on since it was listed; it is skipped")
                    self.busy.add(row.run_id)
                else:
                    teardown.run(now)
        except RunLocked:  # another process has just resumed it
            self.busy.add(row.run_id)
        except (LeftoversExist, RunMismatch) as error:  # what is left is removed without its record
            self._terminal.line(error.message)

    def _remove_kind(self, kind: ResourceKind) -> None:
        """Remove what is left of a kind, and wait until it is gone or the time is up."""
        started = asked = times.now()
        listed = {one.found.id for one in self.offered if one.kind is kind}
        left = [one for one in kind.find(None) if one.id in listed]
        for one in left:
            self._terminal.line(f"removing {object_text(kind.name, one.name)}")
            self._ask(kind, one)
        while left and times.now() - started < timedelta(seconds=self._access.settings.removal_timeout_seconds):
            left = [one for one in left if self._exists(kind, one)]
            if left and times.now() - asked > REPEAT_DELETE:
                asked = times.now()
                for one in left:
                    self._ask(kind, one)
            if left:
                self._stop.wait(PAUSE)

    def _ask(self, kind: ResourceKind, one: Found) -> None:
        if self._stop.is_set():
            raise Stopped
        try:
            kind.delete(one.id)
        except (Conflict, OutcomeUnknown):  # busy, already being removed, or outcome unknown: checked below
            pass
        except EnvagentError as error:
            if not error.retryable:
                raise

    def _exists(self, kind: ResourceKind, one: Found) -> bool:
        if self._stop.is_set():
            raise Stopped
        try:
            return kind.exists(one.id)
        except EnvagentError as error:
            if not error.retryable:
                raise
            return True


def remove_orphans(
    home: Home,
    settings: Settings,
    audience: Audience,
    *,
    everything: bool = False,
    dry_run: bool = False,
) -> tuple[OrphansDocument, int]:
    """Find, list, ask, remove and check; return what became of them, and the exit code.

    Args:
        home: where the journal is.
        settings: which cloud.
        audience: who is asked.
        everything: whether to remove also what runs in the journal have.
        dry_run: whether to list only.

    Raises:
        UsageError: nobody can be asked.
        LeftoversExist: something is left; it is named with its id.
    """
    access = reach(chosen_cloud(settings), settings)
    flags: dict[str, str | float | bool] = {"orphans": True}
    flags |= {} if access.name is None else {"cloud": access.name}
    again = Command("teardown", (), tuple((flags | ({"all": True} if everything else {})).items()))
    terminal = audience.terminal
    try:
        with contextlib.ExitStack() as stack:
            journal = _journal(home, stack, terminal)
            stop = stack.enter_context(audience.stoppable(lambda: terminal.line("Stopping after the current request.")))
            orphans = Orphans(home, journal, access, audience, stop.event, everything=everything)
            stack.callback(orphans.close)
            document = orphans.document(after=False)
            screens.show_orphans(terminal, document, command_text(again))
            if dry_run:
                terminal.line("Dry run: nothing was removed.")
                code = 0
            elif orphans.offered:
                code, document = _carry_out(orphans, document, audience, stop, again, free=access.simulated)
            else:
                code = 0
            return document, code
    except EnvagentError as error:
        # The cloud's hints may name a command on a run: what helps here is this command.
        error.run_id = None
        raise


def _carry_out(
    orphans: Orphans, listed: OrphansDocument, audience: Audience, stop: Stop, again: Command, *, free: bool
) -> tuple[int, OrphansDocument]:
    """Ask unless `free`, remove and check; `again` is the command that is being carried out."""
    terminal = audience.terminal
    question = f"Remove these {len(orphans.offered)} resources?"
    if not (free or audience.removal_agreed(question, stop.event, again=again)):
        return stop.exit_code if stop.signal is not None else interaction.DECLINED, listed
    try:
        orphans.remove()
    except Stopped:
        terminal.line(hint_text(Hint("Stopped. To continue:", again)))
        return stop.exit_code, orphans.document(after=True)
    document = orphans.document(after=True)
    left = [one for one in document.orphans if one.outcome == "still_there"]
    if left:
        named = ", ".join(f"{one.kind} {one.name} ({one.id})" for one in left)
        raise LeftoversExist(
            f"not removed: {named}", hint=Hint("try again:", again, "; if that fails, give the help desk the ids above")
        )
    removed = sum(1 for one in document.orphans if one.outcome == "removed")
    terminal.line(f"{removed} removed, nothing is left.")
    return 0, document


def _journal(home: Home, stack: contextlib.ExitStack, terminal: Terminal) -> Journal | None:
    """Open the journal if there is a readable one; this command must work without."""
    if not home.has_journal:
        return None
    try:
        return stack.enter_context(home.opened_journal(everyone=True))
    except JournalError as error:
        terminal.line(("warning: ", "yellow"), f"{error.message}; continuing without it")
        return None
