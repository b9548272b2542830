"""The document of a batch: what `run --file`, `resume --file` and `teardown --file` print as JSON or write as CSV."""

from __future__ import annotations

import csv
import io
from typing import Literal

from envagent.cli.documents.json_models import SCHEMA_VERSION, Document, ErrorPart, RunStateName
from envagent.cli.documents.run_models import RunDocument
from envagent.cli.render.terminal import printable

LineStateName = RunStateName | Literal["not_started", "refused"]


class BatchLinePart(Document):
    """One line of the file, and its run."""

    line: int | None
    """Its number in the file; null for a run whose line is no longer there."""
    repository: str
    ref: str | None
    state: LineStateName
    """That of the run; not_started without one, refused if it cannot have one."""
    run_id: str | None
    site: str | None = None
    node_type: str | None = None
    server: str | None = None
    address: str | None = None
    ssh: str | None = None
    """The command that logs in."""
    lease_end: str | None = None
    su_ceiling: float = 0.0
    """The most that its lease may cost, once it is approved."""
    su_so_far: float = 0.0
    exit_code: int
    """That of the line alone; 0 for a finished run."""
    error: ErrorPart | None = None


class BatchDocument(Document):
    """`run --file`, `resume --file` and `teardown --file`: a file of repositories, in its order."""

    schema_version: Literal[1] = SCHEMA_VERSION
    file: str
    lines: list[BatchLinePart]
    max_su_total: float | None
    su_ceiling: float
    """The most that all leases may cost."""
    su_so_far: float


def line_part(
    number: int | None,
    repository: str,
    ref: str | None,
    run: RunDocument | None,
    *,
    exit_code: int = 0,
    error: ErrorPart | None = None,
) -> BatchLinePart:
    """Return the part of a line.

    Args:
        number: its number in the file.
        repository: what it names.
        ref: its branch, tag or commit.
        run: its run, if it has one.
        exit_code: what it came to.
        error: why it has no run, or why its run did not continue.
    """
    if run is None:
        state: LineStateName = "not_started" if error is None else "refused"
        return BatchLinePart(
            line=number, repository=repository, ref=ref, state=state, run_id=None, exit_code=exit_code, error=error
        )
    return BatchLinePart(
        line=number,
        repository=repository,
        ref=ref,
        state=run.state,
        run_id=run.run_id,
        site=run.site,
        node_type=run.node_type,
        server=None if run.server is None else run.server.name,
        address=run.floating_ip or run.fixed_ip,
        ssh=run.ssh,
        lease_end=None if run.cost is None else run.cost.lease_end,
        su_ceiling=committed(run),
        su_so_far=0.0 if run.cost is None else run.cost.su_so_far,
        exit_code=exit_code,
        error=error or (None if run.state == "torn_down" and exit_code == 0 else run.error),
    )


def committed(run: RunDocument) -> float:
    """Return the most that a run's leases may cost: what was used, of one that is over."""
    if run.cost is not None:
        over = run.cost.phase in ("ended", "removed")
        return run.cost.su_so_far if over else max(run.cost.su_estimate, run.cost.su_so_far)
    approved = run.plan is not None and run.plan.approved_at is not None and run.teardown_started_at is None
    return run.plan.ceiling if approved and run.plan is not None else 0.0


def batch_document(file: str, lines: list[BatchLinePart], max_su_total: float | None) -> BatchDocument:
    """Sum up the lines."""
    return BatchDocument(
        file=file,
        lines=lines,
        max_su_total=max_su_total,
        su_ceiling=round(sum(one.su_ceiling for one in lines), 2),
        su_so_far=round(sum(one.su_so_far for one in lines), 2),
    )


def as_csv(document: BatchDocument) -> str:
    """Return the lines as CSV; a cell never starts as a formula of a spreadsheet does."""
    rows = [one.model_dump(mode="json") for one in document.lines]
    for row, line in zip(rows, document.lines, strict=True):
        row["error"] = None if line.error is None else line.error.message
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(BatchLinePart.model_fields)
    writer.writerows([[_cell(row[name]) for name in BatchLinePart.model_fields] for row in rows])
    return text.getvalue()


def _cell(value: object) -> str:
    cell = "" if value is None else printable(value)
    return f"'{cell}" if isinstance(value, str) and cell.startswith(("=", "+", "-", "@")) else cell
