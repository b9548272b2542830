"""Whether Keystone lets these credentials make a trust, which Blazar makes for each lease.

Blazar hides Keystone's refusal behind the "Internal Server Error" that it also gives when, say, its own time limit
ran out and the lease may yet come to be. Only Keystone can tell the two apart.
"""

from __future__ import annotations

from keystoneauth1 import exceptions as keystone_errors

from envagent.cloud.answer import Answer
from envagent.cloud.rest import Rest
from envagent.cloud.session import NoAnswer, Refused

_NOBODY = "0" * 32


def refusal(keystone: Rest, user_id: str | None) -> Answer | None:
    """Keystone's refusal when it is proven, otherwise None.

    It is asked for a trust that cannot be made, since the trustee does not exist: 403 comes before that check and
    means that these credentials may make none; 404 means that they may.
    """
    trust: dict[str, object] = {
        "trustor_user_id": user_id,
        "trustee_user_id": _NOBODY,
        "impersonation": False,
        "roles": [],
    }
    try:
        keystone.post("/OS-TRUST/trusts", {"trust": trust})
    except Refused as refused:
        return refused.answer if refused.answer.status == 403 else None
    except (NoAnswer, keystone_errors.ClientException):
        return None
    return None
