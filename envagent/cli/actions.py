"""What the commands on runs do, without arguments and last screens: shared by the command line and `envagent.api`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from envagent.errors import UsageError
from envagent.hints import Command, Hint, Option

if TYPE_CHECKING:
    from envagent.cli.audience import Audience
    from envagent.cli.documents.json_models import RunsDocument
    from envagent.cli.documents.run_list import RunFilter
    from envagent.cli.documents.run_models import AnalysisDocument, PlanDocument, RunDocument
    from envagent.cli.extension_session import Tell
    from envagent.cli.home import Home
    from envagent.cli.run_session import Ended
    from envagent.cli.setup_session import SetupEnded
    from envagent.config import Settings
    from envagent.engine.execution import Execution
    from envagent.engine.journal import Journal
    from envagent.engine.runner import Runner
    from envagent.engine.tables import RunRecord
    from envagent.steps.services import Services


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a user wants of a new run; the fields are the options of `envagent run`."""

    repo: str | None = None
    """None with a plan, and for a file of repositories."""
    plan: Path | None = None
    """A saved plan, to be carried out exactly."""
    pack: Path | None = None
    """The folder of a packed run, to be made again."""
    cloud: str | None = None
    node_type: str | None = None
    image: str | None = None
    hours: int | None = None
    max_su: float | None = None
    key_name: str | None = None
    public_key: Path | None = None
    network: str | None = None
    server_name: str | None = None
    floating_ip: bool = True
    ai: bool = True
    ref: str | None = None
    also: Sequence[str] = ()
    start: datetime | None = None
    wait_for_capacity: bool = False
    site: Literal["any"] | None = None
    new: bool = False
    name: str | None = None
    on_failure: Literal["keep", "teardown"] = "keep"
    setup: bool = False
    """Whether the repository is set up on the server as well."""
    repair: bool = True
    """Whether an AI may repair failed steps of the set-up."""
    speed: float | None = None
    config: Sequence[Path] | None = None


def start_run(options: RunOptions, audience: Audience, *, labels: Mapping[str, str] | None = None) -> Ended:
    """Start a run and work on it until it ends.

    Args:
        options: what the user wants.
        audience: who sees it.
        labels: what is noted of the run for lists; runs of the same `batch` are not each other's duplicates.

    Raises:
        EnvagentError: it cannot be started.
    """
    ended, has_setup = _started(options, audience, labels)
    return _with_setup(ended, audience, options.config) if has_setup else ended


def _started(options: RunOptions, audience: Audience, labels: Mapping[str, str] | None) -> tuple[Ended, bool]:
    """Start a run and work on it; return also whether its repository is to be set up."""
    from envagent.cli.duplicates import keeping_name, named_run, offer_existing
    from envagent.cli.home import Home
    from envagent.cli.inputs import check_run_name, writable_folder
    from envagent.cli.next_site import go_on_elsewhere, site_decision
    from envagent.cli.preparation import prepare
    from envagent.cli.render import times
    from envagent.cli.run_session import RunSession
    from envagent.engine.tables import new_run_id

    check_run_name(name := options.name)
    prepared = prepare(options, audience.terminal, output_folder=writable_folder())
    request, known = prepared.request, prepared.known
    if request.setup and not prepared.access.simulated:
        from envagent.cli.setup_session import check_clonable

        check_clonable(request.repository)
    labels = {**prepared.labels, **({"yes": "true"} if audience.yes else {}), **(labels or {})}
    if (ranking := prepared.ranking) is not None:
        known = site_decision(ranking, times.now())
        if "batch" not in labels:  # its question is asked once for all lines, and answered for their sites
            labels["other_sites"] = json.dumps(ranking.others)
    home, run_id = Home.of(prepared.settings), new_run_id()
    with home.opened_journal() as journal:
        if name is not None:
            known_run = named_run(home, journal, name, request, audience, options)
            if known_run is not None:
                return known_run, request.setup
        if not options.new:
            batch = labels.get("batch")
            taken = offer_existing(
                home, journal, request, audience, options.config, commit=prepared.commit, batch=batch
            )
            if taken is not None:
                return taken, request.setup

        def begin(runner: Runner[Services], services: Services) -> Execution[Services]:
            with keeping_name(journal, name):
                return runner.begin(request, services, run_id=run_id, labels=labels, known=known, name=name)

        with home.starting(journal, run_id):
            ended = RunSession(home, journal, prepared.access, audience).go(run_id, request, begin)
            return go_on_elsewhere(home, journal, audience, ended, options.config), request.setup


