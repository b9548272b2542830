"""What a service's response, or the lack of one, means: facts about an exchange become errors.

It sends nothing. Known texts decide first (`envagent.cloud.rules`), since a status alone says little here: Blazar
responds with 500 for "nothing free". What no rule knows is judged by its status; after a write, a 5xx with an unknown
text leaves open whether the object exists.
"""

from __future__ import annotations

from envagent.cloud.error_response import ErrorResponse
from envagent.cloud.rules import HELP_DESK, find_rule
from envagent.errors import (
    AuthenticationError,
    BadRequest,
    CloudError,
    CloudUnreachable,
    ConfigurationError,
    Conflict,
    EnvagentError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
)
from envagent.hints import Hint, Option, resume, status

_READS = frozenset({"GET", "HEAD"})
_SEE_OTHER = 303  # the one redirect that says that the request was done
_LOOK = Hint("to check what happened and continue:", resume())
_LATER = Hint("wait, then:", resume())
_TRY_AGAIN = frozenset({413, 425, 429})


_STATUS: dict[int, tuple[type[EnvagentError], str, Hint | None]] = {
    400: (BadRequest, "the service rejects the request as malformed", EnvagentError.default_hint),
    401: (AuthenticationError, "the service accepts neither the login nor a new one", None),
    403: (Forbidden, "these credentials do not have permission", None),
    404: (
        NotFound,
        "there is no such object in this project",
        Hint("it was removed, or", Option("cloud"), "names another project or site; check:", status()),
    ),
    409: (Conflict, "the object is busy or already exists", _LATER),
}


def refused(response: ErrorResponse, doing: str) -> EnvagentError:
    """Return the error for a service's refusal.

    Args:
        response: what the service said.
        doing: what was requested, in the infinitive with the object's name: "reserve lease envagent-1a2b-x".
    """
    write = response.method not in _READS
    if (found := find_rule(response)) is not None:
        error, rule = found
        return _error(error, response, doing, rule.meaning, rule.hint)
    if response.status in _TRY_AGAIN:
        return _error(CloudUnreachable, response, doing, "the service is busy and asks to try again later", _LATER)
    if response.status >= 500 or response.status == 408 or _from_proxy(response):
        if write:
            meaning = f"the service failed (HTTP {response.status}) and may or may not have done it"
            return _error(OutcomeUnknown, response, doing, meaning, _LOOK)
        return _error(CloudUnreachable, response, doing, f"the service is failing (HTTP {response.status})", None)
    if response.status < 400:
        meaning = f"the address in the service catalog redirects (HTTP {response.status})"
        return _error(BadRequest, response, doing, meaning, HELP_DESK)
    unknown = (BadRequest, f"the service refused (HTTP {response.status})", HELP_DESK)
    known, meaning, hint = _STATUS.get(response.status, unknown)
    return _error(known, response, doing, meaning, hint)


def _from_proxy(response: ErrorResponse) -> bool:
    """Return whether a 404 comes from a proxy whose service is away: it proves no absence."""
    return response.status == 404 and not response.enveloped and response.method in (*_READS, "DELETE")


def redirected(doing: str, *, service: str | None, status: int, asked: str, target: str, write: bool) -> EnvagentError:
    """Return the error for a redirect: a request with a password or a token follows none."""
    what = f"{asked} redirects to {target}"
    if service is None:
        return ConfigurationError(
            f"cannot {doing}: {what}, and credentials are not sent on after a redirect",
            hint=Hint(
                "if that address belongs to the cloud, use it as auth_url; a network's sign-in page redirects as well"
            ),
        )
    if write and status == _SEE_OTHER:
        return _unknown(doing, what)
    return BadRequest(
        f"cannot {doing}: {what}, and a token is not sent on after a redirect",
        hint=Hint(
            "if this network has a sign-in page, sign in, then:",
            resume(),
            "; otherwise the site's service catalog is wrong: ask its help desk",
        ),
    )


def no_response(doing: str, *, host: str, reason: str, sent: bool, write: bool) -> CloudError:
    """Return the error for silence; a write that was sent may have been carried out."""
    if sent and write:
        return _unknown(doing, f"{host}: {reason}")
    return CloudUnreachable(
        f"cannot {doing}: {host}: {reason}", hint=Hint("check the network and auth_url, then:", resume())
    )


def unreadable(doing: str, *, write: bool, problem: str) -> CloudError:
    """Return the error for a success whose body is not what the service's API promises."""
    if write:
        return _unknown(doing, f"the response is unreadable ({problem})")
    return CloudUnreachable(
        f"cannot {doing}: the response is unreadable ({problem})",
        hint=Hint("something between here and the cloud may be responding in its place; wait, then:", resume()),
    )


def _unknown(doing: str, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"outcome unknown: {doing}: {why}", hint=_LOOK)


def _error(
    error: type[EnvagentError], response: ErrorResponse, doing: str, meaning: str, hint: Hint | None
) -> EnvagentError:
    return error(
        f"cannot {doing}: {meaning}",
        hint=hint,
        service_said=response.text or None,
        request_id=response.request_id,
        retry_after=response.retry_after,
    )
