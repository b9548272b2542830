"""The errors that users can see, each with its exit code and what to do next.

    EnvagentError                  1   a bug, unless a subclass says otherwise
    ├── UsageError                 2   a flag, a file or a reply that is not usable
    │   └── ConfigurationError     2   unreadable configuration or credentials
    ├── AuthenticationError        4   the cloud rejects the credentials
    │   └── Forbidden              4   it accepts them and denies the request
    ├── CapacityError              5   nothing is free now
    │   ├── NoCapacity             5   no free node, network or address in that window
    │   └── QuotaExceeded          5   a quota, a budget or an allocation is used up
    ├── ProvisioningError          6   the cloud tried and failed
    │   ├── LeaseFailed            6   lease in ERROR, or never ACTIVE
    │   ├── ServerFailed           6   server in ERROR, or never ACTIVE
    │   ├── ResourceLost           6   something that the run created is gone
    │   ├── NothingSuitable        6   no node type, image or network is suitable
    │   └── SetupFailed            6   a step of the set-up failed on the server
    ├── CloudError                 7   the cloud returned something unusable
    │   ├── CloudUnreachable       7   no response, or "try again": retryable
    │   │   └── ServerUnreachable  7   no answer by SSH
    │   ├── OutcomeUnknown         7   a write may or may not have happened
    │   ├── BadRequest             7   the service calls the request invalid
    │   ├── NotFound               7   the requested object does not exist
    │   └── Conflict               7   the object is busy or already exists
    ├── AdviceUnavailable          8   the AI was required and did not help
    ├── RepositoryRefused          9   the repository cannot, or must not, be read
    │   └── DocumentUnreachable    9   a document at a URL cannot be downloaded
    ├── RunStateError             10   the run cannot be used now
    │   ├── RunNotFound           10   no run has that id, or several have
    │   ├── RunLocked             10   another process is using it
    │   ├── RunTakenOver          10   another process has taken the run
    │   ├── RunMismatch           10   another project or site, or outputs of another version
    │   ├── RunMoved              10   another journal has the run
    │   ├── PlanOutdated          10   a saved plan that no longer fits the cloud
    │   └── JournalError          10   the journal cannot be opened, read or written
    ├── LeftoversExist            11   something is still there after a teardown
    └── OutputLost                12   done, but the result could not be written to stdout

The command line maps these to exit codes in one place and prints `message`, the service's own words,
what exists, and `hint`. Class docstrings are never shown to users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from envagent.hints import THIS_RUN, Command, Hint, Option, command, resume, teardown

if TYPE_CHECKING:
    from pydantic import ValidationError


class EnvagentError(Exception):
    """Root of all errors that are shown to a user without a traceback.

    Args:
        message: one sentence that says what failed, and on which object.
        hint: what to do next; defaults to the class's own.
        service_said: the service's own words, verbatim (untrusted text).
        request_id: the service's request id, for a help-desk ticket.
        retry_after: seconds that the service asked to wait, if it did.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[Hint] = Hint("please report this, with the output of:", command("status", "last", json=True))

    def __init__(
        self,
        message: str,
        *,
        hint: Hint | None = None,
        service_said: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.service_said = service_said
        self.request_id = request_id
        self.retry_after = retry_after
        self.run_id: str | None = None
        """The run that the error belongs to, once somebody knows it: its hint names it."""


def first_problem(error: ValidationError) -> str:
    """Return what a model rejects first, `place: message`, without the value: it may be a secret, or long."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"][:6])
    return f"{place}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")


class UsageError(EnvagentError):
    """A flag, a file or a reply is not usable."""

    exit_code = 2
    default_hint = Hint(Command("--help"))


class ConfigurationError(UsageError):
    """Configuration or credentials cannot be read."""

    default_hint = Hint("try it without an account:", command("run", "URL", cloud="sandbox"))


class AuthenticationError(EnvagentError):
    """The cloud rejects the credentials."""

    exit_code = 4
    default_hint = Hint(
        "check the credentials of this cloud in clouds.yaml or OS_*; on Chameleon use the CLI password; to check all:",
        command("doctor"),
    )


class Forbidden(AuthenticationError):
    """The cloud accepts the credentials and denies the request."""

    default_hint = Hint("ask the project's PI for the role that this needs; to see your roles:", command("doctor"))


class CapacityError(EnvagentError):
    """Nothing is free now."""

    exit_code = 5
    default_hint = Hint("try another node type with", Option("node_type"), ", or try later")


class NoCapacity(CapacityError):
    """There is no free node, network or address in that window."""


class QuotaExceeded(CapacityError):
    """A quota, a budget or an allocation is used up."""

    default_hint = Hint(
        "release what is unused, ask for less time with",
        Option("hours"),
        ", or ask the help desk to renew the allocation",
    )


class ProvisioningError(EnvagentError):
    """The cloud tried and failed."""

    exit_code = 6
    default_hint = Hint("to try again:", resume(), "; to remove everything:", teardown())


class LeaseFailed(ProvisioningError):
    """The lease went to ERROR, or did not become ACTIVE in time."""


class ServerFailed(ProvisioningError):
    """The server went to ERROR, or did not become ACTIVE in time."""


class ResourceLost(ProvisioningError):
    """Something that the run created is gone or was changed."""

    default_hint = Hint("remove the rest, then run again:", teardown())


class NothingSuitable(ProvisioningError):
    """The site has no suitable node type, image or network."""

    default_hint = Hint(
        "name one with", Option("node_type"), "or", Option("image"), ", or try another site with", Option("cloud")
    )


class SetupFailed(ProvisioningError):
    """A step of the set-up failed on the server, which is up and can be logged in to."""

    default_hint = Hint(
        "see what it wrote:",
        Command("logs", (THIS_RUN,), (("setup", True),)),
        "; to try that step again:",
        Command("setup", (THIS_RUN,)),
    )


class CloudError(EnvagentError):
    """The cloud returned something unusable."""

    exit_code = 7
    default_hint = Hint("check the site's status page, then:", resume())


class CloudUnreachable(CloudError):
    """The cloud did not respond, or said to try again; nothing was written."""

    retryable = True


class ServerUnreachable(CloudUnreachable):
    """The server does not answer by SSH."""

    default_hint = Hint("what was started there goes on; to look again:", Command("setup", (THIS_RUN,)))


class OutcomeUnknown(CloudError):
    """A write was sent and may or may not have happened; only a look can tell."""


class BadRequest(CloudError):
    """The service calls the request invalid."""


class NotFound(CloudError):
    """The requested object does not exist (404 from the right project)."""


class Conflict(CloudError):
    """The object is busy or already exists."""


class AdviceUnavailable(EnvagentError):
    """The AI was required and did not help."""

    exit_code = 8
    default_hint = Hint("do not require the AI, or use only the built-in rules with", Option("no_ai"))


class RepositoryRefused(EnvagentError):
    """The repository cannot, or must not, be read."""

    exit_code = 9
    default_hint = Hint("check the URL (https://host/owner/name), or give the local path of a git repository")


class DocumentUnreachable(RepositoryRefused):
    """A document at a URL cannot be downloaded."""

    default_hint = Hint("download it with a browser, and pass the file")


class RunStateError(EnvagentError):
    """The run cannot be used now."""

    exit_code = 10
    default_hint = Hint(command("status"))


class RunNotFound(RunStateError):
    """No run has that id or prefix, or several have."""


class RunLocked(RunStateError):
    """Another process is using this run."""

    default_hint = Hint("wait for it, or stop that process; then:", resume())


class RunTakenOver(RunStateError):
    """Another process has taken the run over; this one may neither write nor send for it."""


class RunMismatch(RunStateError):
    """The run belongs to another project or site, or its outputs to another version."""


class RunMoved(RunStateError):
    """The run was moved to another journal, which alone may act on it."""

    default_hint = Hint(
        "use the journal that it was moved to; to move it back, export it there, and here:",
        Command("import", ("FILE",)),
    )


class PlanOutdated(RunStateError):
    """A saved plan no longer fits: what it names is gone, taken or changed, or it was made elsewhere."""

    default_hint = Hint("make a new plan:", command("plan", "URL"))


class JournalError(RunStateError):
    """The journal cannot be opened, read or written."""

    default_hint = Hint(
        "free disk space, and check the permissions of ENVAGENT_HOME; if the journal is lost:",
        command("teardown", orphans=True),
    )


class LeftoversExist(EnvagentError):
    """Something is still there after a teardown."""

    exit_code = 11
    default_hint = Hint("try again:", teardown(), "; if it stays, give the help desk the ids above")


class OutputLost(EnvagentError):
    """The command succeeded, but its result could not be written to stdout."""

    exit_code = 12
    default_hint = Hint(
        "redirect stdout to where there is space; to see a run's result again:", command("status", "last", json=True)
    )
