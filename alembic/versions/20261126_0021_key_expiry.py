"""Keys get an end and their last use, and what keys and users have used of their rates is counted for all replicas.

Code that does not know the end would let an expired key in, so this revision names no older one, and keys that have an
end are revoked when it is taken back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.add_column("api_keys", sa.Column("last_used_at", sa.DateTime(timezone=True)))
    op.create_table(
        "rate_counts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", "ends_at", name="pk_rate_counts"),
    )
    op.create_index("ix_rate_counts_ends_at", "rate_counts", ["ends_at"])


def downgrade() -> None:
    op.execute(
        sa.text("UPDATE api_keys SET revoked_at = expires_at WHERE revoked_at IS NULL AND expires_at IS NOT NULL")
    )
    op.drop_table("rate_counts")
    op.drop_column("api_keys", "last_used_at")
    op.drop_column("api_keys", "expires_at")
