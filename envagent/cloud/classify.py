"""What an answer, or the lack of one, means: from facts about an exchange to our errors.

It owns the judgement and sends nothing. Known words decide first (`envagent.cloud.rules`), since a status alone says
little here: Blazar answers 500 for "nothing free". What no rule knows is judged by its status, and after a write a
5xx with unknown words leaves open whether the object exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from envagent.cloud.answer import Answer
from envagent.cloud.rules import HELP_DESK, RULES
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
from envagent.hints import Hint

_READS = frozenset({"GET", "HEAD"})
_SEE_OTHER = 303  # the one redirect that says that the request was done
_LOOK = "envagent resume RUN_ID looks first"
_LATER = "wait, then: envagent resume RUN_ID"


@dataclass(frozen=True)
class _Status:
    error: type[CloudError] | type[AuthenticationError]
    meaning: str
    hint: Hint | str | None = None


_STATUS: dict[int, _Status] = {
    400: _Status(
        BadRequest,
        "the service calls the request wrong",
        EnvagentError.default_hint,
    ),
    401: _Status(AuthenticationError, "the service does not accept the login, nor a fresh one"),
    403: _Status(Forbidden, "the service says that these credentials may not"),
    404: _Status(
        NotFound,
        "there is no such object in this project",
        "it was removed, or --cloud names another project or site; look at: envagent status RUN_ID",
    ),
    409: _Status(Conflict, "the object is busy or exists already", _LATER),
}
_TRY_AGAIN = frozenset({413, 425, 429})


def refused(answer: Answer, doing: str) -> EnvagentError:
    """The error for a service's refusal.

    Args:
        answer: what the service said.
        doing: what was asked, in the infinitive with the object's name: "reserve lease envagent-1a2b-x".
    """
    write = answer.method not in _READS
    for rule in RULES:
        if rule.fits(answer):
            return _error(rule.error, answer, doing, rule.meaning, rule.hint)
    if answer.status in _TRY_AGAIN:
        return _error(CloudUnreachable, answer, doing, "the service asks to come back later", _LATER)
    if answer.status >= 500 or answer.status == 408 or _is_no_absence(answer):
        if write:
            meaning = f"the service failed (HTTP {answer.status}) and may or may not have done it"
            return _error(OutcomeUnknown, answer, doing, meaning, _LOOK)
        return _error(CloudUnreachable, answer, doing, f"the service fails at present (HTTP {answer.status})", None)
    if answer.status < 400:
        meaning = f"the service catalog's address leads elsewhere (HTTP {answer.status})"
        return _error(BadRequest, answer, doing, meaning, HELP_DESK)
    known = _STATUS.get(answer.status) or _Status(BadRequest, f"the service refused (HTTP {answer.status})", HELP_DESK)
    return _error(known.error, answer, doing, known.meaning, known.hint)


def _is_no_absence(answer: Answer) -> bool:
    """Whether a 404 is not the service's own word: a proxy whose service is away says so of everything."""
    return answer.status == 404 and not answer.enveloped and answer.method in (*_READS, "DELETE")


def redirected(doing: str, *, service: str | None, status: int, asked: str, target: str, write: bool) -> EnvagentError:
    """The error for an answer that names another address: what carries a password or a token goes to none."""
    what = f"{asked} redirects to {target}"
    if service is None:
        return ConfigurationError(
            f"cannot {doing}: {what}, and credentials do not follow a redirect",
            hint="if that address is the cloud's own, use it as auth_url; a network's sign-in page redirects, too",
        )
    if write and status == _SEE_OTHER:
        return OutcomeUnknown(f"cannot tell whether it happened: {doing}: {what}", hint=_LOOK)
    return BadRequest(
        f"cannot {doing}: {what}, and a token does not follow a redirect",
        hint="if this network has a sign-in page, sign in, then: envagent resume RUN_ID; otherwise the site's catalog "
        "is wrong: ask its help desk",
    )


def unanswered(doing: str, *, host: str, reason: str, sent: bool, write: bool) -> CloudError:
    """The error for silence: `sent` and `write` together leave open what happened."""
    if sent and write:
        return OutcomeUnknown(f"cannot tell whether it happened: {doing}: {host}: {reason}", hint=_LOOK)
    return CloudUnreachable(
        f"cannot {doing}: {host}: {reason}", hint="check the network and auth_url, then: envagent resume RUN_ID"
    )


def unusable(doing: str, *, write: bool, problem: str) -> CloudError:
    """The error for a success whose body is not what the service's API promises: cut off, or a middlebox's own."""
    if write:
        message = f"cannot tell whether it happened: {doing}: the answer is unreadable ({problem})"
        return OutcomeUnknown(message, hint=_LOOK)
    return CloudUnreachable(
        f"cannot {doing}: the answer is unreadable ({problem})",
        hint="something between here and the cloud may answer in its place; wait, then: envagent resume RUN_ID",
    )


def _error(
    error: type[EnvagentError], answer: Answer, doing: str, meaning: str, hint: Hint | str | None
) -> EnvagentError:
    return error(
        f"cannot {doing}: {meaning}",
        hint=hint,
        service_said=answer.words or None,
        request_id=answer.request_id,
        retry_after=answer.retry_after,
    )
