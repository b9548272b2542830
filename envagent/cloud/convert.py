"""Conversion between the services' bodies and the port's models: plain data, no requests.

The services' spellings end here (date formats, values as strings, lists as JSON text). A body that lacks what the port
promises raises LookupError, TypeError or ValueError, which the adapter reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from envagent.cloud.port import (
    Flavor,
    FlavorReservation,
    FloatingIp,
    Host,
    HostReservation,
    Image,
    Keypair,
    Lease,
    Network,
    Occupation,
    Port,
    Reservation,
    Server,
    ServerFault,
    ServerRequest,
)

Body = Mapping[str, Any]

_IMAGE_FIELDS = frozenset(
    [
        *("id", "name", "status", "visibility", "owner", "size", "virtual_size", "min_disk", "min_ram"),
        *("created_at", "updated_at", "protected", "checksum", "container_format", "disk_format", "file"),
        *("schema", "self", "tags", "locations", "direct_url", "os_hidden", "stores"),
    ]
)
_NODE_TYPE = re.compile(r'"\$node_type", *"([^"]+)"')
_HOST_FIELDS = frozenset(
    [
        *("id", "reservable", "disabled", "trust_id", "created_at", "updated_at", "cpu_info"),
        *("service_name", "vcpus", "memory_mb", "local_gb", "status", "hypervisor_type"),
        *("hypervisor_version", "hypervisor_hostname"),
    ]
)


def time_of(text: str | None) -> datetime | None:
    """Read a service's date, with or without zone, T or fraction; without a zone it is UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def image(body: Body) -> Image:
    """Read a Glance v2 image, whose custom properties are fields of the same object."""
    return Image(
        id=body["id"],
        name=body.get("name") or "",
        status=body["status"],
        visibility=body["visibility"],
        owner=body.get("owner"),
        size_bytes=body.get("size"),
        min_disk_gb=body.get("min_disk") or 0,
        min_ram_mb=body.get("min_ram") or 0,
        created_at=time_of(body.get("created_at")),
        properties={key: text(value) for key, value in body.items() if key not in _IMAGE_FIELDS and value is not None},
    )


def text(value: Any) -> str:
    """Write a property as a string, booleans as Blazar writes them."""
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else str(value)


def flavor(body: Body) -> Flavor:
    """Read a Nova flavor, with extra specs from microversion 2.61 on."""
    return Flavor(
        id=body["id"],
        name=body["name"],
        vcpus=body.get("vcpus") or 0,
        ram_mb=body.get("ram") or 0,
        disk_gb=body.get("disk") or 0,
        extra_specs={key: text(value) for key, value in (body.get("extra_specs") or {}).items()},
    )


def keypair(body: Body) -> Keypair:
    """Read a Nova keypair, in a list or alone."""
    inner = body.get("keypair", body)
    return Keypair(name=inner["name"], fingerprint=inner["fingerprint"], public_key=inner["public_key"].strip())


def server(body: Body) -> Server:
    """Read a Nova server with details."""
    fault = body.get("fault")
    origin = body.get("image")
    addresses = [entry for entries in (body.get("addresses") or {}).values() for entry in entries]
    return Server(
        id=body["id"],
        name=body["name"],
        status=body["status"],
        task_state=body.get("OS-EXT-STS:task_state"),
        fault=None if not fault else _fault(fault),
        metadata=body.get("metadata") or {},
        fixed_ips=tuple(entry["addr"] for entry in addresses if not _floats(entry)),
        floating_ips=tuple(entry["addr"] for entry in addresses if _floats(entry)),
        user_id=body.get("user_id"),
        image_id=origin["id"] if isinstance(origin, dict) else None,
        flavor_id=(body.get("flavor") or {}).get("id"),
        key_name=body.get("key_name"),
        created_at=time_of(body.get("created")),
    )


def _fault(body: Body) -> ServerFault:
    created = time_of(body.get("created"))
    return ServerFault(message=body.get("message") or "", code=body.get("code"), created=created)


def _floats(address: Body) -> bool:
    return address.get("OS-EXT-IPS:type") == "floating"


def server_body(request: ServerRequest) -> dict[str, Any]:
    """Write the body of POST /servers for one server."""
    inner: dict[str, Any] = {
        "name": request.name,
        "imageRef": request.image_id,
        "flavorRef": request.flavor_id,
        "key_name": request.key_name,
        "networks": [{"uuid": request.network_id}],
        "metadata": request.metadata,
        "min_count": 1,
        "max_count": 1,
    }
    if request.security_groups:
        inner["security_groups"] = [{"name": group} for group in request.security_groups]
    body: dict[str, Any] = {"server": inner}
    if request.reservation_id is not None:
        body["OS-SCH-HNT:scheduler_hints"] = {"reservation": request.reservation_id}
    return body


