"""The extension of a run's lease, from the question to the record.

The caller has opened the journal and holds the run's lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from envagent.cli import interaction
from envagent.cli.audience import Audience
from envagent.cli.clouds import reach
from envagent.cli.documents.costs import latest
from envagent.cli.documents.json_models import CostPart
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.run_list import Labels
from envagent.cli.documents.run_models import RunDocument
from envagent.cli.home import Home, request_of
from envagent.cli.interaction import Stop
from envagent.cli.render import times
from envagent.cli.render.progress import ProgressLines
from envagent.cli.run_session import Ended
from envagent.cli.wiring import change_ledger, make_runner, make_services
from envagent.config import Settings
from envagent.engine.journal import Journal
from envagent.engine.step import NotYet, Stopped
from envagent.engine.tables import IntentState, ResourceState, RunRecord
from envagent.errors import EnvagentError, QuotaExceeded, RunStateError, UsageError
from envagent.fleet.turns import RunTurns, Turns
from envagent.hints import THIS_RUN, Command, Hint, status
from envagent.steps.info_file import mark_extended
from envagent.steps.lease_extension import KIND, LeaseExtension, Longer, extend, extension, in_words
from envagent.steps.resources import lease_kind

if TYPE_CHECKING:
    from envagent.engine.changes import ChangeLedger
    from envagent.engine.runner import Runner
    from envagent.steps.services import Services

Tell: TypeAlias = Callable[[Ended, bool], int]
"""Reports a result, and whether the lease was extended; returns the exit code."""


class ExtensionSession:
    """Extend the lease of one run."""

    def __init__(self, home: Home, journal: Journal, settings: Settings, audience: Audience) -> None:
        self._home = home
        self._journal = journal
        self._settings = settings
        self._audience = audience
        self._terminal = audience.terminal

    def extend(self, row: RunRecord, asked: Longer, max_su: float | None, tell: Tell) -> int:
        """Ask, request the later end, record it and report it.

        Args:
            row: the run.
            asked: how much longer, or until when.
            max_su: the most that it may cost.
            tell: reports the result, and whether it is an extension. Only then is the extension over: before that, a
                repeated command adds no other.

        Returns:
            What `tell` returns.

        Raises:
            UsageError: nobody can be asked.
            QuotaExceeded: it would cost more than the user's limit.
            EnvagentError: it was refused, or the cloud cannot be reached.
        """
        document = self._document(row)
        held = latest(self._journal.resources(row.run_id), "lease")
        cost = document.cost
        if row.teardown_at is not None or held is None or held.state == ResourceState.ABSENT or cost is None:
            raise RunStateError(f"run {row.run_id} has no lease to extend", hint=Hint(status()))
        access = reach(document.cloud, self._settings)
        budget = None
        if row.owner is not None and not isinstance(self._home.journal, Path):
            budget = RunTurns(Turns(self._journal), row.run_id, row.owner)
        with ExitStack() as stack:
            output = ProgressLines(self._terminal)
            stop = stack.enter_context(self._audience.stoppable(lambda: output.say("Stopping."), output.restore))
            services = make_services(self._home, self._journal, access, row.run_id, request_of(row), stop.event)
            stack.callback(services.close)
            cloud = services.cloud
            ledger = change_ledger(self._journal, access, row, cloud, output, stop.event)
            runner = make_runner(self._journal, access.settings, output, stop.event)
            stack.callback(runner.close)
            lease = lease_kind(cloud).read_own(ledger, held.cloud_id, held.name)
            chosen = extension(ledger, lease, asked, times.now(), reported=Labels.of(row).extended)
            if chosen is None:
                self._terminal.line(f"Nothing to do: the lease ends {times.both(lease.end)}.")
                row = self._recorded(ledger, services, runner, row, lease.id)
                return tell(Ended(self._document(row), closing=False), False)
            number, wanted = chosen.number, chosen.wanted
            if lease.end < wanted.end:
                self._check_price(cost, wanted, max_su)
                if not access.simulated and not self._agreed(document, cost, wanted, stop):
                    self._terminal.line("The lease was not extended.")
                    code = interaction.DECLINED if stop.signal is None else stop.exit_code
                    return tell(Ended(document, code, closing=False), False)
                if budget is not None:
                    budget.extension(number, _price(cost, wanted))
            try:
                told = ""
                while isinstance(waiting := extend(cloud, ledger, number, lease, wanted), NotYet):
                    if waiting.wait != told:
                        output.say(f"waiting for {waiting.wait}")
                        told = waiting.wait
                    left = ((waiting.look_again or times.now()) - times.now()).total_seconds()
                    ledger.runtime.clock.sleep(left, stop.event)
                    ledger.runtime.check_stop()
            except Stopped:
                self._terminal.line("Stopped. Repeat the command to see what became of the request.")
                return tell(Ended(document, stop.exit_code, closing=False), False)
            except EnvagentError:
                if budget is not None and _was_refused(ledger, number):
                    budget.withdraw(number)
                raise
            finally:
                ledger.flush()
            row = self._recorded(ledger, services, runner, row, lease.id)
            document = self._document(row)
            self._mark_file(document)
            if chosen.since is not None:
                self._terminal.line(
                    f"This is the extension that was requested at {times.clock(chosen.since)} by a command that was "
                    "interrupted; no other was added. To extend the lease further, repeat the command."
                )
            code = tell(Ended(document, closing=False), True)
            row.labels = json.dumps({**json.loads(row.labels), "extended": number})
            ledger.runtime.store(row)
        return code

    def _recorded(
        self, ledger: ChangeLedger, services: Services, runner: Runner[Services], row: RunRecord, lease_id: str
    ) -> RunRecord:
        """Correct the run's record by the lease as it is now."""
        kind = lease_kind(services.cloud)
        ledger.record_found(kind.name, kind.found(services.cloud.lease(lease_id)))
        ledger.flush()
        return runner.refresh(row, services).run.row

    def _check_price(self, cost: CostPart, wanted: LeaseExtension, max_su: float | None) -> None:
        """Refuse what costs more than `--max-su` or, for the whole lease, more than `lease.max_su`."""
        more, limit = _price(cost, wanted), self._settings.lease.max_su
        if max_su is not None and more > max_su:
            raise QuotaExceeded(
                f"the extension costs {more:g} SU, more than the limit of {max_su:g} SU",
                hint=Hint("extend by less, or allow it:", _again(wanted, max_su=more)),
            )
        if max_su is None and limit is not None and cost.su_estimate + more > limit:
            raise QuotaExceeded(
                f"the lease would cost {cost.su_estimate + more:g} SU, more than the limit of {limit:g} SU",
                hint=Hint("extend by less, or allow it:", _again(wanted, max_su=more)),
            )

    def _agreed(self, document: RunDocument, cost: CostPart, wanted: LeaseExtension, stop: Stop) -> bool:
        if self._audience.yes:
            return True
        if not self._audience.answers:
            raise UsageError(
                f"extend asks before it spends anything, {self._audience.silence}", hint=Hint(_again(wanted, yes=True))
            )
        question = (
            f"Extend the lease of {document.node_type} by {in_words(wanted.minutes)}, until {times.both(wanted.end)}, "
            f"for {_price(cost, wanted):g} SU more?"
        )
        return self._audience.agreed(question, stop.event)

    def _mark_file(self, document: RunDocument) -> None:
        """Write the new end into the file that the run wrote."""
        if document.info_file is None or document.cost is None:
            return
        try:
            mark_extended(Path(document.info_file), document.run_id, document.cost.lease_end)
        except OSError as error:
            self._terminal.line(f"{document.info_file} cannot be written ({error.strerror}): it shows the earlier end")

    def _document(self, row: RunRecord) -> RunDocument:
        return run_document(StoredRun.load(self._journal, row, working=False))


def _was_refused(ledger: ChangeLedger, number: int) -> bool:
    """Return whether it is certain that a request for a longer lease changed nothing."""
    return any((one.number, one.state) == (number, IntentState.REFUSED) for one in ledger.intents(KIND))


def _price(cost: CostPart, wanted: LeaseExtension) -> float:
    return round(cost.su_per_hour * wanted.minutes / 60, 2)


def _again(wanted: LeaseExtension, **options: float | bool) -> Command:
    return Command("extend", (THIS_RUN, in_words(wanted.minutes)), tuple(options.items()))
