"""Every error that a user can meet, with its exit code and the next thing to do.

    EnvagentError                  1   a bug, unless a subclass says otherwise
    ├── UsageError                 2   a flag, a file or an answer that cannot be used
    │   └── ConfigurationError     2   configuration or credentials that cannot be read
    ├── AuthenticationError        4   the cloud does not let us in
    │   └── Forbidden              4   it knows us and says no
    ├── CapacityError              5   nothing free now
    │   ├── NoCapacity             5   no node, network or address free in that window
    │   └── QuotaExceeded          5   a quota, a budget or an allocation is used up
    ├── ProvisioningError          6   the cloud tried and failed
    │   ├── LeaseFailed            6   lease in ERROR, or never ACTIVE
    │   ├── ServerFailed           6   server in ERROR, or never ACTIVE
    │   ├── ResourceLost           6   something that the run had made is gone
    │   └── NothingSuitable        6   no node type, image or network meets the need
    ├── CloudError                 7   the cloud answered what we cannot use
    │   ├── CloudUnreachable       7   no answer, or "try again": retryable
    │   ├── OutcomeUnknown         7   a write may or may not have happened
    │   ├── BadRequest             7   the service calls our request wrong
    │   ├── NotFound               7   the object asked for is not there
    │   └── Conflict               7   the object is busy or exists already
    ├── AdviceUnavailable          8   the AI was demanded and did not help
    ├── RepositoryRefused          9   the repository cannot or must not be read
    ├── RunStateError             10   the run cannot be worked on now
    │   ├── RunNotFound           10
    │   ├── RunLocked             10   another process works on it
    │   ├── RunMismatch           10   another project or site, or outputs of another version
    │   └── JournalError          10   the journal cannot be opened, read or written
    ├── LeftoversExist            11   teardown ended and something is still there
    └── OutputLost                12   done, but the result could not be written to stdout

The command line maps these to exit codes in one place and prints `message`, the service's own words,
what exists, and `hint`. A class docstring's first line is what the class means, never shown to users.
"""

from __future__ import annotations

from typing import ClassVar


class EnvagentError(Exception):
    """Root of all errors that are shown to a user without a traceback.

    Args:
        message: what failed and on which object, one sentence.
        hint: the next command or action, ready to paste; defaults to the class's own.
        service_said: the service's own words, verbatim (untrusted text).
        request_id: the service's request id, for a help-desk ticket.
        retry_after: seconds that the service asked us to wait, if it did.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = "please report this, with the output of: envagent status last --json"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        service_said: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        self.service_said = service_said
        self.request_id = request_id
        self.retry_after = retry_after


class UsageError(EnvagentError):
    """A flag, a file or an answer that cannot be used."""

    exit_code = 2
    default_hint = "envagent --help"


class ConfigurationError(UsageError):
    """Configuration or credentials that cannot be read."""

    default_hint = "try it without an account: envagent run URL --cloud sandbox"


class AuthenticationError(EnvagentError):
    """The cloud does not let us in."""

    exit_code = 4
    default_hint = "check the credentials of this cloud in clouds.yaml or OS_*; on Chameleon use the CLI password"


class Forbidden(AuthenticationError):
    """The cloud knows us and says no."""

    default_hint = "ask the project's PI for the role that this needs"


class CapacityError(EnvagentError):
    """Nothing free now."""

    exit_code = 5
    default_hint = "try another node type with --node-type, or later"


class NoCapacity(CapacityError):
    """No node, network or address is free in that window."""


class QuotaExceeded(CapacityError):
    """A quota, a budget or an allocation is used up."""

    default_hint = "release what is unused, shorten with --hours, or ask the help desk to renew the allocation"


class ProvisioningError(EnvagentError):
    """The cloud tried and failed."""

    exit_code = 6
    default_hint = "envagent resume RUN_ID tries again; envagent teardown RUN_ID removes everything"


class LeaseFailed(ProvisioningError):
    """The lease went to ERROR, or did not become ACTIVE in time."""


class ServerFailed(ProvisioningError):
    """The server went to ERROR, or did not become ACTIVE in time."""


class ResourceLost(ProvisioningError):
    """Something that the run had made is gone or has changed under it."""

    default_hint = "envagent teardown RUN_ID removes the rest; then run again"


class NothingSuitable(ProvisioningError):
    """No node type, image or network at this site meets the need."""

    default_hint = "name one with --node-type or --image, or try another site with --cloud"


class CloudError(EnvagentError):
    """The cloud answered what we cannot use."""

    exit_code = 7
    default_hint = "look at the site's status page, then: envagent resume RUN_ID"


class CloudUnreachable(CloudError):
    """No answer, or an answer that says try again; nothing was written."""

    retryable = True


class OutcomeUnknown(CloudError):
    """A write was sent and may or may not have happened; only looking can tell."""


class BadRequest(CloudError):
    """The service calls our request wrong."""


class NotFound(CloudError):
    """The object asked for is not there (404 from the right project)."""


class Conflict(CloudError):
    """The object is busy or exists already."""


class AdviceUnavailable(EnvagentError):
    """The AI was demanded and did not help."""

    exit_code = 8
    default_hint = "leave out the demand, or use the rules alone with --no-ai"


class RepositoryRefused(EnvagentError):
    """The repository cannot or must not be read."""

    exit_code = 9
    default_hint = "check the URL: https://host/owner/name, or a local path to a git repository"


class RunStateError(EnvagentError):
    """The run cannot be worked on now."""

    exit_code = 10
    default_hint = "envagent status"


class RunNotFound(RunStateError):
    """No run, or more than one, has that id or prefix."""


class RunLocked(RunStateError):
    """Another process works on this run."""

    default_hint = "wait for it, or stop that process; then: envagent resume RUN_ID"


class RunMismatch(RunStateError):
    """The run belongs to another project or site, or its outputs to another version."""


class JournalError(RunStateError):
    """The journal cannot be opened, read or written."""

    default_hint = "free space and check the permissions of ENVAGENT_HOME; found nothing: envagent teardown --orphans"


class LeftoversExist(EnvagentError):
    """Teardown ended and something is still there."""

    exit_code = 11
    default_hint = "envagent teardown RUN_ID again; if it stays, give the help desk the ids above"


class OutputLost(EnvagentError):
    """The command did its work, but its result could not be written to stdout."""

    exit_code = 12
    default_hint = (
        "redirect stdout to where there is space; a run's result is shown again by: envagent status last --json"
    )
