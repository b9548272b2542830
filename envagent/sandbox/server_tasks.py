"""Tasks of a built server: reboot, stop, start, rebuild."""

from __future__ import annotations

from dataclasses import dataclass

from envagent.sandbox import server_life
from envagent.sandbox.records import Server
from envagent.sandbox.state import Due
from envagent.sandbox.world import World

STATUS = {"active": "ACTIVE", "stopped": "SHUTOFF", "error": "ERROR", "building": "BUILD"}


@dataclass(frozen=True)
class Task:
    """A task's status, its duration in seconds (None: as long as a deployment), and the state after it."""

    status: str | None
    seconds: float | None
    after: str


TASKS = {
    "rebooting": Task("REBOOT", 90.0, "active"),
    "rebooting_hard": Task("HARD_REBOOT", 120.0, "active"),
    "powering-off": Task(None, 30.0, "stopped"),
    "powering-on": Task(None, 90.0, "active"),
    "rebuilding": Task("REBUILD", None, "active"),
}


def begin(world: World, server: Server, name: str, after: str | None = None) -> None:
    """Start a task; `after` overrides the state after it."""
    task = TASKS[name]
    server.task_state, server.status, server.updated_at = name, task.status or server.status, world.at
    world.put(server)
    seconds = server_life.build_seconds(world, server.host or "") if task.seconds is None else task.seconds
    world.schedule(world.after(seconds), "server.task", server.id, task=name, after=after or task.after)


def finish(world: World, due: Due) -> None:
    """Complete a task, unless another one has replaced it."""
    server = world.get(Server, due.id)
    if server is None or server.task_state != due.detail["task"]:
        return
    rebuilt_to_stop = due.detail["task"] == "rebuilding" and due.detail["after"] == "stopped"
    server.vm_state = "active" if rebuilt_to_stop else due.detail["after"]
    server.task_state, server.updated_at, server.booted_at = None, world.at, world.at
    server.installed += due.detail["task"] == "rebuilding"
    server.status, server.fault = STATUS[server.vm_state], None
    if rebuilt_to_stop:
        begin(world, server, "powering-off")
    else:
        world.put(server)
