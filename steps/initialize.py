"""Log in; and what a resumed run must still match."""

from __future__ import annotations

from envagent.cloud.port import Identity
from envagent.engine.step import NotYet, Output, Step, stage
from envagent.errors import RunMismatch
from envagent.hints import Hint
from envagent.steps.resources import registered_keys, removal_order
from envagent.steps.services import StepContext


class Initialized(Output):
    """Who runs it, and where."""

    identity: Identity

    def summary(self) -> str:
        """Name site and project."""
        return f"{self.identity.site}, project {self.identity.project_name or self.identity.project_id}"


class Initialize(Step):
    """Log in.

    Reads: the configuration and the cloud's credentials.
    Creates: nothing.
    Owner mark: none.
    Undo: nothing to undo.
    """

    @stage
    def log_in(self, context: StepContext) -> Initialized:
        """Log in and record project, user and site."""
        identity = context.services.cloud.identity()
        context.label(site=identity.site, project=identity.project_name or identity.project_id)
        return Initialized(identity=identity)

    def confirm(self, context: StepContext, output: Initialized) -> NotYet | None:
        """Refuse to continue in another project or at another site; then reconcile what the run made with the cloud."""
        cloud = context.services.cloud
        must_match(context.run_id, cloud.identity(), output.identity)
        return context.reconcile(removal_order(cloud, registered_keys(context.ledger.intents("keypair"))))


def must_match(run_id: str, now: Identity, then: Identity) -> None:
    """Check user, project and site: anywhere else, an empty list would prove nothing.

    Raises:
        RunMismatch: the project, the site or the user is another.
    """
    for what, ours, stored in (
        ("project", now.project_id, then.project_id),
        ("site", now.region, then.region),
        ("user", now.user_id, then.user_id),
    ):
        if ours != stored:
            raise RunMismatch(
                f"run {run_id} belongs to {what} {stored}, but these credentials are for {what} {ours}",
                hint=Hint(
                    f"restore the credentials with which it was started ({_where(then)}), then repeat the command"
                ),
            )


def _where(identity: Identity) -> str:
    return "the OS_* variables" if identity.cloud is None else f"the entry {identity.cloud} of clouds.yaml"
