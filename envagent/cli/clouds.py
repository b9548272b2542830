"""Which cloud a command works on, and how to connect to it: the user's own, the simulated one, or the best of several.

A name that starts with `sandbox` means the simulation, where polling is as fast as the simulated clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from envagent.cli.render.terminal import Terminal
from envagent.config import Section, Settings
from envagent.errors import CloudError, ConfigurationError, UsageError
from envagent.hints import Hint, Option, command

if TYPE_CHECKING:
    from envagent.cloud.http_session import Recorder
    from envagent.cloud.login import Logins
    from envagent.cloud.port import Cloud, InspectableCloud
    from envagent.steps.request import RunRequest

SANDBOX = "sandbox"
SANDBOX_SITES = ("sandbox-uc", "sandbox-tacc")
SHORTEST_PAUSE = 0.05
"""Seconds between two polls, however fast the sandbox is."""


@dataclass(frozen=True)
class CloudAccess:
    """How to connect to a cloud.

    Attributes:
        name: clouds.yaml name; None means OS_*.
        settings: the settings to use there.
        clouds_yaml: the only file to read; None means openstacksdk's usual places.
        logins: what the connections of this process share; each logs in by itself if None.
    """

    name: str | None
    settings: Settings
    clouds_yaml: Path | None = None
    logins: Logins | None = None

    @property
    def simulated(self) -> bool:
        """Whether nothing there is real or costs anything."""
        return self.clouds_yaml is not None

    def connect(self, record: Recorder | None = None, permit: Callable[[], None] | None = None) -> InspectableCloud:
        """Connect to the cloud; nothing is sent yet.

        Args:
            record: receives every exchange.
            permit: called just before the bytes of a request go out; it raises to keep them back.

        Raises:
            ConfigurationError: no such cloud, or its credentials are unusable.
        """
        from envagent.cloud.adapter import connect

        return connect(
            self.name,
            clouds_yaml=self.clouds_yaml,
            variables=self.settings.login.variables,
            folder=self.settings.login.folder,
            timeout=self.settings.timeout_seconds,
            write_timeout=self.settings.write_timeout_seconds,
            record=record,
            permit=permit,
            logins=self.logins,
        )


def is_sandbox(name: str | None) -> bool:
    """Return whether a cloud's name means the simulated Chameleon."""
    return name is not None and (name == SANDBOX or name.startswith(f"{SANDBOX}-"))


def chosen_cloud(settings: Settings) -> str | None:
    """Return the cloud's name: the user's choice, or OS_CLOUD; None means OS_* variables."""
    return settings.cloud or settings.login.variables.get("OS_CLOUD") or None


def reach(name: str | None, settings: Settings) -> CloudAccess:
    """Return how to connect to a cloud; start the sandbox if the name means it.

    Raises:
        ConfigurationError: the sandbox has no cloud of this name.
        CloudError: the sandbox cannot be started.
    """
    if name is None or not is_sandbox(name):
        return CloudAccess(name, settings)
    from envagent.cli.home import Home
    from envagent.sandbox.process import ensure_running

    Home.of(settings).prepare()
    with sandbox_errors():
        endpoint = ensure_running(settings.home, speed=wanted_speed(settings))
        health = endpoint.control("health")
    if name not in endpoint.clouds:
        known = ", ".join(sorted(endpoint.clouds))
        raise ConfigurationError(
            f"the sandbox has no cloud {name!r}; it has: {known}", hint=Hint("try", Option("cloud", "sandbox"))
        )
    adapted = reached_by_ssh(paced(settings, float(health["speed"])), health.get("ssh_port"))
    return CloudAccess(name, adapted, endpoint.clouds_file)


class SandboxError(CloudError):
    """The sandbox cannot be started, reached or controlled."""

    default_hint = Hint("reset it, then try again:", command("sandbox", "reset"))


@contextmanager
def sandbox_errors() -> Iterator[None]:
    """Translate the errors of the sandbox, which knows none of ours."""
    from envagent.sandbox import sandbox_errors as theirs

    try:
        yield
    except theirs.SetupError as error:
        raise UsageError(error.message, hint=Hint(command("sandbox", "serve", help=True))) from None
    except theirs.SandboxError as error:
        raise SandboxError(error.message, service_said=error.output) from None


