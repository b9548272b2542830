"""envagent skill: show the instructions for coding agents."""

from __future__ import annotations

from envagent.cli.commands.options import CONFIG, examples

EPILOG = examples("envagent skill", "envagent skill > SKILL.md")


def skill(config: CONFIG = None) -> int:
    """Show a page of instructions for coding agents.

    The page is a skill file in Markdown: commands, documents, exit codes and rules of cost.
    """
    from importlib import resources

    from envagent.cli.render.terminal import out

    out().raw(resources.files("envagent.cli.documents").joinpath("skill.md").read_text("utf-8"))
    return 0
