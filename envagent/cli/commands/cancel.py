"""envagent cancel: stop a submitted run."""

from __future__ import annotations

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_ID, examples

EPILOG = examples("envagent cancel last", "envagent cancel k3j9 --json")


def cancel(run_id: RUN_ID, as_json: AS_JSON = False, config: CONFIG = None) -> int:
    """Stop a run that was submitted to workers.

    A run that has not requested anything ends at once. The workers tear down another one, whatever it is doing.
    """
    from envagent.cli.audience import Audience
    from envagent.cli.render.terminal import print_document
    from envagent.cli.submission import cancel_run

    ended = cancel_run(run_id, Audience(), config=config)
    if as_json:
        print_document(ended.document)
    return ended.exit_code