def wanted_speed(settings: Settings) -> float | None:
    """Return the speed to set in the sandbox; None keeps the speed that it has."""
    from envagent.sandbox.files import Paths

    if "speed" in settings.sandbox.model_fields_set or not Paths(settings.home).state.exists():
        return settings.sandbox.speed
    return None


PACES = ("poll_seconds",)


def paced(settings: Settings, speed: float) -> Settings:
    """Divide the polling intervals that the user has not set by the sandbox's speed."""
    changed: dict[str, object] = {}
    if "settle_seconds" not in settings.model_fields_set:
        changed["settle_seconds"] = _shorter(settings.settle_seconds, speed)
    for name, paces in (("lease", PACES), ("server", (*PACES, "cleaning_seconds")), ("ssh", PACES)):
        section: Section = getattr(settings, name)
        shorter = {one: _shorter(getattr(section, one), speed) for one in paces if one not in section.model_fields_set}
        changed[name] = section.model_copy(update=shorter)
    return settings.model_copy(update=changed)


def reached_by_ssh(settings: Settings, port: int | None) -> Settings:
    """Log in at the sandbox's port, unless the user has set one; None is a machine where it has no servers to reach."""
    if "port" in settings.ssh.model_fields_set:
        return settings
    changed: dict[str, object] = {"enabled": False} if port is None else {"port": port}
    return settings.model_copy(update={"ssh": settings.ssh.model_copy(update=changed)})


def _shorter(seconds: float, speed: float) -> float:
    return max(SHORTEST_PAUSE, seconds / max(speed, 1.0))


@dataclass(frozen=True)
class SiteRanking:
    """The choice among several sites.

    Attributes:
        access: how to connect to the best.
        reason: why it is the best.
        others: the clouds to try next, in this order, if it refuses.
        refused: the sites that are not suitable, with the reasons.
    """

    access: CloudAccess
    reason: str
    others: tuple[str, ...]
    refused: tuple[str, ...]


def choose_site(request: RunRequest, settings: Settings, terminal: Terminal) -> SiteRanking:
    """Compare all configured sites by the built-in rules, and rank them.

    Raises:
        RepositoryRefused: the repository cannot be read.
        NothingSuitable: no site meets the needs.
    """
    from envagent.advice.duration import DEFAULT_HOURS
    from envagent.repository.analyzer import analyze
    from envagent.repository.fetch import fetch
    from envagent.steps.survey import ask_all

    analysis = analyze(fetch(request.repository, ref=request.ref).with_documents(request.also))
    accesses = {name: reach(name, settings) for name in _names(request.cloud, settings)}
    clouds: dict[str, Cloud] = {}
    for name, access in accesses.items():
        try:
            clouds[name] = access.connect()
        except ConfigurationError as error:  # one unusable entry must not hide the others
            terminal.line(f"site {name} (skipped): {error.message}")
    try:
        hours = request.hours or settings.lease.hours or DEFAULT_HOURS
        (chosen, *others), offers = ask_all(clouds, analysis, request, datetime.now(UTC), hours)
    finally:
        for cloud in clouds.values():
            cloud.close()
    for offer in offers:
        verdict = "chosen" if offer is chosen else "next if refused" if offer in others else "not chosen"
        terminal.line(f"site {offer.region or offer.cloud} ({verdict}): {offer.summary}")
    return SiteRanking(
        accesses[chosen.cloud],
        chosen.summary,
        tuple(one.cloud for one in others),
        tuple(f"{one.region or one.cloud}: {one.summary}" for one in offers if one not in (chosen, *others)),
    )


def _names(cloud: str | None, settings: Settings) -> tuple[str, ...]:
    """List the sites to compare: the sandbox's, or those in clouds.yaml."""
    if is_sandbox(cloud):
        return SANDBOX_SITES
    from envagent.cloud.login import cloud_entries

    return tuple(one.name for one in cloud_entries(settings.login.variables, settings.login.folder))
