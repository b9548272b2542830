"""The cloud under test: the port's adapter, plain HTTP beside it, and who else is there.

`ENVAGENT_TEST_CLOUD` names a clouds.yaml entry; without it the packaged sandbox is tested. Entries `<name>-other`
(a user of another project) and `<name>-admin` (an operator) open the tests that need them; without, those skip.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion

from envagent.cloud.adapter import connect
from envagent.cloud.port import InspectableCloud, Lease
from tests.kit.by_hand import date, host_reservation

NOBODY = "00000000-0000-0000-0000-000000000001"
_VERSIONS = {"image": "/v2", "network": "/v2.0"}


@dataclass
class Exchange:
    """One request and its raw answer."""

    status: int
    body: Any
    headers: requests.structures.CaseInsensitiveDict[str]


class Wire:
    """Plain HTTP with somebody's token: what the services say before anybody interprets it."""

    def __init__(self, region: CloudRegion) -> None:
        self.region = region
        self.auth_url = str(region.config["auth"]["auth_url"]).rstrip("/")
        self.auth = region.get_auth()
        self.session = Session(auth=self.auth, timeout=120)

    @property
    def project_id(self) -> str:
        return str(self.session.get_project_id())

    def token_life(self) -> timedelta:
        """How long its tokens are valid."""
        assert isinstance(self.auth, BaseIdentityPlugin)
        access = self.auth.get_access(self.session)
        assert access.expires is not None and access.issued is not None
        return access.expires - access.issued

    def ask(self, service: str, method: str, path: str, body: Any = None, **options: Any) -> Exchange:
        """Send one request as this user; with `token`, as whoever holds that."""
        endpoint = self.session.get_endpoint(
            service_type=service, interface="public", region_name=self.region.get_region_name()
        )
        assert endpoint is not None
        root = endpoint.rstrip("/")
        version = _VERSIONS.get(service, "")
        if version and not root.endswith(version):
            root += version
        token = options.pop("token", None) or self.session.get_token()
        headers = {"X-Auth-Token": token, "Accept": "application/json", **options.pop("headers", {})}
        return send(method, root + path, body, headers, **options)


def send(method: str, url: str, body: Any, headers: dict[str, str], **options: Any) -> Exchange:
    answer = requests.request(method, url, json=body, headers=headers, timeout=120, **options)
    try:
        document = answer.json()
    except ValueError:
        document = answer.text
    return Exchange(answer.status_code, document, answer.headers)


