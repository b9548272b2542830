"""What a process knows of a run besides the journal, for the one that goes on with it: what happened in a row.

Losing it does no harm beyond patience that begins again. Moments on the steady clock become times of day on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from envagent.engine.clock import Clock, from_text, to_text
from envagent.engine.execution import Execution, Schedule

Memory: TypeAlias = Mapping[str, Mapping[str, Any]]
"""JSON: by what is known, then by stage or object."""

_BETWEEN = " "
"""Between the kind of an object and its number or id."""


def remembered(execution: Execution[Any], clock: Clock) -> dict[str, dict[str, Any]]:
    """Return what is known of a run now; nothing where nothing has gone wrong."""
    inventory, now, steady = execution.run.inventory, clock.now(), clock.steady()
    found: dict[str, dict[str, Any]] = {
        "failures": {key: one.failures for key, one in execution.schedules.items() if one.failures},
        "lost": {_joined(key): count for key, count in inventory.lost.items() if count},
        "asked": {_joined(key): to_text(at) for key, at in inventory.asked.items()},
        "removing": {
            _joined(key): to_text(now - timedelta(seconds=steady - began)) for key, began in inventory.removing.items()
        },
    }
    return {name: known for name, known in found.items() if known}


def recall(execution: Execution[Any], memory: Memory, clock: Clock) -> None:
    """Give a loaded run what another process has remembered of it."""
    inventory, now, steady = execution.run.inventory, clock.now(), clock.steady()
    for key, failures in memory.get("failures", {}).items():
        if key in execution.run.stages:
            execution.schedules[key] = Schedule(failures=int(failures))
    for key, count in memory.get("lost", {}).items():
        kind, _, number = key.rpartition(_BETWEEN)
        inventory.lost[kind, int(number)] = int(count)
    for key, at in memory.get("asked", {}).items():
        inventory.asked[_parted(key)] = from_text(at)
    for key, at in memory.get("removing", {}).items():
        inventory.removing[_parted(key)] = steady - max(0.0, (now - from_text(at)).total_seconds())


def _joined(key: tuple[str, Any]) -> str:
    return f"{key[0]}{_BETWEEN}{key[1]}"


def _parted(key: str) -> tuple[str, str]:
    kind, _, cloud_id = key.partition(_BETWEEN)
    return kind, cloud_id
