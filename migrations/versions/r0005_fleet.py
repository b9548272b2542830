"""What workers need, in PostgreSQL only: the tables of the jobs, and those of watches, limits and turns."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _make_jobs()
    # Workers made these tables themselves before they had a revision.
    op.create_table(
        "fleet_watches",
        sa.Column("run_id", sa.Text(), primary_key=True),
        sa.Column("cloud", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("cloud_id", sa.Text(), primary_key=True),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("begins", TIME, nullable=False),
        sa.Column("every", sa.Double(), nullable=False),
        sa.Column("look_again", TIME, nullable=False),
        sa.Column("left_at", TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("signalled_at", TIME),
        if_not_exists=True,
    )
    op.create_index("fleet_watches_by_cloud", "fleet_watches", ["cloud", "kind", "look_again"], if_not_exists=True)
    op.create_table(
        "fleet_listings",
        sa.Column("cloud", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("next_at", TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("listed_at", TIME),
        sa.Column("quiet", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        if_not_exists=True,
    )
    op.create_table(
        "fleet_limits",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("site", sa.Text(), primary_key=True, server_default=""),
        sa.Column("owner", sa.Text(), primary_key=True, server_default=""),
        sa.Column("value", sa.Double(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "fleet_turns",
        sa.Column("run_id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("su", sa.Double(), nullable=False, server_default="0"),
        sa.Column("asked_at", TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("granted_at", TIME),
        sa.Column("told_at", TIME),
        sa.Column("over_at", TIME),
        if_not_exists=True,
    )
    op.create_index("fleet_turns_by_site", "fleet_turns", ["kind", "site", "granted_at"], if_not_exists=True)
    op.create_table(
        "fleet_polling",
        sa.Column("cloud", sa.Text(), primary_key=True),
        sa.Column("minute", TIME, primary_key=True),
        sa.Column("run_minutes", sa.Double(), nullable=False, server_default="0"),
        sa.Column("listings", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("exchanges", sa.Integer(), nullable=False, server_default="0"),
        if_not_exists=True,
    )


def _make_jobs() -> None:
    """Make Procrastinate's own tables; those of a later version of it need a revision with its migrations."""
    from procrastinate.schema import SchemaManager

    if not sa.inspect(op.get_bind()).has_table("procrastinate_jobs"):
        # The driver sends text without parameters as it is, in one go.
        op.get_bind().connection.cursor().execute(SchemaManager.get_schema().encode())
