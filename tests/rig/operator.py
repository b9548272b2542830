"""The rig from outside: an operator's eye on the user's and on another project, and the strangers in them.

It speaks plain HTTP and never asks envagent what exists.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import EndpointNotFound
from openstack.config import OpenStackConfig

from envagent.steps import mark
from tests.contract.target import Wire
from tests.kit import judge
from tests.kit.by_hand import date, host_lease, public_key
from tests.kit.waiting import until

Json = dict[str, Any]

STEADY = ("id", "name", "status", "description", "metadata", "port_id", "fingerprint", "device_id")
"""The fields that tell whether a thing was touched."""

STRANGER = "zzzzzzzzzz"
"""A run id that is not ours."""

PATIENCE = 600.0


@dataclass
class Rig:
    """One cloud of clouds.yaml whose every project can be seen."""

    name: str
    config: OpenStackConfig = field(default_factory=OpenStackConfig)

    @classmethod
    def named(cls) -> Rig:
        """The cloud of ENVAGENT_TEST_CLOUD."""
        name = os.environ.get("ENVAGENT_TEST_CLOUD")
        if not name:
            raise SystemExit("ENVAGENT_TEST_CLOUD must name a cloud of clouds.yaml")
        return cls(name)

    @property
    def clouds_file(self) -> Path:
        """The clouds.yaml that was read."""
        return Path(str(self.config.config_filename)).absolute()

    def entries(self) -> frozenset[str]:
        """The names in clouds.yaml."""
        return frozenset(self.config.cloud_config["clouds"])

    def wire(self, entry: str) -> Wire:
        """Plain HTTP as somebody."""
        return Wire(self.config.get_one(entry))

    @cached_property
    def operator(self) -> Wire:
        """Plain HTTP as the operator."""
        return self.wire(f"{self.name}-admin")

    @cached_property
    def user(self) -> Wire:
        """Plain HTTP as the user."""
        return self.wire(self.name)

    @cached_property
    def other(self) -> Wire:
        """Plain HTTP as a user of another project."""
        return self.wire(f"{self.name}-other")

    # What is there

    def everything(self) -> judge.Seen:
        """What the operator sees in both projects."""
        return {
            whose: {kind: self._list(kind, wire) for kind in (*judge.OURS, "port")}
            for whose, wire in (("user", self.user), ("other", self.other))
        }

    def _list(self, kind: str, whose: Wire) -> list[Json]:
        project = whose.project_id
        match kind:
            case "lease":
                return [one for one in self._get("reservation", "/leases", "leases") if one["project_id"] == project]
            case "server":
                return self._get("compute", f"/servers/detail?all_tenants=1&project_id={project}", "servers")
            case "floating_ip":
                return self._get("network", f"/floatingips?project_id={project}", "floatingips")
            case "port":
                return self._get("network", f"/ports?project_id={project}", "ports")
        path = f"/os-keypairs?user_id={whose.session.get_user_id()}"
        found = self._get("compute", path, "keypairs", {"OpenStack-API-Version": "compute 2.10"})
        return [one["keypair"] for one in found]

    def _get(self, service: str, path: str, key: str, headers: dict[str, str] | None = None) -> list[Json]:
        answer = self.operator.ask(service, "GET", path, headers=headers or {})
        assert answer.status == 200, (path, answer.status, answer.body)
        found: list[Json] = answer.body[key]
        return found

    def hosts(self) -> dict[str, int]:
        """How many hosts there are of each node type."""
        counted: dict[str, int] = {}
        for host in self._get("reservation", "/os-hosts", "hosts"):
            counted[host["node_type"]] = counted.get(host["node_type"], 0) + 1
        return counted

    @property
    def on_ironic(self) -> bool:
        """Whether Ironic deploys the nodes."""
        try:
            return bool(self.operator.session.get_endpoint(service_type="baremetal", interface="public"))
        except EndpointNotFound:
            return False

    def await_nodes(self) -> None:
        """Wait until Nova may use every node that has no server: one is cleaned after its last."""
        if self.on_ironic:
            nodes = [one["hypervisor_hostname"] for one in self._get("reservation", "/os-hosts", "hosts")]
            until(lambda: all(map(self._usable, nodes)), "the nodes to be cleaned", seconds=PATIENCE, pause=1.0)

    def _usable(self, node: str) -> bool:
        shown = self.operator.ask("baremetal", "GET", f"/v1/nodes/{node}").body
        if shown["instance_uuid"] is not None:
            return bool(shown["provision_state"] == "active")
        inventories: Any = self._get("placement", f"/resource_providers/{node}/inventories", "inventories")
        return bool(inventories) and all(one["reserved"] == 0 for one in inventories.values())

    # Strangers

    def let_others_have_things(self, node_type: str) -> None:
        """Make, in both projects, what looks like ours and must never be touched, and takes no node now.

        A lease of another run in the far future, free addresses, keypairs.
        """
        for wire in (self.other, self.user):
            _address(wire, "" if wire is self.user else mark.description(STRANGER, 1))
            for name in (mark.keypair_name(STRANGER), "laptop"):
                body = {"keypair": {"name": name, "public_key": public_key()}}
                made = wire.ask("compute", "POST", "/os-keypairs", body)
                assert made.status in (200, 201), made.body
            _lease(wire, mark.lease_name(STRANGER, 1, "thing"), node_type, hours=2000)

    def let_others_have_servers(self, node_type: str, name: str) -> None:
        """Make servers of the name that runs give theirs: another project's, and one of the user's own without mark."""
        for wire, lease_name in ((self.other, mark.lease_name(STRANGER, 2, "thing")), (self.user, "by hand")):
            lease = _lease(wire, lease_name, node_type, hours=0)
            path = f"/leases/{lease['id']}"
            _await_active(wire, "reservation", path, "lease")
            _server(wire, name, lease["reservations"][0]["id"])

    def remove_all(self) -> None:
        """Empty both projects."""
        for wire in (self.user, self.other):
            for service, path, kind in (
                ("compute", "/servers/", "server"),
                ("reservation", "/leases/", "lease"),
                ("network", "/floatingips/", "floating_ip"),
                ("compute", "/os-keypairs/", "keypair"),
            ):
                for one in self._list(kind, wire):
                    wire.ask(service, "DELETE", path + judge.key(kind, one))
            until(lambda: not self._list("server", wire), seconds=PATIENCE, pause=0.5)  # noqa: B023 - called at once


class Judge(judge.Judge):
    """Looks at both projects from before some runs on."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.everything, lambda one: {name: one[name] for name in STEADY if name in one})

    def complete(self, run_ids: Sequence[str], *, among: Sequence[str] = ()) -> None:
        """Check that each run has exactly one of each kind, ACTIVE and connected; others `among` them may have less."""
        held = self.held_by([*run_ids, *among])
        for run_id in run_ids:
            self.works(run_id, held[run_id])


