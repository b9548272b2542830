"""What lists need: indexes, the subject of a run, and when it was archived."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("subject", sa.String()))
    op.add_column("runs", sa.Column("archived_at", sa.String()))
    op.create_index("runs_by_age", "runs", ["archived_at", "created_at"])
    op.create_index("runs_by_subject", "runs", ["subject"])
    op.create_index("resources_of_run", "resources", ["run_id"])
    op.create_index("resources_by_state", "resources", ["kind", "state"])
    op.create_index("decisions_of_run", "decisions", ["run_id"])
    op.create_index("events_of_run", "events", ["run_id"])
    if op.get_bind().dialect.name != "sqlite":
        return  # nothing of the first schema was ever stored elsewhere
    # Lists read the labels alone; a request may hold whole documents.
    op.execute(
        "UPDATE runs SET labels = json_set(labels, '$.repository', json_extract(request, '$.repository'), "
        "'$.cloud', json_extract(request, '$.cloud')) WHERE json_valid(labels) AND json_valid(request)"
    )
