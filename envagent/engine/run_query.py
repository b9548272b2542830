"""Which runs of the journal are meant, as a condition that each kind of database understands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, String, UnaryExpression, and_, func, literal, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from envagent.engine.tables import Ownership, ResourceRecord, ResourceState, RunRecord, RunState, table


class _JsonText(FunctionElement[str]):
    """The text under a name in a column of JSON objects."""

    name = "json_text"
    type = String()
    inherit_cache = True


@compiles(_JsonText, "sqlite")
def _in_sqlite(element: _JsonText, compiler: SQLCompiler, **options: Any) -> str:
    column, name = (compiler.process(one, **options) for one in element.clauses)
    return f"json_extract({column}, '$.\"' || {name} || '\"')"


@compiles(_JsonText, "postgresql")
def _in_postgresql(element: _JsonText, compiler: SQLCompiler, **options: Any) -> str:
    column, name = (compiler.process(one, **options) for one in element.clauses)
    return f"({column})::jsonb ->> {name}"


class _Listed(FunctionElement[str]):
    """The values of a JSON list, as a subquery: a statement has a limited number of parameters."""

    name = "listed"
    type = String()
    inherit_cache = True


@compiles(_Listed, "sqlite")
def _listed_in_sqlite(element: _Listed, compiler: SQLCompiler, **options: Any) -> str:
    [listed] = (compiler.process(one, **options) for one in element.clauses)
    return f"(SELECT value FROM json_each({listed}))"  # noqa: S608 - compiled parts


@compiles(_Listed, "postgresql")
def _listed_in_postgresql(element: _Listed, compiler: SQLCompiler, **options: Any) -> str:
    [listed] = (compiler.process(one, **options) for one in element.clauses)
    return f"(SELECT jsonb_array_elements_text(({listed})::jsonb))"


def among(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of any number of values."""
    return listed(column, literal(json.dumps(list(values))))


def listed(column: ColumnElement[str], values: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values of a JSON list."""
    return column.bool_op("IN")(_Listed(values))


def visible(owner: str | None) -> ColumnElement[bool]:
    """Return the condition that a run is this owner's, or nobody's; None is everybody."""
    runs = table(RunRecord).c
    return true() if owner is None else or_(runs.owner == owner, runs.owner.is_(None))


def newest_first() -> tuple[UnaryExpression[Any], ...]:
    """Return the order of a list of runs."""
    runs = table(RunRecord).c
    return runs.created_at.desc(), runs.run_id.desc()


PART = "."
"""Separates the id of a run from the name of a part of it: `k3j9.setup` is a run of another pipeline on its server.

Such a run is found by its whole id alone, and never listed.
"""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Selects runs; what is not given does not matter.

    Attributes:
        states: the stored states.
        removing: whether the teardown has started; a run that is torn down counts.
        subject: what the run is about. Runs of the first schema have no subject: they are selected, too.
        labels: labels with their whole values.
        containing: labels with a part of their values, in any case.
        holding: a kind of object, of which the run has one that has not ended (and that no other journal has) ...
        at: ... by this time.
        unchanged_since: a time after which the run has not changed.
        owner: who submitted it to a fleet.
        archived: whether archived runs are selected, too.
        parts: whether runs that are part of another are selected, too (see `PART`).
    """

    states: tuple[str, ...] = ()
    removing: bool | None = None
    subject: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    containing: Mapping[str, str] = field(default_factory=dict)
    holding: str | None = None
    at: str = ""
    unchanged_since: str | None = None
    owner: str | None = None
    archived: bool = False
    parts: bool = False

    def condition(self, seen_by: str | None = None) -> ColumnElement[bool]:
        """Return the condition on a run that an owner may see; None is everybody."""
        runs = table(RunRecord).c
        parts: list[ColumnElement[bool]] = [visible(seen_by)]
        if not self.parts:
            parts.append(runs.run_id.not_like(f"%{PART}%"))
        if not self.archived:
            parts.append(runs.archived_at.is_(None))
        if self.states:
            parts.append(runs.state.in_([str(one) for one in self.states]))
        if self.removing is not None:
            parts.append(runs.teardown_at.is_not(None) if self.removing else runs.teardown_at.is_(None))
        if self.subject is not None:
            parts.append(or_(runs.subject == self.subject, runs.subject.is_(None)))
        for name, value in self.labels.items():
            parts.append(_JsonText(runs.labels, name).is_not_distinct_from(value))
        for name, text in self.containing.items():
            shown = func.lower(_JsonText(runs.labels, name))
            parts.append(shown.contains(text.lower(), autoescape=True))
        if self.holding is not None:
            parts.append(runs.run_id.in_(_holders(self.holding, self.at)))
            parts.append(runs.state != RunState.MOVED.value)
        if self.unchanged_since is not None:
            parts.append(runs.updated_at < self.unchanged_since)
        if self.owner is not None:
            parts.append(runs.owner == self.owner)
        return and_(*parts)


def _holders(kind: str, at: str) -> Any:
    """Select the runs that have an object of a kind which has not ended, as far as its end is known."""
    resources = table(ResourceRecord).c
    return select(resources.run_id).where(
        resources.kind == kind,
        resources.state.in_([ResourceState.PRESENT.value, ResourceState.REMOVING.value]),
        resources.ownership != Ownership.FOREIGN.value,
        func.coalesce(_JsonText(resources.detail, "end_date") > at, true()),
    )


EVERY_RUN = RunQuery()
