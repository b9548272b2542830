"""The port over the real SDKs: openstacksdk for configuration and login, python-blazarclient for Blazar.

Each port method makes exactly one request, apart from lists that a service splits into pages. Keystone's
catalog leads to Glance, Nova and Neutron through keystoneauth adapters rather than through the SDK's proxies, because
those discover versions first, look names up twice, and retry. What a response means is decided in `classify`, and how
a request is sent in `http_session`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from blazarclient.v1.client import Client as BlazarClient
from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1.identity.base import BaseIdentityPlugin

from envagent.cloud import classify, convert, rest, ssh_group
from envagent.cloud.http_session import (
    MALFORMED,
    NoResponse,
    Recorder,
    Redirected,
    Refused,
    SingleShotSession,
    quiet_loggers,
)
from envagent.cloud.login import Credentials, Logins, login_failed, read_credentials
from envagent.cloud.port import (
    Account,
    ComputeLimits,
    Flavor,
    FlavorReservation,
    FloatingIp,
    Host,
    HostReservation,
    Identity,
    Image,
    InspectableCloud,
    Keypair,
    Lease,
    Network,
    Occupation,
    Port,
    Server,
    ServerRequest,
)
from envagent.cloud.rest import Rest
from envagent.cloud.site_kinds import SiteKindName, find_kind
from envagent.errors import AuthenticationError, Conflict, Forbidden, NotFound
from envagent.hints import Hint, Shell

_EXTRA_SPECS = "2.61"  # Nova (2018) lists a flavor's extra specs from this microversion on.
_PAGE = "1000"  # Glance's own default is 25 images a page; this is its upper limit.
_NOBODY = "0" * 32
UNRESTRICTED = Hint(
    "create an unrestricted application credential at this site (Horizon > Identity > Application Credentials), "
    "or log in with the CLI password: Blazar needs a trust for each lease"
)


def connect(
    cloud: str | None,
    *,
    clouds_yaml: Path | None = None,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float = 30.0,
    write_timeout: float = 120.0,
    record: Recorder | None = None,
    permit: Callable[[], None] | None = None,
    logins: Logins | None = None,
) -> InspectableCloud:
    """Open the cloud of the credentials that `read_credentials` finds; nothing is sent before the first method call.

    `timeout` is how many seconds without a byte a connection or a read may take (in all, three times as long);
    `write_timeout` is the same for a write: Blazar deletes an active lease while the client waits. `record` receives
    every exchange; `permit` is called just before the bytes of a request go out, and raises to keep them back; `logins`
    keeps the credentials and the token for the next connection.

    Raises:
        ConfigurationError: nothing is configured, or what is configured cannot be used.
    """
    quiet_loggers()
    find = read_credentials if logins is None else logins.find
    credentials = find(cloud, clouds_yaml, variables=variables, folder=folder)
    verify, certificate = credentials.region.get_requests_verify_args()
    session = SingleShotSession(
        read_timeout=timeout,
        write_timeout=write_timeout,
        record=record,
        permit=permit,
        auth=credentials.region.get_auth(),
        verify=verify,
        cert=certificate,
    )
    return _OpenStackCloud(credentials, session)


class _OpenStackCloud:
    """The port, which describes the methods; docstrings here say what is particular to the services.

    Args:
        credentials: where and as whom.
        session: sends every request, blazarclient's too.
    """

    def __init__(self, credentials: Credentials, session: SingleShotSession) -> None:
        region = credentials.region
        self._credentials = credentials
        self._session = session
        self._kind: SiteKindName | None = None
        self._kind_lock = threading.Lock()
        self._keystone = Rest(session, region, "identity", "v3")
        self._glance = Rest(session, region, "image", "v2")
        self._nova = Rest(session, region, "compute", "v2.1")
        self._neutron = Rest(session, region, "network", "v2.0")
        self._reservation = Rest(session, region, "reservation", "v1")
        self._blazar = BlazarClient(
            session=session,
            service_type=region.get_service_type("reservation"),
            service_name=region.get_service_name("reservation"),
            interface=region.get_interface("reservation"),
            region_name=region.get_region_name("reservation"),
            endpoint_override=region.get_endpoint("reservation"),
        )

    # Keystone

    def identity(self) -> Identity:
        """Log in, once per process as long as the token lives."""
        with self._call("log in"):
            access = self._login().get_access(self._session)
            if access.project_id is None or access.user_id is None:
                raise AuthenticationError(
                    "the login succeeded, but the credentials do not name a project",
                    hint=Hint(
                        "set project_id (OS_PROJECT_ID); to list your projects:", Shell("openstack", "project", "list")
                    ),
                )
            return Identity(
                cloud=self._credentials.cloud,
                auth_url=self._credentials.auth_url,
                region=self._credentials.region.get_region_name(),
                project_id=access.project_id,
                project_name=access.project_name,
                user_id=access.user_id,
                profile=self._site_kind(),
            )

    def account(self) -> Account:
        with self._call("log in"):
            access = self._login().get_access(self._session)
            services = (self._keystone, self._glance, self._nova, self._neutron, self._reservation)
            missing = tuple(one.service_type for one in services if not one.has_address())
            return Account(roles=tuple(access.role_names or ()), missing_services=missing)

    def server_time(self) -> datetime | None:
        with self._call("read the time"):
            return self._keystone.server_time("")

    def can_make_trusts(self) -> bool | None:
        """Read whether an application credential is unrestricted; a password always may create trusts."""
        if self._credentials.kind != "application_credential":
            return None
        named = self._credentials.region.config["auth"].get("application_credential_id")
        if not named:
            return None
        with self._call("read the application credential"):
            user = _segment(self._session.get_user_id() or "")
            body = self._keystone.get(f"/users/{user}/application_credentials/{_segment(str(named))}")
            return bool(body["application_credential"]["unrestricted"])

    # Glance

    def images(self) -> list[Image]:
        with self._call("list the images"):
            return [convert.image(body) for body in self._glance.pages("/images", "images", limit=_PAGE)]

    def image(self, image_id: str) -> Image:
        with self._call(f"read image {image_id}"):
            return convert.image(self._glance.get(f"/images/{_segment(image_id)}"))

    # Nova

    def flavors(self) -> list[Flavor]:
        with self._call("list the flavors"):
            bodies = self._nova.pages("/flavors/detail", "flavors", microversion=_EXTRA_SPECS)
            return [convert.flavor(body) for body in bodies]

    def compute_limits(self) -> ComputeLimits:
        with self._call("read the limits of Nova"):
            limits = self._nova.get("/limits")["limits"]["absolute"]
            return ComputeLimits(
                servers=_limit(limits["maxTotalInstances"]),
                servers_used=int(limits["totalInstancesUsed"]),
                keypairs=_limit(limits["maxTotalKeypairs"]),
            )

    def keypair(self, name: str) -> Keypair | None:
        try:
            with self._call(f"read keypair {name}"):
                return convert.keypair(self._nova.get(f"/os-keypairs/{_segment(name)}"))
        except NotFound:
            return None

    def keypairs(self) -> list[Keypair]:
        """List the user's keypairs; Nova splits this list into pages only from microversion 2.35 on."""
        with self._call("list the keypairs"):
            return [convert.keypair(body) for body in self._nova.pages("/os-keypairs", "keypairs")]

    def import_keypair(self, name: str, public_key: str) -> Keypair:
        with self._call(f"register keypair {name}", write=True):
            body = {"keypair": {"name": name, "public_key": public_key}}
            return convert.keypair(self._nova.post("/os-keypairs", body))

    def delete_keypair(self, name: str) -> None:
        with self._deletion(f"delete keypair {name}"):
            self._nova.delete(f"/os-keypairs/{_segment(name)}")

    def servers(self) -> list[Server]:
        with self._call("list the servers"):
            return [convert.server(body) for body in self._nova.pages("/servers/detail", "servers")]

    def server(self, server_id: str) -> Server:
        with self._call(f"read server {server_id}"):
            return convert.server(self._nova.get(f"/servers/{_segment(server_id)}")["server"])

    def create_server(self, request: ServerRequest) -> Server:
        """Boot one server; Nova's response holds little more than the id, so the rest repeats the request."""
        with self._call(f"launch server {request.name}", write=True):
            body = convert.server_body(request)
            made = self._nova.post("/servers", body)["server"]
            return Server(
                id=made["id"],
                name=request.name,
                status=made.get("status") or "BUILD",
                metadata=request.metadata,
                image_id=request.image_id,
                key_name=request.key_name,
            )

    def delete_server(self, server_id: str) -> None:
        with self._deletion(f"delete server {server_id}"):
            self._nova.delete(f"/servers/{_segment(server_id)}")

    # Neutron

    def networks(self) -> list[Network]:
        with self._call("list the networks"):
            return [convert.network(body) for body in self._neutron.pages("/networks", "networks")]

    def ports(self, server_id: str) -> list[Port]:
        with self._call(f"list the ports of server {server_id}"):
            return [convert.port(body) for body in self._neutron.pages("/ports", "ports", device_id=server_id)]

    def floating_ips(self) -> list[FloatingIp]:
        """List the project's floating IPs only, also for an administrator."""
        with self._call("list the floating IPs"):
            project = self._session.get_project_id() or ""
            bodies = self._neutron.pages("/floatingips", "floatingips", project_id=project)
            return [convert.floating_ip(body) for body in bodies]

    def floating_ip_limit(self) -> int | None:
        with self._call("read the quota of floating IPs"):
            project = _segment(self._session.get_project_id() or "")
            return _limit(self._neutron.get(f"/quotas/{project}")["quota"]["floatingip"])

    def floating_ip(self, floating_ip_id: str) -> FloatingIp:
        with self._call(f"read floating IP {floating_ip_id}"):
            body = self._neutron.get(f"/floatingips/{_segment(floating_ip_id)}")
            return convert.floating_ip(body["floatingip"])

    def create_floating_ip(self, network_id: str, description: str) -> FloatingIp:
        """Allocate an address; the description is part of the one request, so that no address is ever without it."""
        with self._call("allocate a floating IP", write=True):
            body = {"floatingip": {"floating_network_id": network_id, "description": description}}
            return convert.floating_ip(self._neutron.post("/floatingips", body)["floatingip"])

    def attach_floating_ip(self, floating_ip_id: str, port_id: str) -> FloatingIp:
        with self._call(f"attach floating IP {floating_ip_id}", write=True):
            body = {"floatingip": {"port_id": port_id}}
            path = f"/floatingips/{_segment(floating_ip_id)}"
            return convert.floating_ip(self._neutron.put(path, body)["floatingip"])

    def delete_floating_ip(self, floating_ip_id: str) -> None:
        with self._deletion(f"release floating IP {floating_ip_id}"):
            self._neutron.delete(f"/floatingips/{_segment(floating_ip_id)}")

    def ensure_ssh_security_group(self) -> str:
        """Return the id of a group of the project that lets SSH in, made or completed when it is not there.

        An id, because group names are not unique in Neutron and Nova refuses an ambiguous one.
        """
        doing = f"prepare security group {ssh_group.NAME}"

        def find() -> tuple[str | None, bool]:
            with self._call(doing):
                return ssh_group.find(self._neutron, self._session.get_project_id() or "")

        group_id, ready = find()
        if group_id is not None and ready:
            return group_id
        try:
            with self._call(doing, write=True):
                return ssh_group.complete(self._neutron, group_id)
        except Conflict:  # another run may have added the rule in the meantime
            group_id, ready = find()
            if group_id is None or not ready:
                raise
            return group_id

    # Blazar

    def hosts(self) -> list[Host]:
        with self._call("list the hosts"):
            return [convert.host(body) for body in rest.listed(self._blazar.host.list())]

    def node_type_names(self) -> set[str]:
        """List the node types of the site's hosts; Chameleon shows them to users who may not list the hosts."""
        with self._call("list the hosts' properties"):
            for shown in self._blazar.host.list_properties(detail=True):
                if shown["property"] == "node_type":
                    return set(shown["property_values"])
            return set()

    def occupations(self) -> list[Occupation]:
        with self._call("list the hosts' reservations"):
            entries = rest.listed(self._blazar.allocation.list("os-hosts"))
            return [occupation for entry in entries for occupation in convert.occupations(entry)]

    def leases(self) -> list[Lease]:
        """List the project's leases only, also for an administrator."""
        with self._call("list the leases"):
            project = self._session.get_project_id()
            found = [convert.lease(body) for body in rest.listed(self._blazar.lease.list())]
            return [lease for lease in found if lease.project_id in (None, project)]

    def lease(self, lease_id: str) -> Lease:
        """Read one lease; another project's raises Forbidden, not NotFound."""
        with self._call(f"read lease {lease_id}"):
            return convert.lease(self._blazar.lease.get(_segment(lease_id)))

    def create_lease(
        self, name: str, start: datetime | None, end: datetime, reservation: HostReservation | FlavorReservation
    ) -> Lease:
        """Reserve; Blazar allocates the node before it responds."""
        with self._call(f"reserve lease {name}", write=True):
            try:
                body = self._blazar.lease.create(
                    name=name,
                    start=convert.lease_date(start),
                    end=convert.lease_date(end),
                    reservations=[convert.reservation_body(reservation)],
                    events=[],
                )
            except Refused as refusal:
                self._check_trust(refusal, name)
                raise
            return convert.lease(body)

    def extend_lease(self, lease_id: str, end: datetime) -> Lease:
        """Move the end; the status of the response is UPDATING, and the next read shows the stable one."""
        with self._call(f"move the end of lease {lease_id}", write=True):
            return convert.lease(self._blazar.lease.update(_segment(lease_id), end_date=convert.lease_date(end)))

    def delete_lease(self, lease_id: str) -> None:
        with self._deletion(f"end lease {lease_id}"):
            self._blazar.lease.delete(_segment(lease_id))

    def close(self) -> None:
        self._session.session.close()

    # The site

    def _login(self) -> BaseIdentityPlugin:
        auth = self._session.auth
        if not isinstance(auth, BaseIdentityPlugin):
            raise AuthenticationError(
                "this kind of login does not name a project", hint=Hint("use one of Keystone's auth_types")
            )
        return auth

    def _site_kind(self) -> SiteKindName:
        def flavor_names() -> set[str]:
            return {flavor["name"] for flavor in self._nova.pages("/flavors", "flavors")}

        with self._kind_lock:
            if self._kind is None:
                self._kind = find_kind(self._credentials.region.get_region_name() or "", flavor_names)
            return self._kind

    # Errors

    @contextmanager
    def _call(self, doing: str, *, write: bool = False) -> Iterator[None]:
        """Limit a call in time and turn every failure inside into one of `envagent.errors`.

        Args:
            doing: an infinitive with the object's name.
            write: whether the request changes something.
        """
        try:
            with self._session.call(write=write):
                yield
        except Refused as refusal:
            raise classify.refused(refusal.response, doing) from None
        except Redirected as moved:
            raise classify.redirected(
                doing, service=moved.service, status=moved.status, asked=moved.asked, target=moved.target, write=write
            ) from None
        except NoResponse as silence:
            in_write = write and silence.service is not None
            raise classify.no_response(
                doing, host=silence.host, reason=silence.reason, sent=silence.sent, write=in_write
            ) from None
        except keystone_errors.ClientException as error:
            raise login_failed(error, self._credentials) from None
        except MALFORMED as error:
            raise classify.unreadable(doing, write=write, problem=type(error).__name__) from error

    @contextmanager
    def _deletion(self, doing: str) -> Iterator[None]:
        try:
            with self._call(doing, write=True):
                yield
        except NotFound:
            return

    def _check_trust(self, refusal: Refused, name: str) -> None:
        """Raise Forbidden when it is proven that Keystone refused Blazar the trust, so that no lease was made.

        Blazar creates a trust for each lease, and hides Keystone's refusal behind an "Internal Server Error", with
        which it also responds when, say, its own time limit ran out and the lease may still appear. Only Keystone can
        distinguish the two: it is asked for a trust that cannot be created, since the trustee does not exist. 403 comes
        before that check and means that these credentials may create none; 404 means that they may.
        """
        response = refusal.response
        if self._credentials.kind != "application_credential" or response.kind != "INTERNAL_SERVER_ERROR":
            return
        trust = {"trustor_user_id": self._session.get_user_id(), "trustee_user_id": _NOBODY}
        with suppress(NoResponse, keystone_errors.ClientException):  # they prove nothing
            try:
                self._keystone.post("/OS-TRUST/trusts", {"trust": trust | {"impersonation": False, "roles": []}})
            except Refused as proof:
                if proof.response.status == 403:
                    raise Forbidden(
                        f"cannot reserve lease {name}: Keystone refuses this application credential the trust that "
                        "Blazar needs for each lease",
                        hint=UNRESTRICTED,
                        service_said=proof.response.text,
                        request_id=response.request_id,
                    ) from None


def _segment(name: str) -> str:
    """Quote a name or id as one path segment."""
    return quote(name, safe="")


def _limit(number: object) -> int | None:
    """Read a limit; the services write -1 where there is none."""
    limit = int(str(number))
    return None if limit < 0 else limit
