"""envagent resume: continue a run that was interrupted or failed."""

from __future__ import annotations

from envagent.cli.commands.options import (
    AS_JSON,
    CONFIG,
    CSV,
    FILE,
    JSON_STREAM,
    MAX_SU,
    MAX_SU_TOTAL,
    PARALLEL,
    SOME_RUN_ID,
    YES,
    examples,
)
from envagent.errors import UsageError
from envagent.hints import Hint, command

EPILOG = examples("envagent resume last", "envagent resume k3j9 --json")


def resume(
    run_id: SOME_RUN_ID = None,
    yes: YES = False,
    as_json: AS_JSON = False,
    json_stream: JSON_STREAM = False,
    max_su: MAX_SU = None,
    file: FILE = None,
    parallel: PARALLEL = None,
    max_su_total: MAX_SU_TOTAL = None,
    csv: CSV = None,
    config: CONFIG = None,
) -> int:
    """Continue a run where it stopped.

    Finished steps are not repeated, resources that exist are reused, and failed steps are tried again. The resources
    of the run are checked first, even if it had succeeded: the result shows them as they are now.
    """
    if run_id is None or file is not None:
        if run_id is not None or file is None:
            raise UsageError("name either one run or a file", hint=Hint(command("resume", "last")))
        from envagent.cli.batch_session import PARALLEL_LINES, BatchOptions, close_batch, resume_batch

        batch = BatchOptions(
            file,
            parallel=parallel or PARALLEL_LINES,
            max_su_total=max_su_total,
            yes=yes,
            stream=json_stream,
            csv=csv,
            config=config,
        )
        return close_batch(resume_batch(batch, max_su=max_su), batch, as_json=as_json)
    from envagent.cli.actions import resume_run
    from envagent.cli.audience import Audience
    from envagent.cli.inputs import check_for_file
    from envagent.cli.run_session import close

    check_for_file(parallel=parallel, max_su_total=max_su_total, csv=csv)
    audience = Audience(yes=yes, stream=json_stream)
    ended = resume_run(run_id, audience, max_su=max_su, config=config)
    return close(ended, as_json=as_json, in_line=json_stream)