def make_plan(options: RunOptions, audience: Audience) -> PlanDocument | int:
    """Make the plan of a run; nothing is written to the cloud, and no run is recorded.

    Returns:
        The plan, or the exit code of a stop request.

    Raises:
        EnvagentError: what would fail a run before its approval.
    """
    from envagent.cli.home import Home
    from envagent.cli.plan_session import planned
    from envagent.cli.preparation import prepare

    prepared = prepare(options, audience.terminal)
    return planned(Home.of(prepared.settings), prepared.access, prepared.request, audience)


def analyze_repository(
    repo: str,
    audience: Audience,
    *,
    ai: bool = True,
    ref: str | None = None,
    also: Sequence[str] | None = None,
    config: Sequence[Path] | None = None,
) -> AnalysisDocument | int:
    """Find out what a repository needs; no cloud is contacted, and nothing of it is executed.

    Args:
        repo: its URL, or the path of a local clone.
        audience: who sees it.
        ai: whether a configured AI may make proposals.
        ref: a branch, tag or commit.
        also: documents to read along with it.
        config: the files named by --config.

    Returns:
        What it needs, with the evidence, or the exit code of a stop request.

    Raises:
        EnvagentError: the repository, a document or the configuration cannot be read.
    """
    from envagent.cli.documents.run_document import analysis_document
    from envagent.cli.home import read_settings
    from envagent.cli.inputs import given_documents, stored_name
    from envagent.cli.wiring import make_advisor
    from envagent.engine.step import Stopped
    from envagent.repository.analyzer import analyze
    from envagent.repository.fetch import fetch
    from envagent.repository.git import Cancelled

    repository = stored_name(repo, ref)
    settings = read_settings(config, repository=repository)
    documents = given_documents(also)
    with audience.stoppable(lambda: audience.terminal.line("stopping")) as stop:
        advisor = make_advisor(settings, ai=ai, stop=stop.event)
        try:
            snapshot = fetch(repository, ref=ref, cancelled=stop.event.is_set).with_documents(documents)
            analysis, decision = advisor.requirements(snapshot, analyze(snapshot))
        except (Cancelled, Stopped):
            return stop.exit_code
    return analysis_document(snapshot, analysis, decision)


def resume_run(
    run_id: str, audience: Audience, *, max_su: float | None = None, config: Sequence[Path] | None = None
) -> Ended:
    """Continue a run until it ends, and then the set-up of its repository, if that was asked for.

    Raises:
        EnvagentError: it cannot be continued.
    """
    ended, has_setup = continue_run(run_id, audience, max_su=max_su, config=config)
    return _with_setup(ended, audience, config) if has_setup else ended


