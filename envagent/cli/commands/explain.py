"""envagent explain: why a run decided as it did."""

from __future__ import annotations

from envagent.cli.commands.options import AS_JSON, CONFIG, RUN_ID, examples

EPILOG = examples("envagent explain last", "envagent explain last --json")


def explain(run_id: RUN_ID, as_json: AS_JSON = False, config: CONFIG = None) -> int:
    """Show each decision of a run, with evidence and alternatives.

    For each: who decided, the quoted lines with file and line, what the built-in rules alone would decide, what was
    refused and why, the node types that were left out, and the images that were considered.
    """
    from envagent.cli.documents.explanation import explanation
    from envagent.cli.documents.run_document import StoredRun
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.explanation_screen import show_explanation
    from envagent.cli.render.terminal import out, print_document

    home = Home.of(read_settings(config))
    with home.opened_journal(to_read=True) as journal:
        run = journal.run(run_id)
        document = explanation(StoredRun.load(journal, run, working=home.is_worked_on(run.run_id)))
    print_document(document) if as_json else show_explanation(out(), document)
    return 0
