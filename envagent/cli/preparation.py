"""What `run` and `plan` do before the first step: check the options, read documents, find repository and cloud."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envagent.errors import UsageError
from envagent.hints import Command, Hint, Option, Value, command

if TYPE_CHECKING:
    from envagent.cli.actions import RunOptions
    from envagent.cli.clouds import CloudAccess, SiteRanking
    from envagent.cli.render.terminal import Terminal
    from envagent.config import Settings
    from envagent.engine.execution import Known
    from envagent.steps.packed_run import PackedRun
    from envagent.steps.request import RunRequest
    from envagent.steps.saved_plan import SavedPlan

SETTLED = {
    "repo": "REPO",
    "cloud": "--cloud",
    "site": "--site",
    "ref": "--ref",
    "also": "--also",
    "node_type": "--node-type",
    "image": "--image",
    "hours": "--hours",
    "max_su": "--max-su",
    "start": "--start",
    "wait_for_capacity": "--wait-for-capacity",
    "network": "--network",
    "server_name": "--server-name",
    "floating_ip": "--no-floating-ip",
    "ai": "--no-ai",
}
"""The options that a saved plan has settled."""

SETTLED_BY_PACK = SETTLED.keys() - {
    *("cloud", "max_su", "start", "wait_for_capacity", "network", "server_name", "floating_ip")
}
"""The options that a pack has settled: what it says of the repository, the node and the time."""


@dataclass(frozen=True)
class Prepared:
    """What a run, or a plan, starts with.

    Attributes:
        known: what a saved plan or a pack has settled, if the run starts with one.
        labels: what lists show of it.
        commit: the commit that is meant, where that is known.
        ranking: the choice among several sites, if it was asked for.
    """

    request: RunRequest
    access: CloudAccess
    settings: Settings
    known: Known | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    ranking: SiteRanking | None = None


def prepare(options: RunOptions, terminal: Terminal, *, output_folder: Path | None = None) -> Prepared:
    """Check what the user wants, and make the request of it.

    Args:
        options: what the user wants.
        terminal: where the choice among several sites is explained.
        output_folder: where the info file will be written; None for a plan, which writes none.

    Raises:
        PlanOutdated: the saved plan does not fit any more.
        EnvagentError: something of it cannot be used.
    """
    if options.plan is not None:
        return _of_saved_plan(options.plan, options, output_folder)
    if options.pack is not None:
        return _of_pack(options.pack, options, terminal, output_folder)
    from envagent.cli.clouds import choose_site, chosen_cloud, reach
    from envagent.cli.home import read_settings
    from envagent.cli.inputs import check_names, find_repository, given_documents, stored_name

    if options.repo is None:
        raise UsageError("REPO is missing", hint=Hint("name one, or a saved plan with", Option("plan")))
    check_names(**{name: getattr(options, name) for name in ("node_type", "image", "network", "server_name", "ref")})
    repository = stored_name(options.repo, options.ref)
    settings = read_settings(options.config, repository=repository, **_flags(options.cloud, options.speed))
    name = chosen_cloud(settings)
    key_file = _checked(options, settings, name)
    documents = given_documents(options.also)
    find_repository(repository, options.ref)
    access = reach(name, settings)
    own = _own(options, settings, key_file, output_folder)
    request = _request(own, repository=repository, also=documents, cloud=access.name)
    if options.site != "any":
        return Prepared(request, access, settings)
    ranking = choose_site(request, settings, terminal)
    return Prepared(
        request.model_copy(update={"cloud": ranking.access.name}), ranking.access, settings, ranking=ranking
    )


def _of_saved_plan(path: Path, options: RunOptions, output_folder: Path | None) -> Prepared:
    """Read a saved plan and check that it still fits; the run does exactly that."""
    from envagent.cli.clouds import reach
    from envagent.cli.documents.plan_document import read_plan
    from envagent.cli.home import read_settings
    from envagent.cli.inputs import check_names
    from envagent.cli.render import times
    from envagent.errors import PlanOutdated

    _check_unsettled(options, SETTLED, "plan", Hint("leave it out, or make another plan with it"))
    plan = read_plan(path)
    wishes = plan.wishes
    check_names(**{name: getattr(wishes, name) for name in ("node_type", "image", "network", "server_name", "ref")})
    settings = read_settings(options.config, repository=wishes.repository, **_flags(wishes.cloud, options.speed))
    limit = settings.lease.max_su
    if limit is not None and plan.plan.most > limit:
        raise PlanOutdated(f"the plan may cost {plan.plan.most:g} SU, more than the limit of {limit:g} SU")
    key_file = _checked(options, settings, wishes.cloud)
    access = reach(wishes.cloud, settings)
    cloud = access.connect()
    try:
        plan.check(cloud, times.now())
    except PlanOutdated as error:
        if error.hint == PlanOutdated.default_hint:
            error.hint = Hint("make a new plan:", _plan_again(plan, path))
        raise
    finally:
        cloud.close()
    wished = {name: getattr(wishes, name) for name in type(wishes).model_fields}
    request = _request(_own(options, settings, key_file, output_folder), **wished)
    return Prepared(request, access, settings, plan.known(), plan.labels(), plan.analyzed.commit)


def _of_pack(folder: Path, options: RunOptions, terminal: Terminal, output_folder: Path | None) -> Prepared:
    """Read a packed run; the run starts with its analysis, and wants the same node, image and hours."""
    from envagent.cli.clouds import chosen_cloud, reach
    from envagent.cli.home import read_settings
    from envagent.cli.inputs import check_names
    from envagent.cli.pack_folder import read_pack

    other = Hint("leave it out; for another choice, name the repository instead:", command("plan", "URL"))
    _check_unsettled(options, SETTLED_BY_PACK, "pack", other)
    check_names(**{name: getattr(options, name) for name in ("network", "server_name")})
    packed = read_pack(folder)
    check_names(node_type=packed.node_type, image=packed.image_name)
    settings = read_settings(options.config, repository=packed.repository, **_flags(options.cloud, options.speed))
    name = chosen_cloud(settings)
    key_file = _checked(options, settings, name)
    access = reach(name, settings)
    request = _request(
        _own(options, settings, key_file, output_folder),
        repository=packed.repository,
        ref=packed.commit,
        cloud=access.name,
        node_type=packed.node_type,
        image=_image_of(packed, access, terminal),
        hours=packed.hours,
        ai=False,
        setup=options.setup or packed.setup,
    )
    labels = {"node_type": packed.node_type, "image": packed.image_name}
    return Prepared(request, access, settings, packed.known(), labels, packed.commit)


def _image_of(packed: PackedRun, access: CloudAccess, terminal: Terminal) -> str:
    """Return the very image of a pack if the cloud still has it, else the name under which a newer one may be there."""
    from envagent.errors import NotFound

    cloud = access.connect()
    try:
        image = cloud.image(packed.image_id)
        if (image.name, image.status) == (packed.image_name, "active"):
            return image.id
    except NotFound:
        pass
    finally:
        cloud.close()
    terminal.line(
        ("note: ", "yellow"),
        f"image {packed.image_id} of the pack is not here; the one that is called {packed.image_name} is used",
    )
    return packed.image_name


def _check_unsettled(options: RunOptions, settled: Collection[str], what: str, hint: Hint) -> None:
    """Refuse options that a plan or a pack has settled.

    Raises:
        UsageError: one of them is given.
    """
    changed = [one.name for one in fields(options) if getattr(options, one.name) != one.default]
    if given := [SETTLED[name] for name in changed if name in settled]:
        raise UsageError(f"the {what} settles {', '.join(given)}", hint=hint)


_ASKED = (
    *("ref", "node_type", "image", "hours", "start", "wait_for_capacity", "network", "server_name", "floating_ip"),
    *("ai", "key_name", "on_failure", "setup", "repair"),
)
"""The options that stand in a request as they are."""


def _own(options: RunOptions, settings: Settings, key_file: Path | None, output_folder: Path | None) -> dict[str, Any]:
    """Return what the user's options and settings say of a request."""
    return {name: getattr(options, name) for name in _ASKED} | {
        "max_su": options.max_su or settings.lease.max_su,
        "public_key": key_file,
        "output_folder": output_folder or settings.home,
    }


