"""The table of known refusals: which text of which service means what to a user.

The first rule that fits wins, so the narrow ones come first. Sources of the texts: OpenStack 2025.1 as recorded from
running services, Chameleon's fork of Blazar and its usage enforcement as read in their code, and the logs of users'
runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envagent.cloud.error_response import ErrorResponse
from envagent.errors import (
    AuthenticationError,
    BadRequest,
    Conflict,
    EnvagentError,
    Forbidden,
    NoCapacity,
    NothingSuitable,
    OutcomeUnknown,
    QuotaExceeded,
)
from envagent.hints import Hint, Option, Shell, resume, teardown

_REPORT = EnvagentError.default_hint
HELP_DESK = Hint("ask the site's help desk, with the request id and the project's name")
_SHORTER = ("shorten the lease with", Option("hours"))
_WITHOUT_ADDRESS = Hint("run without one:", Option("no_floating_ip"), ", or release unused ones")


@dataclass(frozen=True)
class Rule:
    """One known text, searched for in the service's message with case ignored; an empty tuple means any."""

    text: str
    error: type[EnvagentError]
    meaning: str
    hint: Hint | None = None
    services: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    kind: str | None = None

    def fits(self, response: ErrorResponse) -> bool:
        """Tell whether this rule is about that response."""
        return (
            (not self.services or response.service in self.services)
            and (not self.statuses or response.status in self.statuses)
            and (not self.methods or response.method in self.methods)
            and (self.kind is None or self.kind == response.kind)
            and re.search(self.text, response.text, re.I) is not None
        )


_BLAZAR = ("reservation",)
_NOVA = ("compute",)
_NEUTRON = ("network",)

