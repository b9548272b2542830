"""envagent from Python and notebooks: `analyze`, `plan`, `run`, `status`, `extend`, `teardown` and others as calls.

Each returns the pydantic document that the command of the same name prints with `--json`, and raises the errors of
`envagent.errors`. Nothing is asked: what would cost service units, or remove something, must be allowed by an argument.
In the sandbox, which costs nothing, everything is allowed.

    import envagent

    node = envagent.run("https://github.com/karpathy/minGPT", cloud="chi_uc", max_su=24)
    print(node.ssh)
    envagent.teardown(node.run_id, approve=True)

A run shows its progress: as a table in a notebook, on stderr elsewhere. An interrupt (Ctrl-C, or the notebook's stop
button) ends the call after the current request, with KeyboardInterrupt; `resume` continues the run.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from envagent.cli import actions
from envagent.cli.documents.batch_document import BatchDocument
from envagent.cli.documents.json_models import OrphansDocument, RunsDocument
from envagent.cli.documents.plan_document import write_plan
from envagent.cli.documents.run_models import AnalysisDocument, PlanDocument, PlanPart, RunDocument
from envagent.cli.inputs import length_of_time, moment, start_time
from envagent.cli.program import Approval, Program
from envagent.cli.render.hint_text import hint_text
from envagent.errors import EnvagentError
from envagent.hints import Command, Hint, Option, Placeholder, Value

if TYPE_CHECKING:
    from envagent.cli.run_session import Ended

__all__ = [
    "AnalysisDocument",
    "Approval",
    "BatchDocument",
    "OrphansDocument",
    "PlanDocument",
    "PlanPart",
    "RunDocument",
    "RunsDocument",
    "analyze",
    "extend",
    "orphans",
    "plan",
    "resume",
    "run",
    "run_file",
    "status",
    "teardown",
]

Files: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def analyze(
    repo: str | os.PathLike[str],
    *,
    ai: bool = True,
    ref: str | None = None,
    also: Sequence[str] = (),
    config: Files = (),
    progress: bool = True,
) -> AnalysisDocument:
    """Return what a repository needs, and why; no cloud is contacted, and nothing of it is executed.

    Args:
        repo: `https://host/owner/name`, or the path of a local clone.
        ai: whether a configured AI may make proposals.
        ref: a branch, tag or commit.
        also: documents to read along with the repository, as files or URLs.
        config: files to read instead of envagent.toml and .env in the current folder.
        progress: whether to show notes.

    Returns:
        The requirements, and the lines that say so in `evidence`.

    Raises:
        EnvagentError: the repository or a document cannot be read.
        KeyboardInterrupt: the call was interrupted.
    """
    with _errors_for_python():
        audience = Program(False, None, progress=progress)
        made = actions.analyze_repository(os.fspath(repo), audience, ai=ai, ref=ref, also=also, config=_files(config))
        if isinstance(made, int):
            raise KeyboardInterrupt("the analysis was stopped")
        return made


def plan(
    repo: str | os.PathLike[str],
    *,
    cloud: str | None = None,
    max_su: float | None = None,
    node_type: str | None = None,
    image: str | None = None,
    hours: int | None = None,
    network: str | None = None,
    server_name: str | None = None,
    floating_ip: bool = True,
    ai: bool = True,
    ref: str | None = None,
    also: Sequence[str] = (),
    start: datetime | str | None = None,
    wait_for_capacity: bool = False,
    site: Literal["any"] | None = None,
    speed: float | None = None,
    config: Files = (),
    output: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> PlanDocument:
    """Return what a run would reserve, why, and at what price; nothing is created in the cloud.

    The arguments are those of `run`. With `output`, the plan is saved as well, for `run(plan=...)` or `run --plan`.

    Returns:
        The plan, with its estimate in `plan.service_units` and the node types to request, in order, in
        `plan.candidates`.

    Raises:
        EnvagentError: what would fail a run before its approval.
        KeyboardInterrupt: the call was interrupted.
    """
    with _errors_for_python():
        options = actions.RunOptions(
            repo=os.fspath(repo),
            cloud=cloud,
            max_su=max_su,
            node_type=node_type,
            image=image,
            hours=hours,
            network=network,
            server_name=server_name,
            floating_ip=floating_ip,
            ai=ai,
            ref=ref,
            also=also,
            start=_start(start),
            wait_for_capacity=wait_for_capacity,
            site=site,
            speed=speed,
            config=_files(config),
        )
        made = actions.make_plan(options, Program(False, None, progress=progress))
        if isinstance(made, int):
            raise KeyboardInterrupt("planning was stopped; nothing was reserved")
        if output is not None:
            write_plan(Path(output), made)
        return made


def run(
    repo: str | os.PathLike[str] | None = None,
    *,
    plan: PlanDocument | str | os.PathLike[str] | None = None,
    cloud: str | None = None,
    approve: Approval = False,
    max_su: float | None = None,
    node_type: str | None = None,
    image: str | None = None,
    hours: int | None = None,
    key_name: str | None = None,
    public_key: str | os.PathLike[str] | None = None,
    network: str | None = None,
    server_name: str | None = None,
    floating_ip: bool = True,
    ai: bool = True,
    ref: str | None = None,
    also: Sequence[str] = (),
    start: datetime | str | None = None,
    wait_for_capacity: bool = False,
    site: Literal["any"] | None = None,
    name: str | None = None,
    new: bool = False,
    on_failure: Literal["keep", "teardown"] = "keep",
    setup: bool = False,
    speed: float | None = None,
    config: Files = (),
    progress: bool = True,
) -> RunDocument:
    """Reserve and launch a server on which a repository will run, as `envagent run` does.

    Args:
        repo: `https://host/owner/name`, or the path of a local clone.
        plan: a plan to carry out exactly, or its file, in place of `repo` and of what it settles.
        cloud: a name in clouds.yaml, or `sandbox`; by default OS_CLOUD or the OS_* variables.
        approve: True to reserve what the plan says, or a function that gets the plan and returns whether to.
        max_su: approve any plan, and any suitable node type, if the lease costs at most this many service units.
        node_type: reserve this node type.
        image: use this image (name or id).
        hours: the length of the lease, 1 to 168.
        key_name: a keypair in the cloud; registered if it does not exist.
        public_key: a public key file to register; by default a new key is created.
        network: the server's network (name or id).
        server_name: the server's name.
        floating_ip: whether to allocate a floating IP.
        ai: whether a configured AI may make proposals.
        ref: a branch, tag or commit.
        also: documents to read along with the repository, as files or URLs.
        start: when the lease starts; by default now.
        wait_for_capacity: if nothing is free now, reserve the earliest window.
        site: `any` to compare all sites in clouds.yaml and use the best.
        name: a name for the run, for every call in place of its id. If a run for the same has it, that one is
            returned, or continued if it is unfinished.
        new: launch another server, even if a run of this repository and commit has one.
        on_failure: whether to keep or remove resources if the run fails.
        setup: whether to set the repository up on the server then; its code runs there, and never here.
        speed: how many times faster than real time the sandbox works.
        config: files to read instead of envagent.toml, .env and clouds.yaml in the current folder.
        progress: whether to show the progress.

    Returns:
        The run, with `ssh` as the command that logs in. If the function `approve` declined the plan, nothing was
        reserved, its state is `interrupted`, and `resume` asks again.

    Raises:
        UsageError: nothing approves the plan, or an argument is not valid.
        EnvagentError: the run failed; `run_id` names it, and its class tells why.
        KeyboardInterrupt: the call was interrupted.
    """
    audience = Program(approve, max_su, progress=progress)
    with _errors_for_python(), _plan_file(plan) as file:
        options = actions.RunOptions(
            repo=None if repo is None else os.fspath(repo),
            plan=file,
            cloud=cloud,
            node_type=node_type,
            image=image,
            hours=hours,
            max_su=max_su,
            key_name=key_name,
            public_key=None if public_key is None else Path(public_key),
            network=network,
            server_name=server_name,
            floating_ip=floating_ip,
            ai=ai,
            ref=ref,
            also=also,
            start=_start(start),
            wait_for_capacity=wait_for_capacity,
            site=site,
            name=name,
            new=new,
            on_failure=on_failure,
            setup=setup,
            speed=speed,
            config=_files(config),
        )
        return _document(actions.start_run(options, audience), audience)


def run_file(
    file: str | os.PathLike[str],
    *,
    approve: bool = False,
    max_su_total: float | None = None,
    parallel: int = 4,
    cloud: str | None = None,
    max_su: float | None = None,
    hours: int | None = None,
    node_type: str | None = None,
    ai: bool = True,
    new: bool = False,
    csv: str | os.PathLike[str] | None = None,
    config: Files = (),
    progress: bool = True,
) -> BatchDocument:
    """Reserve and launch a server for each repository that a file lists, as `envagent run --file` does.

    Repeated, it skips what has succeeded and continues the rest. A line can have options of its own, which go before
    the arguments.

    Args:
        file: the file, with a repository a line (`envagent help batch`).
        approve: reserve what the plans say.
        max_su_total: approve all plans as long as their leases cost at most this many service units together.
        parallel: how many lines are worked on at once.
        cloud: a name in clouds.yaml, or `sandbox`; by default OS_CLOUD or the OS_* variables.
        max_su: the most that the lease of one line may cost.
        hours: the length of the leases, 1 to 168.
        node_type: reserve this node type.
        ai: whether a configured AI may make proposals.
        new: launch other servers, even if runs of these repositories and commits have some.
        csv: a file for the result, as a table.
        config: files to read instead of envagent.toml, .env and clouds.yaml in the current folder.
        progress: whether to show the progress.

    Returns:
        What each line came to; a line that failed has its error and exit code, and stops no other.

    Raises:
        UsageError: nothing approves the plans, or the file cannot be used.
        KeyboardInterrupt: the call was interrupted.
    """
    from envagent.cli.batch_session import BatchOptions, close_batch, run_batch

    audience = Program(approve, max_su_total, progress=progress)
    common = actions.RunOptions(
        cloud=cloud, max_su=max_su, hours=hours, node_type=node_type, ai=ai, new=new, config=_files(config)
    )
    options = BatchOptions(
        Path(file),
        parallel=parallel,
        max_su_total=max_su_total,
        yes=audience.yes,
        csv=None if csv is None else Path(csv),
        config=_files(config),
    )
    with _errors_for_python():
        result = run_batch(options, common, audience)
        close_batch(result, options, as_json=False, show=None)
    if audience.stopped:
        raise KeyboardInterrupt("the runs of the file were stopped; the same call continues them")
    return result[0]


def resume(
    run_id: str,
    *,
    approve: Approval = False,
    max_su: float | None = None,
    config: Files = (),
    progress: bool = True,
) -> RunDocument:
    """Continue a run that was interrupted or failed; check one that succeeded.

    Args:
        run_id: a run's id, its first characters, its name, or `last`.
        approve: True to reserve what the plan says, or a function that gets the plan and returns whether to.
        max_su: approve any suitable node type, if the lease costs at most this many service units.
        config: files to read instead of envagent.toml, .env and clouds.yaml in the current folder.
        progress: whether to show the progress.

    Returns:
        The run, as `run` returns it.

    Raises:
        UsageError: nothing approves the plan.
        EnvagentError: the run failed, or cannot be continued.
        KeyboardInterrupt: the call was interrupted.
    """
    audience = Program(approve, max_su, progress=progress)
    with _errors_for_python():
        return _document(actions.resume_run(run_id, audience, max_su=max_su, config=_files(config)), audience)


@overload
def status(run_id: None = None, *, config: Files = ...) -> RunsDocument: ...


@overload
def status(run_id: str, *, refresh: bool = ..., config: Files = ...) -> RunDocument: ...


def status(run_id: str | None = None, *, refresh: bool = False, config: Files = ()) -> RunDocument | RunsDocument:
    """List all runs, or return one in detail.

    Args:
        run_id: a run's id, its first characters, its name, or `last`; without one, all runs are listed.
        refresh: check the run's resources in the cloud first, and correct its record.
        config: files to read instead of envagent.toml, .env and clouds.yaml in the current folder.

    Returns:
        One run, or the list of all, newest first.

    Raises:
        EnvagentError: there is no such run, or the cloud cannot be reached.
    """
    with _errors_for_python():
        if run_id is None:
            return actions.list_runs(config=_files(config))
        audience = Program(False, None, progress=False)
        return actions.read_run(run_id, audience, refresh=refresh, config=_files(config))


def extend(
    run_id: str,
    length: timedelta | str | None = None,
    *,
    until: datetime | str | None = None,
    approve: bool = False,
    max_su: float | None = None,
    config: Files = (),
    progress: bool = True,
) -> RunDocument:
    """Extend the lease of a run.

    Args:
        run_id: a run's id, its first characters, its name, or `last`.
        length: how much longer, such as `6h`.
        until: until when, in place of `length`; this can be repeated without harm.
        approve: accept the price; needed on a real cloud.
        max_su: accept any price up to this many service units.
        config: files to read instead of envagent.toml, .env and clouds.yaml in the current folder.
        progress: whether to show the progress.

    Returns:
        The run, with the new end in `cost.lease_end`.

    Raises:
        UsageError: nothing approves the price, or neither `length` nor `until` is valid.
        EnvagentError: the site refused, because somebody else has reserved the node for that time, for instance.
        KeyboardInterrupt: the call was interrupted.
    """
    audience, told = Program(approve, max_su, progress=progress), []

    def tell(ended: Ended, extended: bool) -> int:
        told.append(ended)
        return ended.exit_code

    with _errors_for_python():
        more = length_of_time(length) if isinstance(length, str) else length
        end = None if until is None else moment(str(until), "until")
        actions.extend_run(run_id, audience, tell, length=more, until=end, max_su=max_su, config=_files(config))
        return _document(told[-1], audience)


def teardown(
    run_id: str,
    *,
    approve: bool = False,
    dry_run: bool = False,
    delete_key: bool = False,
    config: Files = (),
    progress: bool = True,
) -> RunDocument:
    """Remove all resources of a run, and verify that they are gone.

    Args:
        run_id: a run's id, its first characters, its name, or `last`.
        approve: remove what the run created; needed on a real cloud.
        dry_run: remove nothing, and list in `would_remove` what would be removed.
        delete_key: also delete the local private key that envagent created for the run.
        config: files to read instead of envagent.toml, .env and clouds.yaml in the current folder.
        progress: whether to show the progress.

    Returns:
        The run as it is now.

    Raises:
        UsageError: `approve` is missing.
        LeftoversExist: something could not be removed.
        EnvagentError: the cloud cannot be reached, or the run is in use.
        KeyboardInterrupt: the call was interrupted.
    """
    audience = Program(approve, None, progress=progress)
    with _errors_for_python():
        ended = actions.tear_down_run(run_id, audience, dry_run=dry_run, delete_key=delete_key, config=_files(config))
        return _document(ended, audience)


def orphans(
    *,
    cloud: str | None = None,
    remove: bool = False,
    everything: bool = False,
    config: Files = (),
    progress: bool = True,
) -> OrphansDocument:
    """List your envagent resources in a project that belong to no run in the journal, or remove them.

    Args:
        cloud: a name in clouds.yaml, or `sandbox`; by default OS_CLOUD or the OS_* variables.
        remove: remove what has `offered` set.
        everything: offer what runs in the journal have, too.
        config: files to read instead of envagent.toml, .env and clouds.yaml in the current folder.
        progress: whether to show them.

    Returns:
        All tagged resources of yours, with what became of each in `outcome`.

    Raises:
        LeftoversExist: something could not be removed.
        EnvagentError: the cloud cannot be reached.
        KeyboardInterrupt: the call was interrupted.
    """
    from envagent.cli.home import Home, read_settings
    from envagent.cli.orphans import remove_orphans

    audience = Program(remove, None, progress=progress)
    with _errors_for_python():
        settings = read_settings(_files(config), **({} if cloud is None else {"cloud": cloud}))
        document, _ = remove_orphans(Home.of(settings), settings, audience, everything=everything, dry_run=not remove)
    if audience.stopped:
        raise KeyboardInterrupt("the removal was stopped; the same call continues it")
    return document


def _start(moment: datetime | str | None) -> datetime | None:
    return None if moment is None else start_time(moment if isinstance(moment, str) else moment.isoformat())


@contextmanager
def _plan_file(plan: PlanDocument | str | os.PathLike[str] | None) -> Iterator[Path | None]:
    """Yield the file of a plan; one in memory is written to a temporary file."""
    if not isinstance(plan, PlanDocument):
        yield None if plan is None else Path(plan)
        return
    with tempfile.TemporaryDirectory(prefix="envagent-plan-") as folder:
        write_plan(Path(folder, "plan.json"), plan)
        yield Path(folder, "plan.json")


def _files(config: Files) -> list[Path]:
    return [Path(config)] if isinstance(config, str | os.PathLike) else [Path(one) for one in config]


def _document(ended: Ended, audience: Program) -> RunDocument:
    """Return the document of a run, or raise why it did not go on."""
    if ended.error is not None:
        ended.error.run_id = ended.document.run_id
        raise ended.error
    if audience.stopped and ended.exit_code != 0:
        raise KeyboardInterrupt(f"run {ended.document.run_id} was stopped; {' or '.join(ended.document.next)}")
    return ended.document


@contextmanager
def _errors_for_python() -> Iterator[None]:
    """Add the hint to an error that is raised, spelled as calls."""
    try:
        yield
    except EnvagentError as error:
        if not getattr(error, "__notes__", ()):
            error.add_note(f"hint: {_spelled(error.hint, error.run_id)}")
        raise


def _spelled(hint: Hint, run_id: str | None) -> str:
    """Return a hint with commands and options as a program writes them, where there is a call for them."""
    return hint_text(Hint(*(_call(one, run_id) if isinstance(one, Command | Option) else one for one in hint.parts)))


def _call(part: Command | Option, run_id: str | None) -> str | Command | Option:
    known = {
        name: inspect.signature(globals()[name]).parameters
        for name in ("analyze", "extend", "plan", "resume", "run", "status", "teardown")
    }
    if isinstance(part, Option):
        name, value = _argument(part.name, part.value or "...")
        if name not in known["run"]:
            return part
        default = known["run"][name].default
        return f"{name}={not default if isinstance(default, bool) else value}"
    options = [_argument(name, value) for name, value in part.options if name != "json"]
    if part.name not in known or any(name not in known[part.name] for name, _ in options):
        return part
    positional = [repr((run_id or "last") if isinstance(one, Placeholder) else one) for one in part.arguments]
    return f"envagent.{part.name}({', '.join([*positional, *(f'{name}={value}' for name, value in options)])})"


def _argument(name: str, value: Value) -> tuple[str, str]:
    """Return an option's name and value as those of an argument."""
    name = {"yes": "approve", "no_ai": "ai", "no_floating_ip": "floating_ip"}.get(name, name)
    return name, value if value == "..." else repr(value)
