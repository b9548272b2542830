"""Actions on servers (POST /servers/ID/action), and the record of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from envagent.sandbox import nova_schemas, server_tasks
from envagent.sandbox.body_schemas import ANYTHING, words
from envagent.sandbox.cloud_time import iso_micro
from envagent.sandbox.exchange import Call, Reply
from envagent.sandbox.neutron_groups import groups
from envagent.sandbox.nova_requests import bad_request, body, conflict, not_allowed, not_found, not_simulated, since
from envagent.sandbox.nova_servers import (
    bootable,
    change,
    check_metadata,
    get,
    password,
    public_key,
    refuse_locked,
    save,
)
from envagent.sandbox.nova_versions import microversion
from envagent.sandbox.nova_views import changed_view
from envagent.sandbox.records import SecurityGroup, Server
from envagent.sandbox.server_life import ports

LIVING = ("active", "paused", "suspended", "stopped")
ADMIN_ACTIONS = {
    "os-resetState": "os-admin-actions:reset_state",
    "injectNetworkInfo": "os-admin-actions:inject_network_info",
    "migrate": "os-migrate-server:migrate",
}
UNSIMULATED = words(
    """
    changePassword confirmResize createBackup createImage forceDelete os-getRDPConsole os-getSPICEConsole
    os-getSerialConsole os-getVNCConsole os-getMKSConsole os-migrateLive evacuate pause unpause suspend resume rescue
    unrescue resize revertResize restore shelve shelveOffload unshelve trigger_crash_dump addFixedIp removeFixedIp
    """
)
"""Actions of the real Nova that are a 501 here."""


def expect(server: Server, action: str, *states: str, idle: bool = True) -> None:
    """Refuse an action unless the server is in one of these states and, with `idle`, not busy."""
    if server.vm_state not in states:
        raise conflict(f"Cannot '{action}' instance {server.id} while it is in vm_state {server.vm_state}")
    if idle and server.task_state is not None:
        raise conflict(f"Cannot '{action}' instance {server.id} while it is in task_state {server.task_state}")


def _record(call: Call, server: Server, action: str) -> None:
    """Record an action, and store the server."""
    entry = {"action": action, "request_id": call.request_id, "at": call.world.at, "user": call.identity.user}
    server.actions = [*server.actions, entry]
    save(call, server)


def _reboot(call: Call) -> None:
    asked = body(call, "reboot", nova_schemas.REBOOT)
    server = get(call)
    hard = asked["type"].upper() == "HARD"
    refuse_locked(server)
    again = hard and server.task_state in ("rebooting", "rebooting_hard")
    expect(server, "reboot", *(("active", "stopped", "error") if hard else ("active",)), idle=not again)
    _record(call, server, "reboot")
    server_tasks.begin(call.world, server, "rebooting_hard" if hard else "rebooting")


def _power(action: str, states: tuple[str, ...], task: str, call: Call) -> None:
    body(call, f"os-{action}", ANYTHING)
    server = get(call)
    if server.task_state == "scheduling":
        raise not_found(f"Instance {server.id} could not be found.")
    refuse_locked(server)
    if server.host is None:
        raise conflict(f"Instance {server.id} is not ready")
    expect(server, action, *states)
    _record(call, server, action)
    server_tasks.begin(call.world, server, task)


def _rebuild(call: Call) -> Reply:
    asked: dict[str, Any] = body(call, "rebuild", nova_schemas.rebuild(microversion(call)))
    server = get(call)
    refuse_locked(server)
    check_metadata(asked.get("metadata") or {})
    image = bootable(call, asked["imageRef"], "Cannot find image for rebuild")
    expect(server, "rebuild", "active", "stopped", "error")
    key = asked.get("key_name")
    if key is not None and public_key(call, key) is None:
        raise bad_request("Invalid key_name provided.")
    if server.host is None:
        raise not_simulated("the rebuild of a server without a host")
    server.image, server.key_name = image.id, asked.get("key_name", server.key_name)
    server.public_key = server.public_key if key is None else public_key(call, key)
    server.metadata = dict(asked.get("metadata", server.metadata))
    change(server, asked)
    _record(call, server, "rebuild")
    server_tasks.begin(call.world, server, "rebuilding", after="stopped" if server.vm_state == "stopped" else "active")
    shown = {**changed_view(call, server), "adminPass": asked.get("adminPass") or password()}
    if since(call, 2, 54):
        shown["key_name"] = server.key_name
    if since(call, 2, 57):
        shown["user_data"] = asked.get("user_data")
    return Reply(202, {"server": shown})


def _lock(call: Call) -> None:
    asked = body(call, "lock", nova_schemas.lock(microversion(call)))
    server = get(call)
    reason = asked.get("locked_reason") if since(call, 2, 73) and asked else None
    server.locked, server.locked_reason = True, reason
    _record(call, server, "lock")


def _unlock(call: Call) -> None:
    body(call, "unlock", ANYTHING)
    server = get(call)
    server.locked, server.locked_reason = False, None
    _record(call, server, "unlock")


def _console(call: Call) -> Reply:
    asked = body(call, "os-getConsoleOutput", nova_schemas.CONSOLE)
    server = get(call)
    if server.host is None:
        raise conflict(f"Instance {server.id} is not ready")
    if server.vm_state == "building":
        raise not_found("The console log is not available.")
    lines = ["[    0.000000] Linux version 6.8.0 (sandbox)", f"{server.name} login: "]
    length = int(asked["length"]) if asked.get("length") is not None else -1
    return Reply(200, {"output": "\n".join(lines if length < 0 else lines[len(lines) - length :] if length else [])})


def _group(call: Call, action: str) -> tuple[Server, SecurityGroup]:
    """Return the server and the security group that an action names."""
    name = body(call, action, nova_schemas.GROUP)["name"]
    server = get(call)
    found = next((group for group in groups(call) if name in (group.id, group.name)), None)
    if found is None:
        raise not_found(f"Security group {name} is not found for project {call.identity.project}")
    if not ports(call.world, server):
        raise not_found(f"instance_id {server.id} could not be found as device id on any ports")
    return server, found


def _add_group(call: Call) -> None:
    server, group = _group(call, "addSecurityGroup")
    if group.name in server.security_groups:
        reason = (
            f"Duplicate items in the list: '{group.id}'.\nNeutron server returns request_ids: ['{call.request_id}']"
        )
        raise bad_request(f"Invalid input for security_groups. Reason: {reason}")
    server.security_groups = [*server.security_groups, group.name]
    _apply_groups(call, server)


def _remove_group(call: Call) -> None:
    server, group = _group(call, "removeSecurityGroup")
    if group.name not in server.security_groups:
        name = call.part("removeSecurityGroup")["name"]
        raise not_found(f"Security group {name} not associated with the instance {server.id}")
    server.security_groups = [name for name in server.security_groups if name != group.name]
    _apply_groups(call, server)


def _apply_groups(call: Call, server: Server) -> None:
    """Apply the server's security groups to its ports."""
    ids = [group.id for group in groups(call) if group.name in server.security_groups]
    for port in ports(call.world, server):
        port.security_groups, port.updated_at = ids, call.world.at
        call.world.put(port)
    save(call, server)


