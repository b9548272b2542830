"""`run --site any`: all configured sites are candidates together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from envagent.cli.clouds import CloudAccess, is_sandbox, reach
from envagent.cli.terminal import Terminal
from envagent.config import Settings
from envagent.errors import ConfigurationError

if TYPE_CHECKING:
    from envagent.cloud.port import Cloud
    from envagent.steps.request import RunRequest

SANDBOX_SITES = ("sandbox-uc", "sandbox-tacc")


def choose_site(request: RunRequest, settings: Settings, terminal: Terminal) -> CloudAccess:
    """Ask every configured site for the repository's needs, by rules, and give the access to the best.

    Raises:
        RepositoryRefused: the repository cannot be read.
        NothingSuitable: no site has what is needed.
    """
    from envagent.advice.duration import DEFAULT_HOURS
    from envagent.repository.analyzer import analyze
    from envagent.repository.fetch import fetch
    from envagent.steps.survey import ask_all

    analysis = analyze(fetch(request.repository, ref=request.ref))
    accesses = {name: reach(name, settings) for name in _names(request.cloud, settings)}
    clouds: dict[str, Cloud] = {}
    for name, access in accesses.items():
        try:
            clouds[name] = access.connect()
        except ConfigurationError as error:  # one entry that cannot be used is no reason not to ask the others
            terminal.line(f"site {name} (not asked): {error.message}")
    try:
        hours = request.hours or settings.lease.hours or DEFAULT_HOURS
        chosen, offers = ask_all(clouds, analysis, request, datetime.now(UTC), hours)
    finally:
        for cloud in clouds.values():
            cloud.close()
    for offer in offers:
        has = offer.refusal or (
            offer.placement and f"{offer.placement.best.node_type.name}: {offer.placement.best.why}"
        )
        mark = "chosen" if offer is chosen else "asked"
        terminal.line(f"site {offer.region or offer.cloud} ({mark}): {has}")
    return accesses[chosen.cloud]


def _names(cloud: str | None, settings: Settings) -> tuple[str, ...]:
    """List the sites to ask: of the sandbox, or of clouds.yaml."""
    if is_sandbox(cloud):
        return SANDBOX_SITES
    from envagent.cloud.login import cloud_names

    return cloud_names(settings.login.variables, settings.login.folder)
