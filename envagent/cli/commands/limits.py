"""envagent limits: what a fleet may do at a time, and spend."""

from __future__ import annotations

from typing import Annotated

import typer

from envagent.cli.commands.options import AS_JSON, CONFIG, examples

EPILOG = examples("envagent limits --site CHI@UC --builds 20", "envagent limits --owner ada --su 500")

_VALUE = "N|none"


def limits(
    site: Annotated[str | None, typer.Option(metavar="NAME", help="Site of --builds and --lease-requests.")] = None,
    builds: Annotated[str | None, typer.Option(metavar=_VALUE, help="Servers that may be built at once.")] = None,
    lease_requests: Annotated[
        str | None, typer.Option(metavar=_VALUE, help="Leases that may be requested in a minute.")
    ] = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Owner of --su; default: all together.")] = None,
    su: Annotated[
        str | None, typer.Option(metavar=_VALUE, help="Service units that leases may cost, from now on and before.")
    ] = None,
    as_json: AS_JSON = False,
    config: CONFIG = None,
) -> int:
    """Show or set the limits of the workers of a shared journal.

    A run that would exceed a limit waits for its turn; of several owners, the one with least in use is next. A lease
    that does not fit what is left of a budget waits while leases in use may cost less than planned, and is refused if
    not. `none` removes a limit. Only an operator sets them.
    """
    from envagent.cli.fleet_limits import change_limits, show_limits

    changes = {"builds": builds, "lease_requests": lease_requests, "su": su}
    given = {name: value for name, value in changes.items() if value is not None}
    if given:
        change_limits(given, site=site, owner=owner, config=config)
    show_limits(as_json=as_json, config=config)
    return 0
