"""envagent analyze: show what a repository needs, with the evidence; contacts no cloud."""

from __future__ import annotations

from envagent.cli.commands.options import ALSO, AS_JSON, CONFIG, NO_AI, REF, REPO, examples

EPILOG = examples(
    "envagent analyze https://github.com/karpathy/minGPT",
    "envagent analyze ./my-project --no-ai --json",
)


def analyze(
    repo: REPO,
    as_json: AS_JSON = False,
    no_ai: NO_AI = False,
    ref: REF = None,
    also: ALSO = None,
    config: CONFIG = None,
) -> int:
    """Show which hardware and system a repository needs, and why.

    Reads files of the repository and runs none of them; contacts no cloud and reserves nothing.
    """
    from envagent.cli.actions import analyze_repository
    from envagent.cli.audience import Audience
    from envagent.cli.render import screens
    from envagent.cli.render.terminal import out, print_document

    document = analyze_repository(repo, Audience(), ai=not no_ai, ref=ref, also=also, config=config)
    if isinstance(document, int):
        return document
    print_document(document) if as_json else screens.show_analysis(out(), document)
    return 0
