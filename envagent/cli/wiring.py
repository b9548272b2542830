"""Build what a command works with: services, advisor, runner and teardown of one run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from envagent.cli.clouds import CloudAccess
from envagent.cli.home import Home
from envagent.cli.render.progress import ProgressLines
from envagent.cli.run_log import RunLog
from envagent.config import Settings
from envagent.engine.journal import Journal
from envagent.engine.step import Stopped
from envagent.engine.tables import RunRecord
from envagent.errors import AdviceUnavailable, EnvagentError
from envagent.hints import Hint, Option

if TYPE_CHECKING:
    from envagent.advice.advisor import Advisor
    from envagent.advice.ai import Ai
    from envagent.advice.repair import Repairer
    from envagent.cloud.http_session import HttpExchange
    from envagent.cloud.port import Cloud, Identity
    from envagent.engine.changes import ChangeLedger
    from envagent.engine.execution import Leave
    from envagent.engine.removal import Teardown
    from envagent.engine.runner import Runner
    from envagent.engine.runtime import Listener, Runtime
    from envagent.engine.step import RetryPolicy
    from envagent.steps.request import RunRequest
    from envagent.steps.services import Admission, Dearer, Services
    from envagent.steps.setup_pipeline import SetupServices

OPENAI = "https://api.openai.com/v1"


def make_services(
    home: Home,
    journal: Journal,
    access: CloudAccess,
    run_id: str,
    request: RunRequest,
    stop: threading.Event,
    *,
    dearer: Dearer = "refuse",
    count: Callable[[], None] | None = None,
    admission: Admission | None = None,
) -> Services:
    """Make what the steps of one run work with; the cloud is opened now, so a wrong name fails before anything else.

    Args:
        home: where state is kept.
        journal: where the run is recorded.
        access: the cloud.
        run_id: the run's id.
        request: what the run is for.
        stop: set by a stop request.
        dearer: what happens to a node type that costs more than the plan's first choice.
        count: called after each exchange with the cloud.
        admission: whether the run may request something now; always, by default.

    Raises:
        ConfigurationError: no such cloud, or credentials that cannot be used.
        AdviceUnavailable: the AI is required and not configured.
    """
    from envagent.steps.services import Services

    settings = access.settings
    advisor = make_advisor(settings, ai=request.ai, stop=stop)
    log = RunLog(home.run(run_id))

    def record(exchange: HttpExchange) -> None:
        log(exchange)
        if count is not None:
            count()

    cloud = access.connect(record, partial(journal.check_taken, run_id))
    return Services(
        settings,
        run_folder=home.run(run_id),
        key_folder=home.keys,
        connect=lambda: cloud,
        advise=lambda: advisor,
        dearer=dearer,
        admission=admission,
    )


def make_advisor(settings: Settings, *, ai: bool, stop: threading.Event) -> Advisor:
    """Make the advisor: with the AI where one is configured and wanted, else the rules alone.

    Args:
        settings: which AI, and whether it is required.
        ai: whether the user wants one.
        stop: set when the user wants to stop; a question then ends with Stopped.

    Raises:
        AdviceUnavailable: an AI is required and none is configured.
        ConfigurationError: its address or key cannot be used.
    """
    from envagent.advice.advisor import Advisor

    if ai and settings.ai.required and not settings.ai.configured:
        raise AdviceUnavailable(
            "an AI is required (ai.required) and none is configured",
            hint=Hint(
                "set ENVAGENT_AI__API_KEY (and ENVAGENT_AI__BASE_URL), or use only the built-in rules with",
                Option("no_ai"),
            ),
        )
    asked = make_ai(settings, stop) if ai else None
    return Advisor(asked, required=settings.ai.required and ai, longest_hours=settings.lease.max_hours)


def make_repairer(settings: Settings, stop: threading.Event) -> Repairer | None:
    """Make what asks the AI how a failed step of a set-up may be repaired; None where no AI is configured for it."""
    from envagent.advice.repair import Repairer

    asked = make_ai(settings, stop) if settings.ai.repair else None
    return None if asked is None else Repairer(asked)


def make_ai(settings: Settings, stop: threading.Event) -> Ai | None:
    """Make the client of the AI; None where none is configured.

    Raises:
        ConfigurationError: its address or key cannot be used.
    """
    from pydantic import SecretStr

    from envagent.advice.ai import Ai

    def check_stop() -> None:
        if stop.is_set():
            raise Stopped

    if not settings.ai.configured:
        return None
    return Ai(
        base_url=settings.ai.base_url or OPENAI,
        api_key=settings.ai.api_key or SecretStr("none"),
        model=settings.ai.model,
        timeout=settings.ai.timeout_seconds,
        retries=settings.ai.retries,
        sleep=stop.wait,
        check_stop=check_stop,
    )


def make_runner(
    journal: Journal, settings: Settings, listener: Listener, stop: threading.Event, *, leave: Leave | None = None
) -> Runner[Services]:
    """Make the runner of the steps.

    Args:
        journal: where runs are recorded.
        settings: how long it waits and how often it retries.
        listener: receives every event.
        stop: set by a stop request.
        leave: writes what an advance leaves behind, if anything is.
    """
    from envagent.engine.runner import Runner
    from envagent.steps import PROVISIONING

    runtime = _runtime(journal, settings, listener, stop)
    return Runner(PROVISIONING, runtime, retry=_retry_policy(settings), leave=leave)


def make_setup_runner(
    journal: Journal, settings: Settings, listener: Listener, stop: threading.Event
) -> Runner[SetupServices]:
    """Make the runner of a set-up: a start without an answer is sent again at once, for the node starts a job once."""
    from dataclasses import replace

    from envagent.engine.runner import Runner
    from envagent.steps.setup_pipeline import SETUP

    runtime = replace(_runtime(journal, settings, listener, stop), settle=timedelta())
    return Runner(SETUP, runtime, retry=_retry_policy(settings))


def _runtime(journal: Journal, settings: Settings, listener: Listener, stop: threading.Event) -> Runtime:
    from envagent.engine.runtime import Runtime

    return Runtime(
        journal,
        settle=timedelta(seconds=settings.settle_seconds),
        removal_timeout=timedelta(seconds=settings.removal_timeout_seconds),
        listener=listener,
        stop=stop,
    )


def _retry_policy(settings: Settings) -> RetryPolicy:
    from envagent.engine.step import RetryPolicy

    retry = settings.retry
    return RetryPolicy(retry.tries, retry.first_seconds, retry.longest_seconds)


@contextmanager
def opened_teardown(
    home: Home, journal: Journal, access: CloudAccess, row: RunRecord, listener: Listener, stop: threading.Event
) -> Iterator[Teardown]:
    """Open the teardown of one run, on the cloud where the run was started.

    Raises:
        ConfigurationError: no such cloud, or credentials that cannot be used.
        RunMismatch: the credentials belong to another project, site or user: absence there would prove nothing.
    """
    from envagent.engine.removal import Teardown
    from envagent.steps.resources import registered_keys, removal_order

    intents = journal.intents(row.run_id)
    log, permit = RunLog(home.run(row.run_id)), partial(journal.check_taken, row.run_id)
    cloud = access.connect(log, permit) if intents else None  # without an intent nothing was created
    try:
        if cloud is not None:
            _check_identity(journal, _log_in(cloud, _retry_policy(access.settings), stop), row.run_id)
        kinds = () if cloud is None else tuple(removal_order(cloud, registered_keys(intents)))
        yield Teardown(_runtime(journal, access.settings, listener, stop), kinds)
    finally:
        if cloud is not None:
            cloud.close()


def change_ledger(
    journal: Journal, access: CloudAccess, row: RunRecord, cloud: Cloud, output: ProgressLines, stop: threading.Event
) -> ChangeLedger:
    """Make the ledger that changes what a run has created, on the cloud where the run was started.

    Raises:
        RunMismatch: the credentials belong to another project, site or user.
    """
    from envagent.engine.changes import ChangeLedger
    from envagent.engine.loaded_run import Inventory

    _check_identity(journal, _log_in(cloud, _retry_policy(access.settings), stop), row.run_id)
    journal.take(row)
    runtime = _runtime(journal, access.settings, output, stop)
    return ChangeLedger(runtime, Inventory.load(journal, row.run_id), "extend")


def access_ledger(
    journal: Journal, settings: Settings, row: RunRecord, listener: Listener, stop: threading.Event
) -> ChangeLedger:
    """Make the ledger that changes who may log in to a run's server, which can be looked at at once."""
    from dataclasses import replace

    from envagent.engine.changes import ChangeLedger
    from envagent.engine.loaded_run import Inventory

    journal.take(row)
    runtime = replace(_runtime(journal, settings, listener, stop), settle=timedelta())
    return ChangeLedger(runtime, Inventory.load(journal, row.run_id), "share")


def _log_in(cloud: Cloud, retry: RetryPolicy, stop: threading.Event) -> Identity:
    """Log in, retrying: a removal must not fail because Keystone was restarted."""
    failures = 0
    while True:
        try:
            return cloud.identity()
        except EnvagentError as error:
            failures += 1
            if not error.retryable or failures > retry.tries:
                raise
            if stop.wait(retry.pause(failures, error.retry_after)):
                raise Stopped from None


def _check_identity(journal: Journal, now: Identity, run_id: str) -> None:
    from envagent.steps.initialize import Initialized, must_match

    for row in journal.stages(run_id):
        if row.model == Initialized.__name__ and row.output is not None:
            must_match(run_id, now, Initialized.model_validate_json(row.output).identity)
