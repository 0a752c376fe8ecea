"""Open issues, preferences and notes about a user."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("message_ids", sa.JSON, nullable=False),
        sa.Column("resolved_by", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.Column("reopened_at", sa.DateTime(timezone=True)),
        sa.Column("found_kind", sa.String(32)),
        sa.Column("found_text", sa.Text),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_notes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_notes_user_id"),
    )
    op.create_index("ix_notes_id", "notes", ["id"])
    op.create_index("ix_notes_user_id_created_at_id", "notes", ["user_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table("notes")
