"""The tables of a fleet next to the journal's and the jobs': what is watched, what it costs, who may do what next.

Losing them loses no run: a watch is left again by the next advance, and a turn by the next request. Only what has been
spent would not be known any more. A change here needs a revision in migrations/; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Double, Index, Integer, MetaData, Table, Text, func

FLEET = MetaData()
"""They are only in PostgreSQL."""

_TIME = DateTime(timezone=True)

Table(
    "fleet_watches",
    FLEET,
    Column("run_id", Text, primary_key=True),
    Column("cloud", Text, nullable=False),
    Column("kind", Text, primary_key=True),
    Column("cloud_id", Text, primary_key=True),
    Column("shown", Text, nullable=False),
    Column("begins", _TIME, nullable=False),
    Column("every", Double, nullable=False),
    Column("left_at", _TIME, nullable=False, server_default=func.now()),
    Column("signalled_at", _TIME),
    Index("fleet_watches_by_cloud", "cloud", "kind"),
)
Table(
    "fleet_listings",
    FLEET,
    Column("cloud", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("next_at", _TIME, nullable=False, server_default=func.now()),
    Column("listed_at", _TIME),
    Column("failures", Integer, nullable=False, server_default="0"),
)
Table(
    "fleet_limits",
    FLEET,
    Column("name", Text, primary_key=True),
    Column("site", Text, primary_key=True, server_default=""),
    Column("owner", Text, primary_key=True, server_default=""),
    Column("value", Double, nullable=False),
)
Table(
    "fleet_turns",
    FLEET,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("site", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("su", Double, nullable=False, server_default="0"),
    Column("asked_at", _TIME, nullable=False, server_default=func.now()),
    Column("granted_at", _TIME),
    Column("told_at", _TIME),
    Column("over_at", _TIME),
    Index("fleet_turns_by_site", "kind", "site", "granted_at"),
)
Table(
    "fleet_polling",
    FLEET,
    Column("cloud", Text, primary_key=True),
    Column("minute", _TIME, primary_key=True),
    Column("run_minutes", Double, nullable=False, server_default="0"),
    Column("listings", Integer, nullable=False, server_default="0"),
    Column("exchanges", Integer, nullable=False, server_default="0"),
)
