"""envagent analyze: what a repository needs, with the evidence; touches no cloud."""

from __future__ import annotations

from envagent.cli.shared import AS_JSON, CONFIG, NO_AI, REF, REPO, examples

EPILOG = examples(
    "envagent analyze https://github.com/karpathy/minGPT",
    "envagent analyze ./my-project --no-ai --json",
)


def analyze(repo: REPO, as_json: AS_JSON = False, no_ai: NO_AI = False, ref: REF = None, config: CONFIG = None) -> int:
    """Tell what hardware and system a repository needs, and why.

    Reads the files that tell and runs none of them; no cloud is asked and nothing is reserved.
    """
    from envagent.cli import views
    from envagent.cli.analysis import analysis_document
    from envagent.cli.repository import checked
    from envagent.cli.session import make_advisor, read_settings
    from envagent.cli.stop import StopSignals
    from envagent.cli.terminal import err, out, print_document
    from envagent.engine.step import Stopped
    from envagent.repository.analyzer import analyze as conclude
    from envagent.repository.fetch import fetch
    from envagent.repository.git import Cancelled

    repository = checked(repo, ref)
    settings = read_settings(config, repository=repository)
    terminal = err()
    with StopSignals(lambda: terminal.line("stopping"), lambda: None) as stop:
        advisor = make_advisor(settings, ai=not no_ai, stop=stop.event)
        try:
            snapshot = fetch(repository, ref=ref, cancelled=stop.event.is_set)
            analysis, decision = advisor.requirements(snapshot, conclude(snapshot))
        except (Cancelled, Stopped):
            return stop.exit_code
    document = analysis_document(snapshot, analysis, decision)
    print_document(document) if as_json else views.show_analysis(out(), document)
    return 0
