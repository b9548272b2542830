"""Workers in forked children: a run is submitted, and one worker after the other works on it."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence

from envagent.engine.tables import RunState
from tests.crash.child import Ended, Home
from tests.crash.hooks import Strike
from tests.crash.world import World
from tests.kit.by_hand import public_key

STALE = 1.0
"""Seconds without a sign of life until a worker counts as gone."""

SETTINGS = {"ENVAGENT_FLEET__STALE_SECONDS": str(STALE), "ENVAGENT_FLEET__SWEEP_SECONDS": "0.2"}
PATIENCE = 40.0
"""Seconds within which a worker must have ended a run, or its removal."""


def submitted(world: World, name: str) -> tuple[Home, Ended]:
    """Submit a run from a home of its own."""
    home = Home.make(world, name, SETTINGS)
    key = home.folder / "submitter.pub"
    key.write_text(public_key(), "utf-8")
    ended = home.call(*home.run_arguments("--submit"), environment={"ENVAGENT_KEY__PUBLIC_KEY": str(key)})
    return home, ended.check()


def state(home: Home) -> str:
    """Return the stored state of the newest run."""
    return str(home.rows("SELECT state FROM runs ORDER BY created_at DESC LIMIT 1")[0][0])


def work(home: Home, until: RunState, strikes: Sequence[Strike] = ()) -> Ended:
    """Let a worker work until the run is in that state or has failed, or until the worker is killed."""
    child = home.start("worker", "--concurrency", "2", strikes=strikes)
    deadline = time.monotonic() + PATIENCE
    descriptor = os.pidfd_open(child.pid)
    try:
        while not select.select([descriptor], [], [], 0.05)[0]:
            if state(home) in (until, RunState.FAILED) or time.monotonic() > deadline:
                child.signal(signal.SIGTERM)
                break
    finally:
        os.close(descriptor)
    return child.wait()
