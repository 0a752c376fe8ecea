"""A reserve of empty conversations at OpenAI, and conversations whose first turn has their seed to send along.

Code that does not know the mark would ask without the seed, so this revision names no older one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "remote_reserve",
        sa.Column("remote_id", sa.String(128), nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("remote_id", name="pk_remote_reserve"),
    )
    op.create_index("ix_remote_reserve_made_at", "remote_reserve", ["made_at"])
    op.add_column("conversations", sa.Column("owed_items", sa.JSON))


def downgrade() -> None:
    op.drop_column("conversations", "owed_items")
    op.execute(
        sa.text(
            "INSERT INTO remote_garbage (remote_id, why, not_before, tries) "
            "SELECT remote_id, 'downgraded', 0, 0 FROM remote_reserve"
        )
    )
    op.drop_table("remote_reserve")
