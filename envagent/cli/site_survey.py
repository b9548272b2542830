"""Ask all configured sites at the same time what they have free; one that does not answer holds up no other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from envagent.cli.clouds import SANDBOX_SITES, CloudAccess, chosen_cloud, is_sandbox, reach
from envagent.config import Settings
from envagent.errors import CloudUnreachable, EnvagentError
from envagent.hints import Hint, Option

if TYPE_CHECKING:
    from envagent.advice.availability import Availability

PATIENCE = 2
"""A site may take this many times the time after which a silent service is given up."""


@dataclass(frozen=True, slots=True)
class Site:
    """A site to ask.

    Attributes:
        region: its name, where clouds.yaml says it.
        access: how to connect to it, one or several ways; the second is tried if the first fails.
    """

    region: str | None
    access: tuple[CloudAccess, ...]

    @property
    def clouds(self) -> str:
        """The names of its clouds, in words."""
        return ", ".join(one.name or "OS_*" for one in self.access)


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What a site said: its node types, or why there is no answer."""

    site: Site
    cloud: str | None
    region: str | None
    found: tuple[Availability, ...] = ()
    error: EnvagentError | None = None


def sites_to_ask(cloud: str | None, settings: Settings, *, everywhere: bool) -> tuple[list[Site], list[str]]:
    """Choose the sites to ask.

    Args:
        cloud: the name that the user passed; None means all of clouds.yaml.
        settings: where clouds.yaml is, and which cloud is configured.
        everywhere: whether to ask all sites despite a name; with the sandbox's name, all of its own.

    Returns:
        The sites, and the entries of clouds.yaml that are left out because they are not for a Chameleon site.

    Raises:
        ConfigurationError: clouds.yaml cannot be read, or the sandbox has no such cloud.
    """
    chosen = cloud or chosen_cloud(settings)
    if is_sandbox(chosen):
        names = SANDBOX_SITES if everywhere else (chosen,)
        return [Site(None, (reach(name, settings),)) for name in names], []
    if cloud is not None and not everywhere:
        return [Site(None, (CloudAccess(cloud, settings),))], []
    from envagent.cloud.login import cloud_entries

    entries = cloud_entries(settings.login.variables, settings.login.folder)
    regions = dict.fromkeys(one.site for one in entries if one.site is not None)
    if not regions:
        return [Site(None, (CloudAccess(chosen, settings),))], []
    sites = [
        Site(region, tuple(CloudAccess(one.name, settings) for one in entries if one.site == region))
        for region in regions
    ]
    return sites, [one.name for one in entries if one.site is None]


def ask_sites(sites: Sequence[Site], now: datetime, hours: int, seconds: float) -> Iterator[SiteAnswer]:
    """Ask every site what is free; yield the answers as they come, a failure of one as its answer.

    Args:
        sites: the sites.
        now: the earliest start of a lease.
        hours: for how long a node must be free.
        seconds: after how long a site counts as silent.
    """
    answers: queue.SimpleQueue[SiteAnswer | BaseException] = queue.SimpleQueue()

    def ask(site: Site) -> None:
        try:
            answers.put(_answer(site, now, hours))
        except BaseException as error:  # a bug must not look like a silent site
            answers.put(error)

    for site in sites:  # daemons: a thread that waits for a silent site must not keep the process alive
        threading.Thread(target=ask, args=(site,), name="site", daemon=True).start()
    waiting, deadline = list(sites), time.monotonic() + seconds
    while waiting:
        try:
            answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(answer, BaseException):
            raise answer
        waiting.remove(answer.site)
        yield answer
    for site in waiting:
        error = CloudUnreachable(f"no answer within {seconds:g} s", hint=Hint("try again, or choose", Option("cloud")))
        yield SiteAnswer(site, site.access[0].name, site.region, error=error)


def _answer(site: Site, now: datetime, hours: int) -> SiteAnswer:
    """Ask a site with each of its clouds until one works; if none does, the first failure counts."""
    first, *others = site.access
    answer = _ask(site, first, now, hours)
    for access in others if answer.error is not None else ():
        other = _ask(site, access, now, hours)
        if other.error is None:
            return other
    return answer


def _ask(site: Site, access: CloudAccess, now: datetime, hours: int) -> SiteAnswer:
    from envagent.advice.availability import availabilities
    from envagent.cloud.site_kinds import read_hardware

    region = site.region
    try:
        cloud = access.connect()
        try:
            identity = cloud.identity()
            region = identity.site
            return SiteAnswer(site, access.name, region, availabilities(read_hardware(cloud, identity), now, hours))
        finally:
            cloud.close()
    except EnvagentError as error:
        return SiteAnswer(site, access.name, region, error=error)
