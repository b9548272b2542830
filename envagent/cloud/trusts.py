"""Whether Keystone lets these credentials create a trust, which Blazar creates for each lease.

Blazar hides Keystone's refusal behind an "Internal Server Error", with which it also responds when, say, its own time
limit ran out and the lease may still appear. Only Keystone can distinguish the two.
"""

from __future__ import annotations

from keystoneauth1 import exceptions as keystone_errors

from envagent.cloud.error_response import ErrorResponse
from envagent.cloud.http_session import NoResponse, Refused
from envagent.cloud.rest import Rest

_NOBODY = "0" * 32


def refusal(keystone: Rest, user_id: str | None) -> ErrorResponse | None:
    """Return Keystone's refusal if it is proven, otherwise None.

    The request is for a trust that cannot be created, since the trustee does not exist: 403 comes before that check
    and means that these credentials may create none; 404 means that they may.
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
        return refused.response if refused.response.status == 403 else None
    except (NoResponse, keystone_errors.ClientException):
        return None
    return None