@dataclass
class Target:
    """A cloud and what is known of it. `scarce` is a node type with one free host, `plenty` one with more."""

    name: str
    cloud: InspectableCloud
    wire: Wire
    entries: dict[str, dict[str, Any]]
    open_entry: Callable[[str], tuple[InspectableCloud, Wire]]
    scarce: str
    plenty: str
    image_id: str
    flavor_id: str
    network_id: str
    external_id: str
    patience: float
    control: Callable[..., Any] | None = None
    """Asks the sandbox's control endpoints."""
    mark: str = field(default_factory=lambda: f"contract-{uuid.uuid4().hex[:6]}")

    def role(self, role: str) -> tuple[InspectableCloud, Wire]:
        """The adapter and the wire of `<name>-<role>`, or skip."""
        entry = f"{self.name}-{role}"
        if entry not in self.entries:
            pytest.skip(f"needs an entry {entry} in clouds.yaml")
        return self.open_entry(entry)

    def entry(self, *endings: str) -> str:
        """The name of the first entry of these that exists, or skip."""
        names = [f"{self.name}-{ending}" for ending in endings]
        for name in names:
            if name in self.entries:
                return name
        return str(pytest.skip(f"needs an entry {' or '.join(names)} in clouds.yaml"))

    @contextlib.contextmanager
    def operator(self) -> Iterator[tuple[InspectableCloud, Wire]]:
        """Somebody who may list the hosts: an operator, or at the sandbox the user with the policy opened."""
        if self.control is None:
            yield self.role("admin")
            return
        before = self.control("settings")["overrides"] or {}
        self.control("settings", {"overrides": {**before, "users_see_hosts": True, "users_see_allocations": True}})
        yield self.cloud, self.wire
        self.control("settings", {"overrides": before})

    def label(self, what: str) -> str:
        """A name that says whose it is."""
        return f"{self.mark}-{what}"

    @contextlib.contextmanager
    def quota(self, resource: str, limit: int) -> Iterator[None]:
        """Set a quota of the project (floatingip, instances, key_pairs) as an operator would, and lift it again."""
        if self.control is not None:
            names = {"key_pairs": "keypairs"}
            before = self.control("settings")["quotas"] or {}
            self.control("settings", {"quotas": {**before, names.get(resource, resource): limit}})
            yield
            self.control("settings", {"quotas": before})
            return
        _, operator = self.role("admin")
        if resource == "floatingip":
            service, path, body = "network", "/quotas/", {"quota": {"floatingip": limit}}
        else:
            service, path, body = "compute", "/os-quota-sets/", {"quota_set": {resource: limit}}
        path += self.wire.project_id
        assert operator.ask(service, "PUT", path, body).status == 200
        try:
            yield
        finally:
            assert operator.ask(service, "DELETE", path).status in (202, 204)

    def reservation(self, node_type: str, **more: Any) -> dict[str, Any]:
        """A reservation of one host, as it goes over the wire."""
        return host_reservation(node_type, **more)

    def lease_body(self, what: str, **more: Any) -> dict[str, Any]:
        """A lease in a window that nobody else is likely to use."""
        return {
            "name": self.label(what),
            "start_date": date(hours=4000),
            "end_date": date(hours=4001),
            "events": [],
            "reservations": [self.reservation(self.scarce)],
            **more,
        }

    def server_body(self, what: str, reservation: str | None, **more: Any) -> dict[str, Any]:
        """A server, as it goes over the wire."""
        inner = {
            "name": self.label(what),
            "imageRef": self.image_id,
            "flavorRef": self.flavor_id,
            "networks": [{"uuid": self.network_id}],
            "metadata": {"contract": self.mark},
            **more,
        }
        hints = {"OS-SCH-HNT:scheduler_hints": {"reservation": reservation}} if reservation else {}
        return {"server": inner, **hints}

    def walk(self, look: Callable[[], str], *last: str) -> list[str]:
        """Look until one of the last values shows; the values on the way, each once."""
        seen: list[str] = []
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            value = look()
            if not seen or seen[-1] != value:
                seen.append(value)
            if value in last:
                return seen
            time.sleep(0.05 if self.control else 0.5)
        raise AssertionError(f"none of {last} within {self.patience} s, but {seen}")

    def pass_time(self, until: datetime) -> None:
        """Let the cloud's clock reach a moment: a real one has to be waited for, the sandbox's can be moved on."""
        seconds = (until - datetime.now(UTC)).total_seconds()
        if self.control is not None and seconds > 0:
            self.control("clock", {"seconds": seconds})
        elif seconds > 0:
            time.sleep(seconds)

    def lease_status(self, lease_id: str) -> str:
        """The status of a lease, or HTTP and a number."""
        answer = self.wire.ask("reservation", "GET", f"/leases/{lease_id}")
        return str(answer.body["lease"]["status"]) if answer.status == 200 else f"HTTP {answer.status}"

    def server_status(self, server_id: str) -> str:
        """The status of a server, or HTTP and a number."""
        answer = self.wire.ask("compute", "GET", f"/servers/{server_id}")
        return str(answer.body["server"]["status"]) if answer.status == 200 else f"HTTP {answer.status}"

    def mine(self) -> list[str]:
        """All that this session has made and that still exists."""
        found = [f"server {x.id}" for x in self.cloud.servers() if x.name.startswith(self.mark)]
        found += [f"lease {x.id}" for x in self.cloud.leases() if x.name.startswith(self.mark) and not _over(x)]
        found += [f"floating IP {x.id}" for x in self.cloud.floating_ips() if x.description.startswith(self.mark)]
        return found + [f"keypair {x.name}" for x in self.cloud.keypairs() if x.name.startswith(self.mark)]

    def remove_all(self) -> None:
        """Delete what this session has made, and wait until it is gone."""
        for server in self.cloud.servers():
            if server.name.startswith(self.mark):
                self.cloud.delete_server(server.id)
                self.walk(lambda id=server.id: self.server_status(id), "HTTP 404")  # type: ignore[misc]
        for lease in self.cloud.leases():
            if lease.name.startswith(self.mark):
                self.cloud.delete_lease(lease.id)
        for address in self.cloud.floating_ips():
            if address.description.startswith(self.mark):
                self.cloud.delete_floating_ip(address.id)
        for keypair in self.cloud.keypairs():
            if keypair.name.startswith(self.mark):
                self.cloud.delete_keypair(keypair.name)


def _over(lease: Lease) -> bool:
    return lease.status == "TERMINATED"


def moment(hours: float = 0.0) -> datetime:
    """An aware moment so many hours from now, on the minute."""
    return (datetime.now(UTC) + timedelta(hours=hours)).replace(second=0, microsecond=0)


def find(name: str, config: OpenStackConfig, clouds_yaml: Path | None, **known: Any) -> Target:
    """Log in and look around: one image, flavor, inner and outer network, and two node types."""
    entries = config.cloud_config["clouds"]

    def open_entry(entry: str) -> tuple[InspectableCloud, Wire]:
        return connect(entry, clouds_yaml=clouds_yaml), Wire(config.get_one(entry))

    cloud, wire = open_entry(name)
    networks = cloud.networks()
    inner = next((n for n in networks if n.name == "sharednet1"), None) or next(n for n in networks if not n.external)
    flavors = cloud.flavors()
    flavor = next((f for f in flavors if f.name == "baremetal"), None) or flavors[0]
    images = [image for image in cloud.images() if image.visibility == "public" and image.status == "active"]
    image = next((image for image in images if image.name == "CC-Ubuntu22.04"), None) or images[0]
    return Target(
        name=name,
        cloud=cloud,
        wire=wire,
        entries=entries,
        open_entry=open_entry,
        image_id=image.id,
        flavor_id=flavor.id,
        network_id=inner.id,
        external_id=next(n for n in networks if n.external).id,
        **known,
    )
