"""With `--site any`: what follows when the chosen site refuses before anything exists there.

A run belongs to one site: its teardown looks for the run's tags there and nowhere else, so that their absence proves
something. The next site therefore gets a run of its own, under the same name. The run that was refused notes the id of
the one that follows, is torn down, and only then does that one start; whoever resumes the first, wherever it was
interrupted, carries on from there. So there is never a lease at two sites.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from envagent.cli.audience import Audience
from envagent.cli.clouds import SiteRanking, reach
from envagent.cli.documents.run_list import Labels
from envagent.cli.duplicates import keeping_name
from envagent.cli.home import Home, read_settings, request_of
from envagent.cli.run_session import Ended, RunSession
from envagent.cli.teardown_session import TeardownSession
from envagent.engine.clock import to_text
from envagent.engine.execution import Execution, Known
from envagent.engine.journal import Journal
from envagent.engine.runner import Runner
from envagent.engine.tables import (
    DecisionRecord,
    IntentState,
    ResourceState,
    RunRecord,
    RunState,
    new_run_id,
)
from envagent.errors import AuthenticationError, CapacityError, EnvagentError, LeaseFailed, NothingSuitable

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from envagent.steps.services import Services

REFUSALS = (CapacityError, AuthenticationError, LeaseFailed, NothingSuitable)
"""Errors after which another site may do better: no capacity, no permission, no lease that starts."""

FREE = frozenset({"keypair"})
"""What a refused run may have created all the same: it costs nothing."""


def site_decision(ranking: SiteRanking, at: datetime) -> Known:
    """Return the choice of a site as a decision that is settled before the run starts."""
    return _decided(ranking.access.name or "OS_*", ranking.reason, ranking.others, to_text(at), ranking.refused)


def _decided(site: str, reason: str, others: Sequence[str], at: str, refused: Sequence[str] = ()) -> Known:
    part = {"value": site, "alternatives": list(others), "rejected": list(refused)}
    record = DecisionRecord(
        run_id="", stage="initialize.log_in", at=at, name="site", source="rules", reason=reason, detail=""
    )
    record.detail = json.dumps({"name": record.name, "source": record.source, "reason": reason, **part})
    return Known((), [record])


def go_on_elsewhere(
    home: Home, journal: Journal, audience: Audience, ended: Ended, config: Sequence[Path] | None
) -> Ended:
    """Begin a run at the next site if the run's own has refused; the caller holds the lock of the run.

    Args:
        home: where state is kept.
        journal: where the runs are recorded.
        audience: who sees it.
        ended: what the run came to.
        config: the files named by --config.

    Returns:
        What the last of the runs came to.
    """
    row = journal.run(ended.document.run_id)
    if ended.error is None or not _is_refused(journal, row, ended.error):
        return ended
    refusal = f"{ended.document.site or ended.document.cloud} refused: {ended.error.message}"
    row.labels = json.dumps({**json.loads(row.labels), "next_run": new_run_id(), "refusal": refusal})
    with journal.transaction() as transaction:
        transaction.save(row)
    return hand_over(home, journal, audience, row, config)


def hand_over(home: Home, journal: Journal, audience: Audience, row: RunRecord, config: Sequence[Path] | None) -> Ended:
    """Tear down a run that was refused, and begin or resume the run that follows it.

    Raises:
        EnvagentError: the site does not respond, or the next run cannot be started.
    """
    labels = Labels.of(row)
    following, (site, *others) = labels.next_run or "", labels.sites
    terminal, settings = audience.terminal, read_settings(config)
    if row.state != RunState.TORN_DOWN:
        terminal.line(("warning: ", "yellow"), f"{labels.refusal}; going on at {site}")
        removed = TeardownSession(home, journal, settings, audience).remove(row, delete_key=True, agreed=True)
        if removed.exit_code != 0:
            return removed
    if journal.selected(RunRecord, [following]):
        from envagent.cli.actions import continue_run

        return continue_run(following, audience, config=config)[0]
    request = request_of(row).model_copy(update={"cloud": site})
    access = reach(site, read_settings(config, repository=request.repository, cloud=site))
    noted = {"other_sites": json.dumps(others), **({"yes": "true"} if labels.yes else {})}
    known = _decided(site, f"{labels.refusal}; this site is the next in the ranking", others, row.updated_at)

    def begin(runner: Runner[Services], services: Services) -> Execution[Services]:
        with keeping_name(journal, row.name):
            return runner.begin(request, services, run_id=following, labels=noted, known=known, name=row.name)

    with home.starting(journal, following):
        ended = RunSession(home, journal, access, audience).go(following, request, begin)
        return go_on_elsewhere(home, journal, audience, ended, config)


def _is_refused(journal: Journal, row: RunRecord, error: EnvagentError) -> bool:
    """Return whether a run's site has refused, nothing that costs exists there, and another site is left."""
    if row.state != RunState.FAILED or not isinstance(error, REFUSALS) or not Labels.of(row).sites:
        return False
    held = [one.kind for one in journal.resources(row.run_id) if one.state != ResourceState.ABSENT]
    perhaps = [one.kind for one in journal.intents(row.run_id) if one.state == IntentState.SENT]
    return FREE.issuperset((*held, *perhaps))