def _request(own: Mapping[str, Any], **settled: Any) -> RunRequest:
    """Make the request; what is settled counts more than the user's own.

    Raises:
        UsageError: a value is not valid.
    """
    from pydantic import ValidationError

    from envagent.steps.request import RunRequest

    try:
        return RunRequest(**{**own, **settled})
    except ValidationError as error:
        raise UsageError(f"invalid option: {error.errors(include_input=False)[0]['msg']}") from None


def _checked(options: RunOptions, settings: Settings, cloud: str | None) -> Path | None:
    """Check the key and the speed that the user names, and return the key's public file.

    Raises:
        UsageError: one of them cannot be used.
    """
    from envagent import keys
    from envagent.cli.clouds import is_sandbox
    from envagent.cli.inputs import check_key_name

    check_key_name(options.key_name)
    if options.speed is not None and not is_sandbox(cloud):
        raise UsageError("--speed only applies to the sandbox", hint=Hint("leave out", Option("speed")))
    key_file = None if options.public_key is None else options.public_key.expanduser().absolute()
    if (public_file := key_file or settings.key.public_key) is not None:
        keys.pair_of(public_file)
    return key_file


def _flags(cloud: str | None, speed: float | None) -> dict[str, Any]:
    flags: dict[str, Any] = {"sandbox": {"speed": speed}} if speed is not None else {}
    return flags | ({} if cloud is None else {"cloud": cloud})


def _plan_again(plan: SavedPlan, path: Path) -> Command:
    """Return the command that makes such a plan again; documents are given along with it once more."""
    wishes = plan.wishes
    names = ("cloud", "ref", "node_type", "image", "network", "server_name", "hours", "max_su")
    options: list[tuple[str, Value]] = [(name, value) for name in names if (value := getattr(wishes, name)) is not None]
    if wishes.start is not None:
        options.append(("start", wishes.start.isoformat()))
    switches = {
        "wait_for_capacity": wishes.wait_for_capacity,
        "no_floating_ip": not wishes.floating_ip,
        "no_ai": not wishes.ai,
    }
    options += [(name, True) for name, on in switches.items() if on]
    return Command("plan", (wishes.repository,), (*options, ("output", str(path))))
