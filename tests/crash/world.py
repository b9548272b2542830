"""A simulated cloud with other people's things in it, and an eye that sees it over plain HTTP.

It owns the sandbox's process, what is in the project before any run of ours, and how the project is listed. It uses
no client of envagent's: urllib and JSON.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from envagent.engine.journal import Journal
from envagent.sandbox import process
from tests.kit.by_hand import date, host_lease, public_key
from tests.kit.git import make_repository
from tests.kit.postgres import Postgres
from tests.kit.waiting import until

Json = dict[str, Any]

CLOUD = "chi"
"""The sandbox's name in clouds.yaml; nothing in it says that it is a sandbox."""

SERVER_NAME = "crash-server"
STRANGER = "zzzzzzzzzz"
"""A run id that is not ours."""

IDLE_SECONDS = 180.0

LISTS = {
    "lease": ("reservation", "/leases", "leases"),
    "server": ("compute", "/servers/detail", "servers"),
    "floating_ip": ("network", "/v2.0/floatingips", "floatingips"),
    "port": ("network", "/v2.0/ports", "ports"),
    "security_group": ("network", "/v2.0/security-groups", "security_groups"),
    "keypair": ("compute", "/os-keypairs", "keypairs"),
}


class Eye:
    """One person's view of the project, over plain HTTP."""

    def __init__(self, entry: Json) -> None:
        self._entry = entry
        self._token: str | None = None
        self._endpoints: dict[str, str] = {}

    def see(self) -> dict[str, list[Json]]:
        """List everything that the person can list."""
        return {kind: self.list(kind) for kind in LISTS}

    def list(self, kind: str) -> list[Json]:
        """List one kind."""
        service, path, key = LISTS[kind]
        found: list[Json] = self.ask(service, "GET", path)[key]
        return [one["keypair"] for one in found] if kind == "keypair" else found

    def ask(self, service: str, method: str, path: str, body: Json | None = None) -> Any:
        """Make one request."""
        if self._token is None:
            self._log_in()
        status, _, answer = _http(method, self._endpoints[service] + path, body, {"X-Auth-Token": self._token or ""})
        if status >= 300:
            raise AssertionError(f"{method} {service}{path} gave {status}: {answer}")
        return answer

    def _log_in(self) -> None:
        auth = self._entry["auth"]
        user = {"name": auth["username"], "password": auth["password"], "domain": {"name": auth["user_domain_name"]}}
        wanted = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"id": auth["project_id"]}},
            }
        }
        _, headers, answer = _http("POST", auth["auth_url"] + "/auth/tokens", wanted, {})
        self._token = headers["X-Subject-Token"]
        region = self._entry["region_name"]
        for service in answer["token"]["catalog"]:
            for endpoint in service["endpoints"]:
                if endpoint["interface"] == "public" and endpoint["region"] == region:
                    self._endpoints[service["type"]] = endpoint["url"].rstrip("/")


