"""What each site has: hosts, images, networks, flavors, projects and users, read from the packaged data files.

Static and read-only: objects that users create are in the state.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

NAMESPACE = uuid.UUID("0c5f6a1e-73a1-5a0e-8a55-3d0d8a4a6c11")
DEFAULT_BUILD_SECONDS = 600.0
KVM_BUILD_SECONDS = 90.0


def stable_id(*words: str) -> str:
    """Derive a UUID from words."""
    return str(uuid.uuid5(NAMESPACE, "/".join(words)))


@dataclass(frozen=True)
class Host:
    """A node as Blazar sees it; `properties` are flat strings, `build_seconds` is the time to deploy it."""

    id: str
    uid: str
    node_name: str
    node_type: str
    reservable: bool
    build_seconds: float
    properties: dict[str, str]


@dataclass(frozen=True)
class Image:
    """A Glance image; `owner` is a project id."""

    id: str
    name: str
    status: str
    visibility: str
    owner: str
    created_at: str
    size: int
    container_format: str = "bare"
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """A Neutron network with its one subnet; `routed` means that the site's router joins it to `public`."""

    id: str
    name: str
    shared: bool
    external: bool
    routed: bool
    cidr: str
    subnet_id: str


@dataclass(frozen=True)
class FlavorSpec:
    """A Nova flavor; `instances` is how many of them Blazar can reserve at a time (KVM)."""

    id: str
    name: str
    vcpus: int
    ram: int
    disk: int
    extra_specs: dict[str, str] = field(default_factory=dict)
    instances: int = 0


@dataclass(frozen=True)
class Account:
    """A project or a user of a site; `projects` are the ids that a user has roles in."""

    key: str
    id: str
    name: str
    projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Site:
    """A Chameleon site: its own Keystone, project ids, images, networks and hosts."""

    key: str
    region: str
    kind: str
    router_id: str
    projects: dict[str, Account]
    users: dict[str, Account]
    networks: dict[str, Network]
    flavors: dict[str, FlavorSpec]
    images: dict[str, Image]
    hosts: dict[str, Host]


def data(name: str) -> dict[str, Any]:
    """Return the content of a packaged data file."""
    content: dict[str, Any] = json.loads(files("envagent.sandbox").joinpath("data", name).read_text("utf-8"))
    return content


def _named_hosts(site: str, node_type: str, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the host entries of a type, generated where the data file only counts them."""
    if "hosts" in entry:
        hosts: list[dict[str, Any]] = entry["hosts"]
        return hosts
    return [
        {
            "id": str(uuid.UUID(stable_id(site, "host", node_type, str(number))).int % 90000 + 10000),
            "uid": stable_id(site, "node", node_type, str(number)),
            "node_name": f"{node_type.replace('_', '-')}-{number:02}",
            "reservable": number <= entry["reservable"],
            "own": entry.get("own", {}).get(str(number), {}),
        }
        for number in range(1, entry["count"] + 1)
    ]


def _hosts(site: str) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    for node_type, entry in data(f"hosts-{site}.json")["node_types"].items():
        for named in _named_hosts(site, node_type, entry):
            properties = {**entry["properties"], **named.pop("own", {})}
            host = Host(
                **{"reservable": True, **named},
                node_type=node_type,
                build_seconds=float(entry["build_seconds"]),
                properties={key: value for key, value in properties.items() if value is not None},
            )
            hosts[host.id] = host
    return hosts


def _images(site: str, projects: dict[str, Account]) -> dict[str, Image]:
    entries = data(f"images-{site}.json")["images"]
    return {entry["id"]: Image(**{**entry, "owner": projects[entry["owner"]].id}) for entry in entries}


def _site(key: str, entry: dict[str, Any]) -> Site:
    projects = {name: Account(name, p["id"], p["name"]) for name, p in entry["projects"].items()}
    return Site(
        key=key,
        region=entry["region"],
        kind=entry["kind"],
        router_id=entry["router_id"],
        projects=projects,
        users={
            name: Account(name, u["id"], u["name"], tuple(projects[p].id for p in u["projects"]))
            for name, u in entry["users"].items()
        },
        networks={n["id"]: Network(**n) for n in entry["networks"]},
        flavors={f["id"]: FlavorSpec(**f) for f in entry["flavors"]},
        images=_images(key, projects),
        hosts=_hosts(key) if entry["kind"] == "baremetal" else {},
    )


@cache
def sites() -> dict[str, Site]:
    """Return the simulated sites by their path name: uc, tacc, kvm."""
    return {key: _site(key, entry) for key, entry in data("sites.json").items()}
