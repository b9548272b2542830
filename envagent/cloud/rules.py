"""The table of known refusals: which text of which service means what to a user.

The first rule that fits wins, so the narrow ones come first. Sources of the texts: OpenStack 2025.1 as recorded from
running services, Chameleon's fork of Blazar and its usage enforcement as read in their code, and the logs of users'
runs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

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


class Known(NamedTuple):
    """A known text, searched for with case ignored, and what it means; an empty tuple means any."""

    text: str
    meaning: str
    hint: Hint | None = None
    statuses: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    kind: str | None = None

    def is_in(self, said: str) -> bool:
        """Return whether a message has this text."""
        return re.search(self.text, said, re.I) is not None

    def fits(self, response: ErrorResponse) -> bool:
        """Return whether this rule is about that response."""
        return (
            (not self.statuses or response.status in self.statuses)
            and (not self.methods or response.method in self.methods)
            and self.kind in (None, response.kind)
            and self.is_in(response.text)
        )


_BLAZAR, _NOVA, _NEUTRON, _ANY = "reservation", "compute", "network", ""

RULES: dict[tuple[str, type[EnvagentError]], tuple[Known, ...]] = {
    # Status 500 for each, 400 for addresses upstream.
    (_BLAZAR, NoCapacity): (
        Known(
            r"not enough (hosts|resources) available",
            "no such node is free in that window",
            Hint(
                "try another node type with",
                Option("node_type"),
                ", fewer hours with",
                Option("hours"),
                ", or try later",
            ),
        ),
        Known(r"not enough floating ips available", "no floating IP is free for reservation", _WITHOUT_ADDRESS),
        Known(r"not enough (networks|devices) available", "no such network or device is free in that window"),
    ),
    (_BLAZAR, QuotaExceeded): (
        Known(
            r"lease duration of .* must be less than or equal to",
            "the lease is longer than the site allows",
            Hint("ask for fewer hours with", Option("hours"), "(Chameleon allows 168)"),
        ),
        Known(
            r"lease can only be extended within",
            "the site extends a lease only shortly before its end",
            Hint("try again nearer to the end of the lease"),
        ),
        Known(
            r"would spend .* SUs, only .* left in user budget",
            "it would cost more service units than are left in your own budget in the project",
            Hint(
                *_SHORTER, ", choose a cheaper", Option("node_type"), ", or ask the project's PI to raise your budget"
            ),
        ),
        Known(
            r"would spend .* SUs, only .* left",
            "it would cost more service units than the project has left",
            Hint(*_SHORTER, ", choose a cheaper", Option("node_type"), ", or ask the PI to recharge the allocation"),
        ),
        Known(
            r"beyond .*project expiration|allocation .*expire",
            "the project's allocation ends before the lease would",
            Hint(*_SHORTER, ", or ask the PI to renew the allocation"),
        ),
        Known(
            r"external service enforcement filter denied",
            "the site's usage enforcement refused it without giving a reason",
            Hint("check the project's allocation in the site's portal, or ask the help desk"),
        ),
    ),
    (_BLAZAR, NothingSuitable): (
        Known(
            r"resource type is not supported",
            "the site does not offer this kind of resource for reservation",
            Hint("choose a site that does with", Option("cloud"), "(bare metal: CHI@UC, CHI@TACC; flavors: KVM@TACC)"),
        ),
    ),
    (_BLAZAR, BadRequest): (
        Known(
            r"BlazarDBNotFound|ExtraCapability was not found",
            "the site's hosts do not have a property that the request filters by",
            HELP_DESK,
            statuses=(404, 500),
        ),
        Known(
            r"start date must be later than current date",
            "the start is in the past",
            Hint("check this machine's clock, then:", resume()),
        ),
        Known(
            r"end date must be later than",
            "the end is in the past or before the start",
            Hint("check this machine's clock and", Option("hours")),
        ),
        Known(r"is an invalid date", "Blazar cannot read the date", _REPORT),
        Known(r"datetime is out of lease limits", "a date is outside the lease", _REPORT),
        Known(
            r"(malformed|missing) (requirements|parameter)|invalid values for min/max",
            "Blazar cannot read the reservation",
            _REPORT,
        ),
        Known(
            r"updating leases for .* not yet supported|cannot modify the start date|terminated leases can only",
            "Blazar does not change a lease in this way",
        ),
    ),
    (_BLAZAR, Conflict): (
        Known(r"invalid lease status", "the lease is changing its state", Hint("wait a moment, then:", resume())),
        Known(r"lease with name: .* already exists", "there is already a lease of that name"),
    ),
    (_BLAZAR, Forbidden): (
        Known(
            r"policy doesn't allow blazar:leases",
            "it belongs to another project",
            Hint("check the id, and that", Option("cloud"), "names the right project"),
            statuses=(403,),
        ),
        Known(
            r"policy doesn't allow blazar:oshosts",
            "this site shows its hosts to operators only",
            Hint("continue without the list: the choice then relies on envagent's own catalog"),
            statuses=(403,),
        ),
    ),
    (_NOVA, QuotaExceeded): (
        Known(
            r"quota exceeded.*key pairs?",
            "you have as many keypairs as this site allows",
            Hint(
                "delete an unused one (to list them:",
                Shell("openstack", "keypair", "list"),
                "), or use an existing one with",
                Option("key_name"),
            ),
            statuses=(403,),
        ),
        Known(
            r"quota exceeded|maximum number of (ports|instances)",
            "the project's quota for servers is used up",
            Hint("delete an unused server, or ask the help desk for a higher quota"),
        ),
    ),
    (_NOVA, Conflict): (
        Known(
            r"key pair .* already exists",
            "there is already a keypair of that name",
            Hint("choose another name with", Option("key_name")),
        ),
    ),
    (_NOVA, BadRequest): (
        Known(
            r"keypair data is invalid|invalid '?name'? value|for field/attribute (keypair|public_key)",
            "Nova does not accept this public key or its name",
            Hint("use an OpenSSH public key; the name may have letters, digits, spaces, - and _"),
            statuses=(400,),
        ),
        Known(
            r"can not find requested image|imageref",
            "Nova cannot find the image",
            Hint("it was removed:", teardown(), ", then run again, perhaps with another", Option("image")),
            statuses=(400,),
        ),
        Known(
            r"flavor .* could not be found",
            "Nova cannot find the flavor",
            Hint(
                "at KVM@TACC a reservation's flavor appears when its lease is ACTIVE; to list the flavors:",
                Shell("openstack", "flavor", "list"),
            ),
            statuses=(400,),
        ),
        Known(
            r"network .* could not be found|bad networks format",
            "Nova cannot find the network",
            Hint("choose an existing one with", Option("network")),
            statuses=(400,),
        ),
        Known(
            r"invalid key_name", "Nova cannot find the keypair", Hint("register it again:", resume()), statuses=(400,)
        ),
        Known(
            r"unable to find security_group|security group .* not found|multiple security_group",
            "Nova cannot find the security group",
            Hint("list the groups:", Shell("openstack", "security", "group", "list")),
        ),
    ),
    # Neutron names its errors.
    (_NEUTRON, QuotaExceeded): (
        Known(
            r"",
            "the project's quota is used up",
            Hint("release what is unused, or run without a floating IP:", Option("no_floating_ip")),
            kind="OverQuota",
        ),
    ),
    (_NEUTRON, NoCapacity): (
        Known(r"", "the site has no free floating IP", _WITHOUT_ADDRESS, kind="IpAddressGenerationFailure"),
        Known(r"no more ip addresses available", "the site has no free floating IP", _WITHOUT_ADDRESS),
    ),
    (_NEUTRON, NothingSuitable): (
        Known(
            r"",
            "the server's network has no way to the outside network",
            Hint(
                "use a network that has a router, such as sharednet1, with",
                Option("network"),
                ", or run without a floating IP:",
                Option("no_floating_ip"),
            ),
            kind="ExternalGatewayForFloatingIPNotFound",
        ),
    ),
    (_NEUTRON, Conflict): (
        Known(
            r"",
            "the server has a floating IP already",
            Hint("list the floating IPs:", Shell("openstack", "floating", "ip", "list")),
            kind="FloatingIPPortAlreadyAssociated",
        ),
    ),
    (_NEUTRON, BadRequest): (
        Known(
            r"not a valid external network|floating_network_id",
            "addresses cannot be taken from that network",
            Hint("find the site's external network:", Shell("openstack", "network", "list", "--external")),
            statuses=(400,),
        ),
    ),
    # Keystone's middleware in front of each service, after a new login was refused as well.
    (_ANY, AuthenticationError): (
        Known(
            r"could not recognize fernet token",
            "the token was issued by another site",
            Hint("use this site's credentials: each Chameleon site has its own"),
        ),
    ),
    (_ANY, Forbidden): (
        Known(
            r"policy doesn't allow|you are not authorized to complete",
            "the roles of these credentials do not allow it",
            Hint("an application credential needs the roles member and reader; otherwise ask the project's PI"),
            statuses=(403,),
        ),
    ),
    # Blazar hides its own failures, Keystone's refusal of a trust among them, and then nothing is certain.
    (_BLAZAR, OutcomeUnknown): (
        Known(
            r"^internal server error$",
            "Blazar had an internal error and may or may not have done it",
            Hint(
                "to check what happened and continue:",
                resume(),
                "; if it fails again with an application credential, make an unrestricted one",
            ),
            methods=("POST",),
        ),
    ),
}


def find_rule(response: ErrorResponse) -> tuple[type[EnvagentError], Known] | None:
    """Return the error and the rule for a response; None if no rule fits."""
    for (service, error), rules in RULES.items():
        for rule in rules:
            if service in (_ANY, response.service) and rule.fits(response):
                return error, rule
    return None
