"""Whether a watch is due follows from when it was left and when its cloud was last listed."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.drop_index("fleet_watches_by_cloud", "fleet_watches")
    op.create_index("fleet_watches_by_cloud", "fleet_watches", ["cloud", "kind"])
    op.drop_column("fleet_watches", "look_again")
    op.drop_column("fleet_listings", "quiet")