RULES: tuple[Rule, ...] = (
    # Blazar: capacity. Status 500 for each, 400 for addresses upstream.
    Rule(
        r"not enough (hosts|resources) available",
        NoCapacity,
        "no such node is free in that window",
        Hint(
            "try another node type with", Option("node_type"), ", fewer hours with", Option("hours"), ", or try later"
        ),
        _BLAZAR,
    ),
    Rule(
        r"not enough floating ips available",
        NoCapacity,
        "no floating IP is free for reservation",
        _WITHOUT_ADDRESS,
        _BLAZAR,
    ),
    Rule(
        r"not enough (networks|devices) available",
        NoCapacity,
        "no such network or device is free in that window",
        services=_BLAZAR,
    ),
    # Blazar: limits, budgets and allocations.
    Rule(
        r"lease duration of .* must be less than or equal to",
        QuotaExceeded,
        "the lease is longer than the site allows",
        Hint("ask for fewer hours with", Option("hours"), "(Chameleon allows 168)"),
        _BLAZAR,
    ),
    Rule(
        r"lease can only be extended within",
        QuotaExceeded,
        "the site extends a lease only shortly before its end",
        Hint("try again nearer to the end of the lease"),
        _BLAZAR,
    ),
    Rule(
        r"would spend .* SUs, only .* left in user budget",
        QuotaExceeded,
        "it would cost more service units than are left in your own budget in the project",
        Hint(*_SHORTER, ", choose a cheaper", Option("node_type"), ", or ask the project's PI to raise your budget"),
        _BLAZAR,
    ),
    Rule(
        r"would spend .* SUs, only .* left",
        QuotaExceeded,
        "it would cost more service units than the project has left",
        Hint(*_SHORTER, ", choose a cheaper", Option("node_type"), ", or ask the PI to recharge the allocation"),
        _BLAZAR,
    ),
    Rule(
        r"beyond .*project expiration|allocation .*expire",
        QuotaExceeded,
        "the project's allocation ends before the lease would",
        Hint(*_SHORTER, ", or ask the PI to renew the allocation"),
        _BLAZAR,
    ),
    Rule(
        r"external service enforcement filter denied",
        QuotaExceeded,
        "the site's usage enforcement refused it without giving a reason",
        Hint("check the project's allocation in the site's portal, or ask the help desk"),
        _BLAZAR,
    ),
    # Blazar: requests that it cannot or must not carry out.
    Rule(
        r"resource type is not supported",
        NothingSuitable,
        "the site does not offer this kind of resource for reservation",
        Hint("choose a site that does with", Option("cloud"), "(bare metal: CHI@UC, CHI@TACC; flavors: KVM@TACC)"),
        _BLAZAR,
    ),
    Rule(
        r"BlazarDBNotFound|ExtraCapability was not found",
        BadRequest,
        "the site's hosts do not have a property that the request filters by",
        HELP_DESK,
        _BLAZAR,
        (404, 500),
    ),
    Rule(
        r"invalid lease status",
        Conflict,
        "the lease is changing its state",
        Hint("wait a moment, then:", resume()),
        _BLAZAR,
    ),
    Rule(r"lease with name: .* already exists", Conflict, "there is already a lease of that name", None, _BLAZAR),
    Rule(
        r"start date must be later than current date",
        BadRequest,
        "the start is in the past",
        Hint("check this machine's clock, then:", resume()),
        _BLAZAR,
    ),
    Rule(
        r"end date must be later than",
        BadRequest,
        "the end is in the past or before the start",
        Hint("check this machine's clock and", Option("hours")),
        _BLAZAR,
    ),
    Rule(r"is an invalid date", BadRequest, "Blazar cannot read the date", _REPORT, _BLAZAR),
    Rule(r"datetime is out of lease limits", BadRequest, "a date is outside the lease", _REPORT, _BLAZAR),
    Rule(
        r"(malformed|missing) (requirements|parameter)|invalid values for min/max",
        BadRequest,
        "Blazar cannot read the reservation",
        _REPORT,
        _BLAZAR,
    ),
    Rule(
        r"updating leases for .* not yet supported|cannot modify the start date|terminated leases can only",
        BadRequest,
        "Blazar does not change a lease in this way",
        None,
        _BLAZAR,
    ),
    Rule(
        r"policy doesn't allow blazar:leases",
        Forbidden,
        "it belongs to another project",
        Hint("check the id, and that", Option("cloud"), "names the right project"),
        _BLAZAR,
        (403,),
    ),
    Rule(
        r"policy doesn't allow blazar:oshosts",
        Forbidden,
        "this site shows its hosts to operators only",
        Hint("continue without the list: the choice then relies on envagent's own catalog"),
        _BLAZAR,
        (403,),
    ),
    # Nova.
    Rule(
        r"quota exceeded.*key pairs?",
        QuotaExceeded,
        "you have as many keypairs as this site allows",
        Hint(
            "delete an unused one (to list them:",
            Shell("openstack", "keypair", "list"),
            "), or use an existing one with",
            Option("key_name"),
        ),
        _NOVA,
        (403,),
    ),
    Rule(
        r"quota exceeded|maximum number of (ports|instances)",
        QuotaExceeded,
        "the project's quota for servers is used up",
        Hint("delete an unused server, or ask the help desk for a higher quota"),
        _NOVA,
    ),
    Rule(
        r"key pair .* already exists",
        Conflict,
        "there is already a keypair of that name",
        Hint("choose another name with", Option("key_name")),
        _NOVA,
    ),
    Rule(
        r"keypair data is invalid|invalid '?name'? value|for field/attribute (keypair|public_key)",
        BadRequest,
        "Nova does not accept this public key or its name",
        Hint("use an OpenSSH public key; the name may have letters, digits, spaces, - and _"),
        _NOVA,
        (400,),
    ),
    Rule(
        r"can not find requested image|imageref",
        BadRequest,
        "Nova cannot find the image",
        Hint("it was removed:", teardown(), ", then run again, perhaps with another", Option("image")),
        _NOVA,
        (400,),
    ),
    Rule(
        r"flavor .* could not be found",
        BadRequest,
        "Nova cannot find the flavor",
        Hint(
            "at KVM@TACC a reservation's flavor appears when its lease is ACTIVE; to list the flavors:",
            Shell("openstack", "flavor", "list"),
        ),
        _NOVA,
        (400,),
    ),
    Rule(
        r"network .* could not be found|bad networks format",
        BadRequest,
        "Nova cannot find the network",
        Hint("choose an existing one with", Option("network")),
        _NOVA,
        (400,),
    ),
    Rule(
        r"invalid key_name",
        BadRequest,
        "Nova cannot find the keypair",
        Hint("register it again:", resume()),
        _NOVA,
        (400,),
    ),
    Rule(
        r"unable to find security_group|security group .* not found|multiple security_group",
        BadRequest,
        "Nova cannot find the security group",
        Hint("list the groups:", Shell("openstack", "security", "group", "list")),
        _NOVA,
    ),
    # Neutron names its errors.
    Rule(
        r"",
        QuotaExceeded,
        "the project's quota is used up",
        Hint("release what is unused, or run without a floating IP:", Option("no_floating_ip")),
        _NEUTRON,
        kind="OverQuota",
    ),
    Rule(
        r"",
        NoCapacity,
        "the site has no free floating IP",
        _WITHOUT_ADDRESS,
        _NEUTRON,
        kind="IpAddressGenerationFailure",
    ),
    Rule(r"no more ip addresses available", NoCapacity, "the site has no free floating IP", _WITHOUT_ADDRESS, _NEUTRON),
    Rule(
        r"",
        NothingSuitable,
        "the server's network has no way to the outside network",
        Hint(
            "use a network that has a router, such as sharednet1, with",
            Option("network"),
            ", or run without a floating IP:",
            Option("no_floating_ip"),
        ),
        _NEUTRON,
        kind="ExternalGatewayForFloatingIPNotFound",
    ),
    Rule(
        r"",
        Conflict,
        "the server has a floating IP already",
        Hint("list the floating IPs:", Shell("openstack", "floating", "ip", "list")),
        _NEUTRON,
        kind="FloatingIPPortAlreadyAssociated",
    ),
    Rule(
        r"not a valid external network|floating_network_id",
        BadRequest,
        "addresses cannot be taken from that network",
        Hint("find the site's external network:", Shell("openstack", "network", "list", "--external")),
        _NEUTRON,
        (400,),
    ),
    # Keystone's middleware in front of each service, after a new login was refused as well.
    Rule(
        r"could not recognize fernet token",
        AuthenticationError,
        "the token was issued by another site",
        Hint("use this site's credentials: each Chameleon site has its own"),
    ),
    # Blazar hides its own failures, Keystone's refusal of a trust among them, and then nothing is certain.
    Rule(
        r"^internal server error$",
        OutcomeUnknown,
        "Blazar had an internal error and may or may not have done it",
        Hint(
            "to check what happened and continue:",
            resume(),
            "; if it fails again with an application credential, make an unrestricted one",
        ),
        _BLAZAR,
        methods=("POST",),
    ),
    Rule(
        r"policy doesn't allow|you are not authorized to complete",
        Forbidden,
        "the roles of these credentials do not allow it",
        Hint("an application credential needs the roles member and reader; otherwise ask the project's PI"),
        statuses=(403,),
    ),
)
