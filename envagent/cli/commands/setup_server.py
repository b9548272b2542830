"""envagent setup: set the repository of a run up on its server."""

from __future__ import annotations

from envagent.cli.commands.options import AS_JSON, CONFIG, JSON_STREAM, NO_REPAIR, RUN_ID, examples

EPILOG = examples("envagent setup last", "envagent setup k3j9 --json")


def setup(
    run_id: RUN_ID,
    no_repair: NO_REPAIR = False,
    as_json: AS_JSON = False,
    json_stream: JSON_STREAM = False,
    config: CONFIG = None,
) -> int:
    """Set the repository of a run up on its server, and prove that it runs.

    Carries out the script that `plan --show-setup` prints, on the server alone: the repository's code never runs here.
    Each step outlives this command; repeated after an interruption or a failure, it continues where the server is. If
    an AI is configured, it may propose a command that repairs a failed step: it is shown, runs on the server, and the
    step is tried again, five times at most.
    """
    from envagent.cli.actions import set_up_run
    from envagent.cli.audience import Audience
    from envagent.cli.render.terminal import print_document
    from envagent.cli.run_session import show_setup_end

    ended = set_up_run(run_id, Audience(stream=json_stream), repair=not no_repair, config=config)
    if as_json or json_stream:
        print_document(ended.document, in_line=json_stream)
    show_setup_end(ended.document, as_json=as_json or json_stream)
    return ended.exit_code
