"""A look at all runs that may have a lease: their records are corrected, with a few requests for each cloud.

The judgement is that of `status RUN_ID --refresh`; only the reads are shared, see `cloud/listed.py`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from envagent.cli.audience import Audience
from envagent.cli.clouds import CloudAccess, reach
from envagent.cli.documents.run_list import StoredRequest
from envagent.cli.home import Home, request_of
from envagent.cli.interaction import Stop
from envagent.cli.render import times
from envagent.cli.render.progress import ProgressLines
from envagent.cli.render.terminal import Terminal
from envagent.cli.wiring import make_runner, make_services
from envagent.cloud.listed import listed
from envagent.config import Settings
from envagent.engine.journal import Journal
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import RunRecord
from envagent.errors import EnvagentError, RunLocked

if TYPE_CHECKING:
    from envagent.cloud.port import Cloud

MOST_CLOUDS = 8
"""How many clouds are asked at once."""


def refresh_runs(home: Home, journal: Journal, settings: Settings, audience: Audience) -> list[str]:
    """Compare the records of all runs that may have a lease with their clouds, and correct them.

    A run on which a process works is left to it.

    Returns:
        A warning for each cloud that cannot be asked, and for each run that cannot be checked.
    """
    live = RunQuery(removing=False, holding="lease", at=times.now().isoformat(), archived=True)
    by_cloud: dict[str | None, list[RunRecord]] = {}
    for row in journal.runs(live):
        by_cloud.setdefault(StoredRequest.of(row).cloud, []).append(row)
    warnings: list[str] = []
    with ExitStack() as stack:
        stop = stack.enter_context(audience.stoppable())
        pool = stack.enter_context(ThreadPoolExecutor(MOST_CLOUDS, thread_name_prefix="cloud"))
        asked = {name: pool.submit(_ask, name, settings) for name in by_cloud}
        for name, rows in by_cloud.items():
            try:
                access, cloud = asked[name].result()
            except EnvagentError as error:
                runs = "1 run is" if len(rows) == 1 else f"{len(rows)} runs are"
                warnings.append(f"cloud {name or 'OS_*'}: {error.message}; {runs} shown as last checked")
                continue
            stack.callback(cloud.close)
            view = listed(cloud)
            for row in rows:
                warnings += _refresh(home, journal, access, view, row, stop)
    return list(dict.fromkeys(warnings))


def _ask(name: str | None, settings: Settings) -> tuple[CloudAccess, Cloud]:
    """Connect to a cloud and log in."""
    access = reach(name, settings)
    cloud = access.connect()
    try:
        cloud.identity()
    except BaseException:
        cloud.close()
        raise
    return access, cloud


def _refresh(
    home: Home, journal: Journal, access: CloudAccess, cloud: Cloud, row: RunRecord, stop: Stop
) -> Iterator[str]:
    """Correct the record of one run; yield why it cannot be."""
    if stop.event.is_set():
        return
    try:
        with home.working_on(row.run_id), ExitStack() as stack:
            now = journal.run(row.run_id)
            if now.updated_at != row.updated_at:  # a process has worked on it since it was listed
                return
            services = make_services(home, access, row.run_id, request_of(now), stop.event, cloud=cloud)
            stack.callback(services.close)
            runner = make_runner(journal, access.settings, ProgressLines(Terminal(io.StringIO())), stop.event)
            stack.callback(runner.close)
            runner.refresh(now, services)
    except RunLocked:
        return
    except EnvagentError as error:
        yield f"run {row.run_id} could not be checked: {error.message}"
