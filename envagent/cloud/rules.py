"""The table of known refusals: which words of which service mean what to a user.

It owns texts and nothing that runs beyond the comparison. The first rule that fits wins, so the narrow ones stand
first. Sources of the texts: OpenStack 2025.1 as recorded from running services, Chameleon's fork of Blazar and its
usage enforcement as read in their code, and the logs of users' runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envagent.cloud.answer import Answer
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
from envagent.hints import Hint

_REPORT = EnvagentError.default_hint
HELP_DESK = "ask the site's help desk, with the request id and the project's name"
_ROLES = "an application credential needs the roles member and reader; otherwise ask the project's PI"
_UNRESTRICTED = (
    "envagent resume RUN_ID looks first; if it stays with an application credential, it must be unrestricted"
)


@dataclass(frozen=True)
class Rule:
    """One known text, searched in the answer's words with case ignored; an empty tuple means any."""

    text: str
    error: type[EnvagentError]
    meaning: str
    hint: Hint | str | None = None
    services: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    kind: str | None = None

    def fits(self, answer: Answer) -> bool:
        """Whether this rule is about that answer."""
        return (
            (not self.services or answer.service in self.services)
            and (not self.statuses or answer.status in self.statuses)
            and (not self.methods or answer.method in self.methods)
            and (self.kind is None or self.kind == answer.kind)
            and re.search(self.text, answer.words, re.I) is not None
        )


_BLAZAR = ("reservation",)
_NOVA = ("compute",)
_NEUTRON = ("network",)

