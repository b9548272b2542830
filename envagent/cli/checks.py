"""What `doctor` checks: this machine, the settings, and what the credentials are good for. It only reads.

Each check is one line: ok, warn or fail with the fix. A failure keeps no other check from being made, except where
nothing could be learned: without a login, nothing is asked of the cloud.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envagent import children, ssh
from envagent.cli.clouds import CloudAccess, chosen_cloud, reach
from envagent.cli.documents.check_models import CheckPart, CheckState
from envagent.cli.home import Home, read_settings
from envagent.cli.render import times
from envagent.cli.render.hint_text import hint_text
from envagent.config import KeySettings, Settings
from envagent.errors import ConfigurationError, EnvagentError, Forbidden, QuotaExceeded, RepositoryRefused, RunNotFound
from envagent.hints import Hint, Option, Shell, command

if TYPE_CHECKING:
    from envagent.cloud.port import FloatingIp, InspectableCloud

OLDEST_GIT = (2, 30)
TOOL_SECONDS = 10
NOTICED_SECONDS, WRONG_SECONDS = 30, 240
"""A clock that is off by so much: worth a warning; lease starts and tokens are affected."""
NEEDED_ROLES = ("reader", "member")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    state: CheckState
    text: str
    fix: Hint | None = None
    exit_code: int | None = None

    @classmethod
    def failed(cls, name: str, error: EnvagentError) -> Check:
        """Return the check of something that raised an error."""
        said = f" (the service said: {error.service_said})" if error.service_said else ""
        return cls(name, "fail", f"{error.message}{said}", error.hint, error.exit_code)

    def part(self, again: str) -> CheckPart:
        """Return the part of the document; `again` is the command that is being carried out."""
        fix = None if self.fix is None else hint_text(self.fix, again=again)
        return CheckPart(name=self.name, state=self.state, text=self.text, fix=fix, exit_code=self.exit_code)


def settings_check(cloud: str | None, files: list[Path] | None) -> tuple[Check, Settings | None]:
    """Read the settings.

    Args:
        cloud: the cloud that the user named.
        files: the files named by --config.

    Returns:
        The check, and the settings if they can be read.
    """
    try:
        settings = read_settings(files, **({} if cloud is None else {"cloud": cloud}))
    except EnvagentError as error:
        return Check.failed("settings", error), None
    return Check("settings", "ok", "can be read"), settings


def further_checks(settings: Settings | None) -> Iterator[Check]:
    """Make all other checks, one after the other; without settings, only those of this machine."""
    yield from _machine()
    if settings is None:
        return
    yield from _state(Home.of(settings))
    yield _made("key", lambda: _key(settings.key))
    yield _ai(settings)
    yield from _cloud(settings)


def _made(name: str, make: Callable[[], Check]) -> Check:
    try:
        return make()
    except EnvagentError as error:
        return Check.failed(name, error)


def _machine() -> Iterator[Check]:
    """Check the programs that are run."""
    yield _made("git", _git)
    missing = ssh.no_client()
    if missing is not None:
        install = Hint("install one, such as with", Shell("apt", "install", "openssh-client"))
        yield Check("ssh", "warn", f"{missing}: no login can be verified", install)
        return
    done = children.run(["ssh", "-V"], TOOL_SECONDS)
    yield Check("ssh", "ok", _first_line(b"" if done is None else done.stderr or done.stdout))


def _git() -> Check:
    install = Hint("install git 2.30 or newer, such as with", Shell("apt", "install", "git"))
    try:
        done = children.run(["git", "--version"], TOOL_SECONDS)
    except OSError:
        raise RepositoryRefused("git is not installed", hint=install) from None
    shown = _first_line(b"" if done is None else done.stdout)
    version = re.search(r"(\d+)\.(\d+)", shown)
    if version is None:
        raise RepositoryRefused(f"git does not show its version: {shown or 'no output'}", hint=install)
    if (int(version[1]), int(version[2])) < OLDEST_GIT:
        return Check("git", "warn", f"{shown} is old", install)
    return Check("git", "ok", shown)


def _first_line(output: bytes) -> str:
    return output.decode(errors="replace").strip().partition("\n")[0][:80]


def _state(home: Home) -> Iterator[Check]:
    """Check the home folder and the journal."""
    if not home.path.exists():
        yield Check("home", "ok", f"{home.path} will be created")
        return
    try:
        home.prepare()
    except EnvagentError as error:
        yield Check.failed("home", error)
        return
    mode = stat.S_IMODE(home.path.stat().st_mode)
    if mode & 0o077:
        close = Hint(Shell("chmod", "go-rwx", str(home.path)))
        yield Check("home", "warn", f"other users can look into {home.path} (mode {mode:04o})", close)
    else:
        yield Check("home", "ok", f"{home.path} is for you alone")
    yield _made("journal", lambda: _journal(home))


def _journal(home: Home) -> Check:
    try:
        with home.opened_journal(to_read=True) as journal:
            runs = journal.runs()
    except RunNotFound:
        return Check("journal", "ok", "no runs yet")
    return Check("journal", "ok", f"{len(runs)} run{'' if len(runs) == 1 else 's'} in {home.journal}")


def _key(settings: KeySettings) -> Check:
    from envagent import keys

    if settings.public_key is None:
        named = "" if settings.name is None else f" (the cloud's keypair {settings.name})"
        return Check("key", "ok", f"no key file is set{named}: each run creates the key that it needs")
    _, private = keys.pair_of(settings.public_key)
    if private is None:
        return Check(
            "key",
            "warn",
            f"{settings.public_key} has no private half on this machine: no login can be verified",
            Hint("copy it to", str(Path.home() / ".ssh"), "or set key.public_key to another one"),
        )
    return Check("key", "ok", f"{settings.public_key}, with {private}")


def _ai(settings: Settings) -> Check:
    """Say whether an AI is configured; it is not asked, and its key is not shown."""
    ai = settings.ai
    if ai.configured:
        key = "with a key" if ai.api_key is not None else "without a key"
        return Check("AI", "ok", f"{ai.model} at {ai.base_url or 'OpenAI'}, {key} (not asked)")
    if ai.required:
        fix = Hint("set OPENAI_API_KEY, or use only the built-in rules with", Option("no_ai"))
        return Check("AI", "fail", "ai.required is set, and no AI is configured", fix, exit_code=8)
    return Check("AI", "ok", "not configured: the built-in rules decide")


def _cloud(settings: Settings) -> Iterator[Check]:
    """Check the credentials, and what they are good for."""
    name = chosen_cloud(settings)
    try:
        access = reach(name, settings)
        cloud = access.connect()
    except EnvagentError as error:
        yield Check.failed("credentials", error)
        return
    yield Check("credentials", "ok", f"{_where(access)} is complete")
    try:
        yield from _project(cloud, settings)
    finally:
        cloud.close()


def _where(access: CloudAccess) -> str:
    return "OS_*" if access.name is None else f"cloud {access.name}"


def _project(cloud: InspectableCloud, settings: Settings) -> Iterator[Check]:
    try:
        identity = cloud.identity()
        account = cloud.account()
    except EnvagentError as error:
        yield Check.failed("login", error)
        return
    project = identity.project_name or identity.project_id
    yield Check("login", "ok", f"project {project} at {identity.site}")
    yield _roles(account.roles)
    yield _made("trust", lambda: _trust(cloud))
    yield _services(account.missing_services)
    yield _made("clock", lambda: _clock(cloud))
    yield _made("images", lambda: _images(cloud))
    yield _made("leases", lambda: _leases(cloud, identity.user_id))
    yield from _quota(cloud)
    yield _made("addresses", lambda: _addresses(cloud))
    yield _made("network", lambda: _network(cloud, settings))
    if settings.key.name is not None:
        yield _made("keypair", lambda: _keypair(cloud, settings.key))


def _roles(roles: tuple[str, ...]) -> Check:
    missing = [one for one in NEEDED_ROLES if one not in roles]
    shown = ", ".join(sorted(roles)) or "none"
    if not missing or "admin" in roles or "manager" in roles:
        return Check("roles", "ok", shown)
    fix = Hint("create an application credential with the roles reader and member, or ask the project's PI for them")
    return Check("roles", "warn", f"{shown}; without {' and '.join(missing)}, requests may be refused", fix)


def _trust(cloud: InspectableCloud) -> Check:
    allowed = cloud.can_make_trusts()
    if allowed is False:
        from envagent.cloud.adapter import UNRESTRICTED

        message = "this application credential is restricted: Blazar cannot create leases with it"
        raise Forbidden(message, hint=UNRESTRICTED)
    shown = "the application credential is unrestricted" if allowed else "a login without an application credential"
    return Check("trust", "ok", f"{shown}: leases can be created")


def _services(missing: tuple[str, ...]) -> Check:
    if not missing:
        return Check("services", "ok", "identity, image, compute, network and reservation are in the catalog")
    message = f"the catalog has no address for: {', '.join(missing)}"
    hint = Hint("check region_name and interface in clouds.yaml, or choose another site with", Option("cloud"))
    return Check.failed("services", ConfigurationError(message, hint=hint))


def _clock(cloud: InspectableCloud) -> Check:
    before = times.now()
    theirs = cloud.server_time()
    after = times.now()
    if theirs is None:
        return Check("clock", "ok", "the server does not show its time")
    # The server's time is cut to the second, and was taken between the two moments.
    late, early = (before - theirs).total_seconds() - 1, (theirs - after).total_seconds()
    off = max(late, early, 0.0)
    if off < NOTICED_SECONDS:
        return Check("clock", "ok", "agrees with the server's")
    message = f"this machine is {times.duration(off)} {'ahead of' if late > early else 'behind'} the server"
    fix = Hint("set the clock:", Shell("timedatectl", "set-ntp", "true"))
    if off < WRONG_SECONDS:
        return Check("clock", "warn", message, fix)
    return Check.failed("clock", ConfigurationError(message, hint=fix))


def _images(cloud: InspectableCloud) -> Check:
    return Check("images", "ok", f"{len(cloud.images())} can be listed")


def _leases(cloud: InspectableCloud, user_id: str) -> Check:
    live = [one for one in cloud.leases() if not one.over]
    mine = sum(one.user_id == user_id for one in live)
    return Check("leases", "ok", f"{len(live)} in the project, {mine} of them yours; their quota is not shown")


def _quota(cloud: InspectableCloud) -> Iterator[Check]:
    try:
        limits = cloud.compute_limits()
    except EnvagentError as error:
        yield Check("quota", "warn", f"not shown: {error.message}")
        return
    yield _room("servers", limits.servers_used, limits.servers, Hint(Shell("openstack", "server", "list")))
    keys = Hint("remove old ones:", Shell("openstack", "keypair", "list"))
    yield _made("keypairs", lambda: _room("keypairs", len(cloud.keypairs()), limits.keypairs, keys))


def _room(name: str, used: int, limit: int | None, fix: Hint) -> Check:
    """Return whether one more fits."""
    if limit is None:
        return Check(name, "ok", f"{used} in use, no quota")
    if used < limit:
        return Check(name, "ok", f"{used} of {limit} in use")
    mine = Hint(fix, "; what runs have left behind:", command("teardown", orphans=True))
    return Check.failed(name, QuotaExceeded(f"{used} of {limit} in use: the quota is used up", hint=mine))


def _addresses(cloud: InspectableCloud) -> Check:
    held = cloud.floating_ips()
    fix = Hint(
        "release unused ones:", Shell("openstack", "floating", "ip", "list"), "; or run with", Option("no_floating_ip")
    )
    check = _room("addresses", len(held), cloud.floating_ip_limit(), fix)
    return Check(check.name, check.state, f"{check.text}{_unattached(held)}", check.fix, check.exit_code)


def _unattached(held: list[FloatingIp]) -> str:
    idle = sum(one.port_id is None for one in held)
    return f", {idle} of them attached to nothing" if idle else ""


def _network(cloud: InspectableCloud, settings: Settings) -> Check:
    from envagent.steps.find_network import choose_network

    found = choose_network(cloud.networks(), settings.network)
    if found.external_id is None:
        fix = Hint("run with", Option("no_floating_ip"))
        return Check("network", "warn", f"{found.network_name}; no external network provides addresses", fix)
    return Check("network", "ok", f"{found.network_name}, addresses from {found.external_name}")


def _keypair(cloud: InspectableCloud, settings: KeySettings) -> Check:
    if cloud.keypair(settings.name or "") is not None:
        return Check("keypair", "ok", f"{settings.name} is registered")
    if settings.public_key is not None:
        return Check("keypair", "ok", f"{settings.name} will be registered")
    return Check("keypair", "ok", f"{settings.name} does not exist: the first run creates it")
