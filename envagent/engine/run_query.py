"""Which runs of the journal are meant, as a condition of SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NEWEST_FIRST = "ORDER BY created_at DESC, run_id DESC"

_HOLDERS = """SELECT run_id FROM resources WHERE kind = ? AND state IN ('present', 'removing')
AND ownership != 'foreign' AND coalesce(json_extract(detail, '$.end_date') > ?, 1)"""
"""The runs that have an object of a kind which has not ended, as far as its end is known."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Selects runs; what is not given does not matter.

    Attributes:
        states: the stored states.
        removing: whether the teardown has started; a run that is torn down counts.
        subject: what the run is about. Runs of the first schema have no subject: they are selected, too.
        labels: labels with their whole values.
        containing: labels with a part of their values, in any case.
        holding: a kind of object, of which the run has one that has not ended ...
        at: ... by this time.
        unchanged_since: a time after which the run has not changed.
        archived: whether archived runs are selected, too.
    """

    states: tuple[str, ...] = ()
    removing: bool | None = None
    subject: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    containing: Mapping[str, str] = field(default_factory=dict)
    holding: str | None = None
    at: str = ""
    unchanged_since: str | None = None
    archived: bool = False

    def condition(self) -> tuple[str, list[str | None]]:
        """Return the condition, and the values of its parameters."""
        parts, values = ["1"], list[str | None]()
        if not self.archived:
            parts.append("archived_at IS NULL")
        if self.states:
            parts.append(f"state IN ({', '.join('?' * len(self.states))})")
            values += self.states
        if self.removing is not None:
            parts.append(f"teardown_at IS {'NOT ' if self.removing else ''}NULL")
        if self.subject is not None:
            parts.append("(subject = ? OR subject IS NULL)")
            values.append(self.subject)
        for name, value in self.labels.items():
            parts.append("json_extract(labels, ?) IS ?")
            values += [f'$."{name}"', value]
        for name, text in self.containing.items():
            parts.append("instr(lower(json_extract(labels, ?)), lower(?)) > 0")
            values += [f'$."{name}"', text]
        if self.holding is not None:
            parts.append(f"run_id IN ({_HOLDERS})")
            values += [self.holding, self.at]
        if self.unchanged_since is not None:
            parts.append("updated_at < ?")
            values.append(self.unchanged_since)
        return " AND ".join(parts), values


EVERY_RUN = RunQuery()