RULES: tuple[Rule, ...] = (
    # Blazar: capacity. Status 500 for each, 400 for addresses at upstream.
    Rule(
        r"not enough (hosts|resources) available",
        NoCapacity,
        "no such node is free in that window",
        "try another node type with --node-type, fewer hours with --hours, or later",
        _BLAZAR,
    ),
    Rule(
        r"not enough floating ips available",
        NoCapacity,
        "no floating IP is free for reservation",
        "run without one: --no-floating-ip, or release unused ones",
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
        "ask for fewer hours with --hours (Chameleon allows 168)",
        _BLAZAR,
    ),
    Rule(
        r"lease can only be extended within",
        QuotaExceeded,
        "the site extends a lease only shortly before its end",
        "try again nearer to the end of the lease",
        _BLAZAR,
    ),
    Rule(
        r"would spend .* SUs, only .* left in user budget",
        QuotaExceeded,
        "it would cost more service units than your own budget in the project has left",
        "shorten with --hours, choose a cheaper --node-type, or ask the project's PI to raise your budget",
        _BLAZAR,
    ),
    Rule(
        r"would spend .* SUs, only .* left",
        QuotaExceeded,
        "it would cost more service units than the project has left",
        "shorten with --hours, choose a cheaper --node-type, or ask the PI to recharge the allocation",
        _BLAZAR,
    ),
    Rule(
        r"beyond .*project expiration|allocation .*expire",
        QuotaExceeded,
        "the project's allocation ends before the lease would",
        "shorten with --hours, or ask the PI to renew the allocation",
        _BLAZAR,
    ),
    Rule(
        r"external service enforcement filter denied",
        QuotaExceeded,
        "the site's usage enforcement refused it without a reason",
        "look at the project's allocation in the site's portal, or ask the help desk",
        _BLAZAR,
    ),
    # Blazar: what it cannot or may not do.
    Rule(
        r"resource type is not supported",
        NothingSuitable,
        "the site does not offer this kind of resource for reservation",
        "choose a site that does with --cloud (bare metal: CHI@UC, CHI@TACC; flavors: KVM@TACC)",
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
        "the lease is just changing its state",
        "wait a moment, then: envagent resume RUN_ID",
        _BLAZAR,
    ),
    Rule(r"lease with name: .* already exists", Conflict, "there is a lease of that name already", None, _BLAZAR),
    Rule(
        r"start date must be later than current date",
        BadRequest,
        "the start lies in the past",
        "check this machine's clock, then: envagent resume RUN_ID",
        _BLAZAR,
    ),
    Rule(
        r"end date must be later than",
        BadRequest,
        "the end lies in the past or before the start",
        "check this machine's clock and --hours",
        _BLAZAR,
    ),
    Rule(r"is an invalid date", BadRequest, "Blazar cannot read the date", _REPORT, _BLAZAR),
    Rule(r"datetime is out of lease limits", BadRequest, "a date lies outside the lease", _REPORT, _BLAZAR),
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
        "check the id, and that --cloud names the right project",
        _BLAZAR,
        (403,),
    ),
    Rule(
        r"policy doesn't allow blazar:oshosts",
        Forbidden,
        "this site shows its hosts to operators only",
        "go on without: the choice then rests on the catalog that comes with envagent",
        _BLAZAR,
        (403,),
    ),
    # Nova.
    Rule(
        r"quota exceeded.*key pairs?",
        QuotaExceeded,
        "you have as many keypairs as this site allows",
        "delete one that is unused (openstack keypair list), or use an existing one with --key-name",
        _NOVA,
        (403,),
    ),
    Rule(
        r"quota exceeded|maximum number of (ports|instances)",
        QuotaExceeded,
        "the project's quota for servers is used up",
        "delete an unused server, or ask the help desk for a higher quota",
        _NOVA,
    ),
    Rule(
        r"key pair .* already exists",
        Conflict,
        "there is a keypair of that name already",
        "choose another with --key-name",
        _NOVA,
    ),
    Rule(
        r"keypair data is invalid|invalid '?name'? value|for field/attribute (keypair|public_key)",
        BadRequest,
        "Nova does not accept this public key or its name",
        "give an OpenSSH public key; the name may hold letters, digits, space, - and _",
        _NOVA,
        (400,),
    ),
    Rule(
        r"can not find requested image|imageref",
        BadRequest,
        "Nova does not find the image",
        "it was removed: envagent teardown RUN_ID, then run again (--image NAME chooses another)",
        _NOVA,
        (400,),
    ),
    Rule(
        r"flavor .* could not be found",
        BadRequest,
        "Nova does not find the flavor",
        "at KVM@TACC a reservation's flavor appears when its lease is ACTIVE; elsewhere look at: openstack flavor list",
        _NOVA,
        (400,),
    ),
    Rule(
        r"network .* could not be found|bad networks format",
        BadRequest,
        "Nova does not find the network",
        "choose one that exists with --network",
        _NOVA,
        (400,),
    ),
    Rule(
        r"invalid key_name",
        BadRequest,
        "Nova does not find the keypair",
        "envagent resume RUN_ID registers it again",
        _NOVA,
        (400,),
    ),
    Rule(
        r"unable to find security_group|security group .* not found|multiple security_group",
        BadRequest,
        "Nova does not find the security group",
        "look at: openstack security group list",
        _NOVA,
    ),
    # Neutron, which names its errors.
    Rule(
        r"",
        QuotaExceeded,
        "the project's quota is used up",
        "release what is unused, or run without an address: --no-floating-ip",
        _NEUTRON,
        kind="OverQuota",
    ),
    Rule(
        r"",
        NoCapacity,
        "the site has no free floating IP",
        "run without one: --no-floating-ip, or release unused ones",
        _NEUTRON,
        kind="IpAddressGenerationFailure",
    ),
    Rule(
        r"no more ip addresses available",
        NoCapacity,
        "the site has no free floating IP",
        "run without one: --no-floating-ip, or release unused ones",
        _NEUTRON,
    ),
    Rule(
        r"",
        NothingSuitable,
        "the server's network has no way to the outside network",
        "use a network with a router with --network (sharednet1), or run with --no-floating-ip",
        _NEUTRON,
        kind="ExternalGatewayForFloatingIPNotFound",
    ),
    Rule(
        r"",
        Conflict,
        "the server has a floating IP already",
        "look at: openstack floating ip list",
        _NEUTRON,
        kind="FloatingIPPortAlreadyAssociated",
    ),
    Rule(
        r"not a valid external network|floating_network_id",
        BadRequest,
        "addresses cannot be taken from that network",
        "the site's external network is the one that openstack network list --external shows",
        _NEUTRON,
        (400,),
    ),
    # Keystone's middleware in front of each service, after a new login was refused as well.
    Rule(
        r"could not recognize fernet token",
        AuthenticationError,
        "the token was made by another site",
        "use credentials of this site: each Chameleon site has its own",
    ),
    # Blazar hides its own failures, Keystone's refusal of a trust among them, and then nothing is certain.
    Rule(
        r"^internal server error$",
        OutcomeUnknown,
        "Blazar failed inside and may or may not have done it",
        _UNRESTRICTED,
        _BLAZAR,
        methods=("POST",),
    ),
    Rule(
        r"policy doesn't allow|you are not authorized to complete",
        Forbidden,
        "the roles of these credentials do not allow it",
        _ROLES,
        statuses=(403,),
    ),
)
