"""envagent resume: continue a run that was interrupted or failed."""

from __future__ import annotations

from envagent.cli.commands.options import AS_JSON, CONFIG, MAX_SU, RUN_ID, YES, examples

EPILOG = examples("envagent resume last", "envagent resume k3j9 --json")


def resume(
    run_id: RUN_ID, yes: YES = False, as_json: AS_JSON = False, max_su: MAX_SU = None, config: CONFIG = None
) -> int:
    """Continue a run where it stopped.

    Finished steps are not repeated, resources that exist are reused, and failed steps are tried again. The resources
    of the run are checked first, even if it had succeeded: the result shows them as they are now.
    """
    from envagent.cli.actions import resume_run
    from envagent.cli.audience import Audience
    from envagent.cli.run_session import close

    return close(resume_run(run_id, Audience(yes=yes), max_su=max_su, config=config), as_json=as_json)