def continue_run(
    run_id: str, audience: Audience, *, max_su: float | None = None, config: Sequence[Path] | None = None
) -> tuple[Ended, bool]:
    """Continue a run until it ends; return also whether its repository is to be set up.

    Raises:
        EnvagentError: it cannot be continued.
    """
    from envagent.cli.clouds import reach
    from envagent.cli.documents.run_list import Labels
    from envagent.cli.documents.setup_document import is_unfinished
    from envagent.cli.home import Home, read_settings, request_of
    from envagent.cli.next_site import go_on_elsewhere, hand_over
    from envagent.cli.run_session import RunSession
    from envagent.config import load
    from envagent.engine.tables import RunState
    from envagent.errors import RunStateError
    from envagent.hints import command

    home = Home.of(load(files=config or ()))
    with home.opened_journal(to_read=True) as journal:
        if (found := journal.run(run_id)).owner is not None:
            return _left_to_workers(home, journal, found, "resume", audience), False
        with home.acting_on(journal, found.run_id) as row:
            if Labels.of(row).next_run is not None:
                return hand_over(home, journal, audience, row, config), request_of(row).setup
            if row.state == RunState.TORN_DOWN:
                raise RunStateError(
                    f"run {row.run_id} has been torn down: nothing to resume", hint=Hint(command("run", "URL"))
                )
            request = request_of(row)
            if max_su is not None:
                request = request.model_copy(update={"max_su": max_su})
            access = reach(request.cloud, read_settings(config, repository=request.repository))
            session = RunSession(home, journal, access, audience)
            ended = session.go(
                row.run_id, request, lambda runner, services: runner.resume(row, services, request=request)
            )
            wanted = request.setup or is_unfinished(journal, row.run_id)
            return go_on_elsewhere(home, journal, audience, ended, config), wanted


def list_runs(
    chosen: RunFilter | None = None,
    *,
    limit: int | None = None,
    everyone: bool = False,
    config: Sequence[Path] | None = None,
) -> RunsDocument:
    """Return the list of runs, newest first; it loads no step.

    Args:
        chosen: which runs; all that are not archived by default.
        limit: how many of the newest, apart from those that have a lease; None for all.
        everyone: list those of all owners of a shared journal, for an operator.
        config: the files named by --config.

    Raises:
        UsageError: only an operator may see those of others.
    """
    from envagent.cli.documents.json_models import RunsDocument
    from envagent.cli.documents.run_list import RunFilter, runs_document
    from envagent.cli.home import Home, owner_of, read_settings
    from envagent.errors import RunNotFound

    settings = read_settings(config)
    home = Home.of(settings)
    if everyone and home.owner is not None:
        raise UsageError(
            "only an operator sees the runs of all owners", hint=Hint("set operator = true in [fleet] of envagent.toml")
        )
    try:
        with home.opened_journal(to_read=True) as journal:
            if settings.journal is not None and not everyone:
                journal.seen_by = owner_of(settings)
            return runs_document(journal, home.is_worked_on, chosen or RunFilter(), limit)
    except RunNotFound:
        return RunsDocument(runs=[], more=0, warnings=[])


def read_run(
    run_id: str, audience: Audience, *, refresh: bool = False, config: Sequence[Path] | None = None
) -> RunDocument:
    """Return one run as it is recorded, or with `refresh` as it is in the cloud.

    Raises:
        RunNotFound: there is no such run.
        RunLocked: with `refresh`, another process is working on the run, and checks it anyway.
        EnvagentError: the cloud cannot be reached.
    """
    from envagent.cli.documents.run_document import StoredRun, run_document
    from envagent.cli.documents.setup_document import current_setup
    from envagent.cli.home import Home, read_settings

    settings = read_settings(config)
    home = Home.of(settings)
    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        if refresh:
            row = _refreshed(home, journal, settings, row, audience)
        document = run_document(StoredRun.load(journal, row, working=home.is_worked_on(row.run_id)))
        return document.model_copy(update={"setup": current_setup(home, journal, row)})


def _refreshed(home: Home, journal: Journal, settings: Settings, row: RunRecord, audience: Audience) -> RunRecord:
    """Compare a run's record with the cloud and return it corrected; a run that is being torn down stays as it is."""
    if row.teardown_at is not None:
        return row
    from envagent.cli.clouds import reach
    from envagent.cli.home import request_of
    from envagent.cli.render.progress import ProgressLines
    from envagent.cli.wiring import make_runner, make_services

    with ExitStack() as stack:
        row = stack.enter_context(home.acting_on(journal, row.run_id))
        request = request_of(row)
        access = reach(request.cloud, settings)
        output = ProgressLines(audience.terminal)
        stop = stack.enter_context(audience.stoppable(lambda: output.say("stopping"), output.restore))
        services = make_services(home, journal, access, row.run_id, request, stop.event)
        stack.callback(services.close)
        runner = make_runner(journal, access.settings, output, stop.event)
        stack.callback(runner.close)
        return runner.refresh(row, services).run.row


