"""envagent diagram: draw how envagent works, or what took how long in a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from envagent.cli.commands.options import CONFIG, SOME_RUN_ID, examples

if TYPE_CHECKING:
    from envagent.cli.documents.run_models import RunDocument
    from envagent.diagrams.timelines import Timeline

EPILOG = examples("envagent diagram workflow -o workflow.svg", "envagent diagram run last --format svg")


def diagram(
    name: Annotated[
        Literal["architecture", "workflow", "sequence", "states", "data", "run"],
        typer.Argument(
            metavar="NAME", help="architecture, workflow, sequence, states, data, or run.", show_default=False
        ),
    ],
    run_id: SOME_RUN_ID = None,
    form: Annotated[
        Literal["mermaid", "svg"] | None,
        typer.Option("--format", help="Default: svg for a FILE that ends so, else mermaid.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
    ] = None,
    config: CONFIG = None,
) -> int:
    """Draw how envagent works, or the timeline of a run.

    The pictures are drawn from the code that is installed; no other program and no network is needed.
    """
    from envagent.cli.render.terminal import out
    from envagent.errors import UsageError
    from envagent.hints import Hint, Shell, command

    if (name == "run") != (run_id is not None):
        raise UsageError("`run` needs a run, and the other diagrams none", hint=Hint(command("diagram", "run", "last")))
    if form is None:
        form = "svg" if output is not None and output.suffix == ".svg" else "mermaid"
    if run_id is not None:
        from envagent.cli.actions import read_run
        from envagent.cli.audience import Audience

        picture = timeline(read_run(run_id, Audience(), config=config))
        text = picture.svg() if form == "svg" else picture.mermaid()
    else:
        from envagent.diagrams.pictures import PICTURES

        drawn = PICTURES[name]()
        text = drawn.svg() if form == "svg" else drawn.mermaid()
    if output is None:
        out().raw(text)
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{output} cannot be written: {error.strerror}", hint=Hint(Shell("ls", "-ld", str(output.parent)))
        ) from None
    return 0


def timeline(run: RunDocument) -> Timeline:
    """Return the timeline of a run: one bar for each stage that was started."""
    from datetime import datetime

    from envagent.cli.render import times
    from envagent.cli.render.terminal import printable
    from envagent.diagrams.timelines import Bar, Timeline

    bars = []
    for step in run.steps:
        for stage in step.stages:
            if stage.started_at is None:
                continue
            start = datetime.fromisoformat(stage.started_at)
            end = datetime.fromisoformat(stage.finished_at or run.updated_at)
            took = times.duration(max(0.0, (end - start).total_seconds()))
            note = took if stage.state == "succeeded" else f"{stage.state} after {took}"
            bars.append(Bar(f"{step.name}.{stage.name}", start, max(start, end), note, failed=stage.state == "failed"))
    bars.sort(key=lambda bar: bar.start)
    return Timeline(printable(f"run {run.run_id}: {run.repository.url} ({run.state})", limit=120), tuple(bars))