def _address_proxy(call: Call) -> Reply:
    """Refuse floating IPs through Nova, which ended with 2.44 and never worked without a network."""
    server = get(call)
    if since(call, 2, 44):
        raise not_found("The resource could not be found.")
    if not ports(call.world, server):
        raise bad_request("Instance network is not ready yet")
    raise not_simulated("addresses through Nova, which clients ask of Neutron since microversion 2.44")


ACTIONS: dict[str, Callable[[Call], Reply | None]] = {
    "reboot": _reboot,
    "os-stop": partial(_power, "stop", ("active", "error"), "powering-off"),
    "os-start": partial(_power, "start", ("stopped",), "powering-on"),
    "rebuild": _rebuild,
    "lock": _lock,
    "unlock": _unlock,
    "os-getConsoleOutput": _console,
    "addSecurityGroup": _add_group,
    "removeSecurityGroup": _remove_group,
    "addFloatingIp": _address_proxy,
    "removeFloatingIp": _address_proxy,
}


def act(call: Call) -> Reply:
    """Handle POST /servers/ID/action; the body's one key names the action."""
    if len(call.body) != 1:
        raise bad_request("Malformed request body")
    (action,) = call.body
    if action in ADMIN_ACTIONS:
        get(call)
        raise not_allowed(ADMIN_ACTIONS[action])
    if action in UNSIMULATED:
        raise not_simulated(f"the action {action}")
    if action not in ACTIONS:
        raise bad_request(f"There is no such action: {action}")
    return ACTIONS[action](call) or Reply(202)


def _entries(call: Call, server: Server) -> list[dict[str, Any]]:
    """List the actions on a server, latest first."""
    created = {"action": "create", "request_id": server.action_request_id, "at": server.created_at, "user": server.user}
    shown = []
    for done in reversed([created, *server.actions]):
        entry = {
            "action": done["action"],
            "instance_uuid": server.id,
            "message": "Error" if server.status == "ERROR" and done is created else None,
            "project_id": server.owner,
            "request_id": done["request_id"],
            "start_time": iso_micro(done["at"]),
            "user_id": done["user"],
        }
        if since(call, 2, 58):
            entry["updated_at"] = iso_micro(server.updated_at if done is created else done["at"])
        shown.append(entry)
    return shown


def list_actions(call: Call) -> Reply:
    """Handle GET /servers/ID/os-instance-actions."""
    return Reply(200, {"instanceActions": _entries(call, get(call))})


def show_action(call: Call) -> Reply:
    """Handle GET /servers/ID/os-instance-actions/REQUEST."""
    for entry in _entries(call, get(call)):
        if entry["request_id"] == call.params["request"]:
            return Reply(200, {"instanceAction": {**entry, "events": []}})
    raise not_found(f"Action for request_id {call.params['request']} on instance {call.params['id']} not found")
