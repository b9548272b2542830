"""The first schema: runs, steps, intents, resources, decisions, events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
"""Times and ids are compared character by character."""


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", TEXT, primary_key=True),
        sa.Column("pipeline", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("updated_at", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=False),
        sa.Column("labels", TEXT, nullable=False),
        sa.Column("error", TEXT),
        sa.Column("approved_at", TEXT),
        sa.Column("teardown_at", TEXT),
    )
    op.create_table(
        "steps",
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("step", TEXT, primary_key=True),
        sa.Column("stage", TEXT, primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_at", TEXT),
        sa.Column("finished_at", TEXT),
        sa.Column("wait", TEXT),
        sa.Column("wait_since", TEXT),
        sa.Column("deadline", TEXT),
        sa.Column("status", TEXT),
        sa.Column("model", TEXT),
        sa.Column("model_version", sa.Integer()),
        sa.Column("output", TEXT),
        sa.Column("error", TEXT),
    )
    op.create_table(
        "intents",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id"), nullable=False),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("sent_at", TEXT, nullable=False),
        sa.Column("cloud_id", TEXT),
        sa.Column("error", TEXT),
        sa.UniqueConstraint("run_id", "kind", "number"),
    )
    op.create_table(
        "resources",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id"), nullable=False),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("cloud_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("ownership", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("removed_at", TEXT),
        sa.Column("detail", TEXT, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id"), nullable=False),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id"), nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("stage", TEXT),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
    )
