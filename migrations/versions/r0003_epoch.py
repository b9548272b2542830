"""What several processes and people need: the epoch of a run, and its owner."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("epoch", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("runs", sa.Column("owner", sa.String()))
    op.create_index("runs_by_owner", "runs", ["owner", "created_at"])