def network(body: Body) -> Network:
    """Read a Neutron network."""
    return Network(
        id=body["id"],
        name=body["name"],
        external=bool(body.get("router:external")),
        status=body.get("status") or "ACTIVE",
        subnet_ids=tuple(body.get("subnets") or ()),
    )


def port(body: Body) -> Port:
    """Read a Neutron port."""
    return Port(
        id=body["id"],
        network_id=body["network_id"],
        fixed_ips=tuple(entry["ip_address"] for entry in body.get("fixed_ips") or ()),
    )


def floating_ip(body: Body) -> FloatingIp:
    """Read a Neutron floating IP."""
    return FloatingIp(
        id=body["id"],
        address=body["floating_ip_address"],
        status=body["status"],
        description=body.get("description") or "",
        network_id=body.get("floating_network_id"),
        port_id=body.get("port_id"),
        fixed_ip=body.get("fixed_ip_address"),
        created_at=time_of(body.get("created_at")),
    )


def host(body: Body) -> Host:
    """Read a Blazar host: fields and extra capabilities in one flat object, numbers and booleans often as strings."""
    properties = {key: text(value) for key, value in body.items() if key not in _HOST_FIELDS and value is not None}
    return Host(
        id=_identifier(body["id"]),
        node_type=properties.get("node_type"),
        uid=properties.get("uid"),
        name=properties.get("node_name") or body.get("hypervisor_hostname"),
        reservable=_truth(body.get("reservable", True)) and not _truth(body.get("disabled", False)),
        properties=properties,
    )


def _identifier(value: Any) -> str:
    if not isinstance(value, str | int):
        raise TypeError("no id")
    return str(value)


def _truth(value: Any) -> bool:
    return value.strip().lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def occupations(body: Body) -> list[Occupation]:
    """Read the reservations of one host from an entry of the allocation list."""
    host_id = _identifier(body["resource_id"])
    return [
        Occupation(
            host_id=host_id,
            start=_moment(entry, "start_date"),
            end=_moment(entry, "end_date"),
            lease_id=entry.get("lease_id"),
        )
        for entry in listed(body.get("reservations"))
    ]


def lease(body: Body) -> Lease:
    """Read a Blazar lease."""
    return Lease(
        id=body["id"],
        name=body["name"],
        status=body["status"],
        start=_moment(body, "start_date"),
        end=_moment(body, "end_date"),
        project_id=body.get("project_id"),
        user_id=body.get("user_id"),
        degraded=_truth(body.get("degraded") or False),
        created_at=time_of(body.get("created_at")),
        reservations=tuple(reservation(entry) for entry in listed(body.get("reservations"))),
    )


def reservation(body: Body) -> Reservation:
    """Read a reservation of a lease; its filter is JSON text, in some versions decoded already."""
    node_type = _NODE_TYPE.search(text(body.get("resource_properties") or ""))
    return Reservation(
        id=body["id"],
        resource_type=body["resource_type"],
        status=body.get("status") or "",
        node_type=node_type[1] if node_type else None,
        missing_resources=_truth(body.get("missing_resources") or False),
        resources_changed=_truth(body.get("resources_changed") or False),
    )


def listed(value: Any) -> list[Any]:
    """Read a list, which some versions of Blazar send as JSON text."""
    found = json.loads(value) if isinstance(value, str) and value else value or []
    if not isinstance(found, list):
        raise TypeError("not a JSON list")
    return found


def _moment(body: Body, key: str) -> datetime:
    moment = time_of(body[key])
    if moment is None:
        raise ValueError(f"{key} is empty")
    return moment


def lease_date(moment: datetime | None) -> str:
    """Write a date for Blazar: UTC, without seconds so that 168 hours from now stay 168; None is "now"."""
    return "now" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def reservation_body(wanted: HostReservation | FlavorReservation) -> dict[str, Any]:
    """Write an item of POST /leases.

    The filter's operator is "=" because Chameleon's documents rule out "==" and upstream takes both.
    """
    if isinstance(wanted, FlavorReservation):
        return {"resource_type": "flavor:instance", "flavor_id": wanted.flavor_id, "amount": 1, "affinity": None}
    of_type = ["=", "$node_type", wanted.node_type]
    others = [["!=", "$uid", uid] for uid in wanted.exclude_uids]
    return {
        "resource_type": "physical:host",
        "min": 1,
        "max": 1,
        "hypervisor_properties": "",
        "resource_properties": json.dumps(["and", of_type, *others] if others else of_type),
    }
