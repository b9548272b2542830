"""The name of a run, which no other run has at the same time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

IN_USE = sa.text("name IS NOT NULL AND state NOT IN ('torn_down', 'moved')")


def upgrade() -> None:
    op.add_column("runs", sa.Column("name", sa.String()))
    op.create_index("runs_by_name", "runs", ["name"])
    op.create_index("names_in_use", "runs", ["name"], unique=True, sqlite_where=IN_USE, postgresql_where=IN_USE)