def _with_setup(ended: Ended, audience: Audience, config: Sequence[Path] | None) -> Ended:
    """Set the repository up on the server of a run that has succeeded."""
    from dataclasses import replace

    if ended.exit_code != 0 or ended.document.state != "succeeded":
        return ended
    done = set_up_run(ended.document.run_id, audience, config=config)
    return replace(ended, document=ended.document.model_copy(update={"setup": done.document}), exit_code=done.exit_code)


def set_up_run(
    run_id: str, audience: Audience, *, repair: bool = True, config: Sequence[Path] | None = None
) -> SetupEnded:
    """Set the repository of a run up on its server, until that ends.

    Args:
        run_id: the run.
        audience: who sees it.
        repair: whether an AI may repair failed steps, unless the run was started without.
        config: the files named by --config.

    Raises:
        EnvagentError: it cannot be started or continued.
    """
    from envagent.cli.clouds import reach
    from envagent.cli.home import Home, read_settings, request_of
    from envagent.cli.setup_session import SetupSession

    settings = read_settings(config)
    home = Home.of(settings)
    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        access = reach(request_of(row).cloud, settings)
        return SetupSession(home, journal, access, audience, repair=repair).go(row)


def extend_run(
    run_id: str,
    audience: Audience,
    tell: Tell,
    *,
    length: timedelta | None = None,
    until: datetime | None = None,
    max_su: float | None = None,
    config: Sequence[Path] | None = None,
) -> int:
    """Extend the lease of a run.

    Args:
        run_id: the run.
        audience: who is asked.
        tell: reports the result, and whether it is an extension; returns the exit code.
        length: how much longer.
        until: until when, in place of `length`.
        max_su: the most that it may cost.
        config: the files named by --config.

    Raises:
        UsageError: not exactly one of `length` and `until` is given.
        EnvagentError: it was refused, or nobody can be asked.
    """
    if (length is None) == (until is None):
        raise UsageError(
            "name either how much longer, or until when",
            hint=Hint(Command("extend", (run_id, "6h")), "; or with", Option("until", "TIME")),
        )
    from envagent.cli.extension_session import ExtensionSession
    from envagent.cli.home import Home, read_settings
    from envagent.steps.lease_extension import Longer

    settings = read_settings(config)
    home = Home.of(settings)
    with home.opened_journal(to_read=True) as journal, home.acting_on(journal, journal.run(run_id).run_id) as row:
        return ExtensionSession(home, journal, settings, audience).extend(row, Longer(length, until), max_su, tell)


def tear_down_run(
    run_id: str,
    audience: Audience,
    *,
    dry_run: bool = False,
    delete_key: bool = False,
    config: Sequence[Path] | None = None,
) -> Ended:
    """Remove what a run created, or with `dry_run` list it.

    Raises:
        EnvagentError: the removal cannot be started.
    """
    from envagent.cli.home import Home, read_settings
    from envagent.cli.teardown_session import TeardownSession

    settings = read_settings(config)
    home = Home.of(settings)
    with home.opened_journal(to_read=True) as journal:
        if (found := journal.run(run_id)).owner is not None and not dry_run:
            return _left_to_workers(home, journal, found, "remove", audience)
        with home.acting_on(journal, found.run_id) as row:
            removal = TeardownSession(home, journal, settings, audience)
            if dry_run:
                return removal.preview(row, delete_key=delete_key)
            return removal.remove(row, delete_key=delete_key)


def _left_to_workers(
    home: Home, journal: Journal, row: RunRecord, work: Literal["resume", "remove"], audience: Audience
) -> Ended:
    """Ask the workers who carry out a submitted run."""
    from envagent.cli.submission import ask_workers
    from envagent.fleet.jobs import Work

    return ask_workers(home, journal, row, Work(work), audience)