def _http(method: str, url: str, body: Json | None, headers: dict[str, str]) -> tuple[int, Any, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    asked = urllib.request.Request(url, data, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=20) as answer:
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None


@dataclass
class World:
    """A sandbox in a folder of its own, with strangers' objects, for one sweep (or one worker of it)."""

    folder: Path
    speed: float
    server: Postgres | None = None
    """Where the journals of its homes are; in files if None."""

    @classmethod
    def start(cls, folder: Path, speed: float = 2000.0, server: Postgres | None = None) -> World:
        """Start the sandbox and let other people make what must never be touched."""
        world = cls(folder, speed, server)
        settings = {"service_units": 1_000_000.0, "token_seconds": 14_400}
        process.ensure_running(folder, speed=speed, settings=settings, idle_seconds=IDLE_SECONDS)
        world._write_clouds()
        world._make_repository()
        world._let_others_live()
        return world

    def stop(self) -> None:
        """End the sandbox and remove the folder."""
        process.stop(self.folder)
        shutil.rmtree(self.folder)

    @cached_property
    def entries(self) -> dict[str, Json]:
        """The sandbox's own clouds.yaml."""
        text = (self.folder / "sandbox" / "clouds.yaml").read_text("utf-8")
        entries: dict[str, Json] = yaml.safe_load(text)["clouds"]
        return entries

    @cached_property
    def url(self) -> str:
        """Where the sandbox listens."""
        return str(json.loads((self.folder / "sandbox" / "server.json").read_text("utf-8"))["url"])

    @cached_property
    def ssh_port(self) -> int:
        """The port of its servers' SSH."""
        return int(self.control("health")["ssh_port"])

    @property
    def clouds_file(self) -> Path:
        """A clouds.yaml that does not tell a simulation from a site."""
        return self.folder / "clouds.yaml"

    @property
    def repository(self) -> Path:
        """A repository for runs to read."""
        return self.folder / "minigpt"

    @cached_property
    def empty_journal(self) -> Path:
        """A journal without runs."""
        path = self.folder / "empty-journal.db"
        Journal.open(path).close()
        return path

    @cached_property
    def user(self) -> Eye:
        """The user's own view."""
        return Eye(self.entries["sandbox"])

    @cached_property
    def mate(self) -> Eye:
        """A colleague in the same project."""
        return Eye(self.entries["sandbox-mate"])

    @cached_property
    def other(self) -> Eye:
        """Somebody in another project."""
        return Eye(self.entries["sandbox-other"])

    # What the cloud does

    def control(self, name: str, body: Any = None) -> Any:
        """Ask the sandbox's control endpoint."""
        return process.control(self.folder, name, body, timeout=20)

    def faults(self, *schedule: Json) -> None:
        """Put a fault schedule in force; without one, the cloud is well."""
        self.control("faults", {"faults": list(schedule)})

    def log(self) -> list[Json]:
        """Read the log of committed writes."""
        return process.read_log(self.folder)

    def created(self) -> list[Json]:
        """Read the log of what runs have created, whether it is still there or not."""
        return [row for row in self.log() if row["method"] == "POST" and "/_sandbox/" not in row["path"]]

    def act(self, who: str, service: str, method: str, path: str, body: Json | None = None) -> Json:
        """Make a call as somebody else."""
        answer = self.control("act", {"as": who, "service": service, "method": method, "path": path, "body": body})
        if answer["status"] >= 300:
            raise AssertionError(f"{who} {method} {path}: {answer}")
        return dict(answer["body"] or {})

    def everything(self) -> dict[str, dict[str, list[Json]]]:
        """List what everybody sees."""
        return {"user": self.user.see(), "mate": {"keypair": self.mate.list("keypair")}, "other": self.other.see()}

    # What was there before

    def _write_clouds(self) -> None:
        clouds = {
            CLOUD: self.entries["sandbox"],
            "chi-tacc": self.entries["sandbox-tacc"],
            "chi-other": self.entries["sandbox-other"],
            "chi-mate": self.entries["sandbox-mate"],
            "chi-appcred": self.entries["sandbox-appcred"],
        }
        self.clouds_file.write_text(yaml.safe_dump({"clouds": clouds}), "utf-8")
        self.clouds_file.chmod(0o600)

    def _make_repository(self) -> None:
        readme = "# minigpt\n\nTrain a small model on a CPU.\n"
        make_repository(self.repository, {"README.md": readme, "requirements.txt": "numpy>=1.21\nflask\n"})

    def _let_others_live(self) -> None:
        """Make a lease with our prefix, a server with our server's name, addresses, keys: none of them ours."""
        for who in ("mate", "other"):
            body = host_lease(f"envagent-{STRANGER}-1-minigpt", date(24))
            lease = self.act(who, "blazar", "POST", "/leases", body)["lease"]
            eye = self.mate if who == "mate" else self.other
            until(lambda: _all_active(eye, "lease"), "a stranger's lease")  # noqa: B023 - called at once
            self._launch(who, eye, lease["reservations"][0]["id"])
            public = next(
                one["id"] for one in eye.ask("network", "GET", "/v2.0/networks")["networks"] if _external(one)
            )
            for text in ("", f"envagent run {STRANGER} try 1"):
                body = {"floatingip": {"floating_network_id": public, "description": text}}
                self.act(who, "neutron", "POST", "/v2.0/floatingips", body)
        self.user_keypair(f"envagent-{STRANGER}")
        self.user_keypair("laptop")

    def _launch(self, who: str, eye: Eye, reservation: str) -> None:
        flavors = eye.ask("compute", "GET", "/flavors")["flavors"]
        images = eye.ask("image", "GET", "/v2/images?limit=1000")["images"]
        networks = eye.ask("network", "GET", "/v2.0/networks")["networks"]
        body = {
            "server": {
                "name": SERVER_NAME,
                "flavorRef": next(one["id"] for one in flavors if one["name"] == "baremetal"),
                "imageRef": next(one["id"] for one in images if one["name"].startswith("CC-Ubuntu22.04")),
                "networks": [{"uuid": next(one["id"] for one in networks if one["name"] == "sharednet1")}],
            },
            "os:scheduler_hints": {"reservation": reservation},
        }
        self.act(who, "nova", "POST", "/servers", body)
        until(lambda: _all_active(eye, "server"), "a stranger's server")

    def user_keypair(self, name: str) -> None:
        """Let the user register a key outside envagent."""
        self.act("user", "nova", "POST", "/os-keypairs", {"keypair": {"name": name, "public_key": public_key()}})

    def mate_keypair(self, name: str) -> None:
        """Let the colleague have a key of the same name as one of ours."""
        self.act("mate", "nova", "POST", "/os-keypairs", {"keypair": {"name": name, "public_key": public_key()}})


def _all_active(eye: Eye, kind: str) -> bool:
    return all(one["status"] == "ACTIVE" for one in eye.list(kind))


def _external(network: Json) -> bool:
    return bool(network["router:external"])
