"""Policies in which sites differ: named sets that the services consult.

`chameleon` follows Chameleon's own Blazar fork and policies, `upstream` the services as the OpenStack project ships
them. A new difference is a field here; no code tests a profile's name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The policies of a site, by default those of upstream.

    Attributes:
        users_see_hosts: ordinary users may list os-hosts.
        users_see_properties: ordinary users may list the properties that hosts have, and their values.
        users_see_allocations: ordinary users may list the reservations of hosts.
        host_search_text: the refusal if no host matches; `{query}` stands for the query.
        default_properties: tried first if a reservation has no resource_properties.
        reservation_types: the resource types of Blazar's plugins on bare-metal sites.
        before_end_actions: accepted values of a reservation's `before_end`.
        before_end_seconds: from the before_end event to the end of a lease.
        max_lease_seconds: the longest lease.
        extension_window_seconds: how long before its end a lease may be extended, None for always.
        ended_leases_move: the dates of a TERMINATED lease may still be changed (without any effect).
        flavor_leases_move: the dates of a lease with a flavor:instance reservation may be changed.
        enforces_budget: an external service refuses leases beyond the project's service units.
        lease_delete_waits: DELETE of an active lease responds when its servers are gone.
        restricted_credentials_lease: a restricted application credential may create a lease.
        lease_shows_hosts: GET /leases/ID/hosts exists.
        cleaning_seconds: how long a node is cleaned after its server, during which it takes no other; 0 for not at all.
        node_sync_seconds: how often Nova looks at its nodes; it learns of a maintenance then.
        busy_hosts_come_last: Blazar prefers nodes whose last server is gone; otherwise it takes them in a fixed order.
        failed_server_keeps_host: a server that failed to spawn holds its host until it is deleted.
        forces_config_drive: every bare-metal server has a config drive.
        compute_microversion: Nova's highest microversion.
    """

    name: str
    users_see_hosts: bool = False
    users_see_properties: bool = False
    users_see_allocations: bool = False
    host_search_text: str = "Not enough hosts available"
    default_properties: str = ""
    reservation_types: frozenset[str] = frozenset({"physical:host"})
    before_end_actions: frozenset[str] = frozenset({"", "default", "snapshot"})
    before_end_seconds: float = 60 * 60.0
    max_lease_seconds: float = 604800
    extension_window_seconds: float | None = None
    ended_leases_move: bool = True
    flavor_leases_move: bool = False
    enforces_budget: bool = False
    lease_delete_waits: bool = True
    restricted_credentials_lease: bool = True
    lease_shows_hosts: bool = False
    cleaning_seconds: float = 0.0
    node_sync_seconds: float = 60.0
    busy_hosts_come_last: bool = True
    failed_server_keeps_host: bool = False
    forces_config_drive: bool = False
    compute_microversion: str = "2.100"


UPSTREAM = Profile("upstream")
CHAMELEON = Profile(
    name="chameleon",
    users_see_hosts=True,
    users_see_properties=True,
    users_see_allocations=True,
    host_search_text="Not enough resources available with query {query}",
    default_properties='["=", "$node_type", "compute_skylake"]',
    reservation_types=frozenset({"physical:host", "virtual:floatingip"}),
    before_end_actions=frozenset({"", "default", "email", "snapshot"}),
    before_end_seconds=2880 * 60.0,
    extension_window_seconds=172800,
    ended_leases_move=False,
    flavor_leases_move=True,
    enforces_budget=True,
    lease_delete_waits=False,
    restricted_credentials_lease=False,
    lease_shows_hosts=True,
    failed_server_keeps_host=True,
    forces_config_drive=True,
    compute_microversion="2.95",
)
PROFILES = {profile.name: profile for profile in (CHAMELEON, UPSTREAM)}
