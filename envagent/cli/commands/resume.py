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
    from envagent.cli.clouds import reach
    from envagent.cli.home import Home, read_settings, request_of
    from envagent.cli.run_session import RunSession
    from envagent.config import load
    from envagent.engine.tables import RunState
    from envagent.errors import RunStateError
    from envagent.hints import Hint, command

    home = Home(load(files=config or ()).home)
    with home.opened_journal(to_read=True) as journal:
        found = journal.run(run_id)
        with home.working_on(found.run_id):
            row = journal.run(found.run_id)  # as the process that held the lock left it
            if row.state == RunState.TORN_DOWN:
                raise RunStateError(
                    f"run {row.run_id} has been torn down: nothing to resume", hint=Hint(command("run", "URL"))
                )
            request = request_of(row)
            if max_su is not None:
                request = request.model_copy(update={"max_su": max_su})
                row.request = request.model_dump_json()  # stored as the run is resumed
            access = reach(request.cloud, read_settings(config, repository=request.repository))
            drive = RunSession(home, journal, access, yes=yes, as_json=as_json)
            return drive.go(row.run_id, request, lambda runner, services: runner.resume(row, services))
