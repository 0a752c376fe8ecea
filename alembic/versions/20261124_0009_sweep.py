"""When the sweep has to look at a conversation next: what is open at once, what is closed never again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default stays: what a later import brings without knowing of this column is looked at once.
    op.add_column(
        "conversations",
        sa.Column("sweep_at", sa.DateTime(timezone=True), server_default="1970-01-01 00:00:00.000000"),
    )
    op.execute(sa.text("UPDATE conversations SET sweep_at = NULL WHERE NOT is_active"))
    op.create_index(
        "ix_conversations_sweep_at",
        "conversations",
        ["sweep_at"],
        sqlite_where=sa.text("sweep_at IS NOT NULL"),
        postgresql_where=sa.text("sweep_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_conversations_sweep_at", "conversations")
    op.drop_column("conversations", "sweep_at")