def _lease(who: Wire, name: str, node_type: str, hours: float) -> Json:
    start = date(hours) if hours else "now"
    answer = who.ask(
        "reservation", "POST", "/leases", host_lease(name, date(hours + 20), start=start, node_type=node_type)
    )
    assert answer.status == 201, answer.body
    made: Json = answer.body["lease"]
    return made


def _server(who: Wire, name: str, reservation: str) -> None:
    flavors = who.ask("compute", "GET", "/flavors").body["flavors"]
    images = who.ask("image", "GET", "/images").body["images"]
    networks = who.ask("network", "GET", "/networks").body["networks"]
    body = {
        "server": {
            "name": name,
            "flavorRef": next(one["id"] for one in flavors if one["name"] == "baremetal"),
            "imageRef": next(one["id"] for one in images if one["name"] == "CC-Ubuntu22.04"),
            "networks": [{"uuid": next(one["id"] for one in networks if one["name"] == "sharednet1")}],
        },
        "OS-SCH-HNT:scheduler_hints": {"reservation": reservation},
    }
    answer = who.ask("compute", "POST", "/servers", body)
    assert answer.status == 202, answer.body
    made = answer.body["server"]["id"]
    _await_active(who, "compute", f"/servers/{made}", "server")


def _address(who: Wire, description: str) -> None:
    networks = who.ask("network", "GET", "/networks").body["networks"]
    external = next(one["id"] for one in networks if one["router:external"])
    body = {"floatingip": {"floating_network_id": external, "description": description}}
    assert who.ask("network", "POST", "/floatingips", body).status == 201


def _await_active(who: Wire, service: str, path: str, key: str) -> None:
    until(lambda: who.ask(service, "GET", path).body[key]["status"] == "ACTIVE", path, seconds=PATIENCE, pause=0.5)
