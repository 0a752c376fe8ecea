"""Turns: a message, and the one reply that it gets; one at a time for each user."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

OPEN = "status IN ('waiting', 'in_progress')"


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attempt_id", sa.String(64), nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("uncertain", sa.Boolean, nullable=False),
        sa.Column("created", sa.Boolean, nullable=False),
        sa.Column("conversation_id", sa.String(128)),
        sa.Column("reply_message_id", sa.String(64)),
        sa.Column("reply_item_id", sa.String(128)),
        sa.Column("error_code", sa.String(32)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("latency_ms", sa.Integer),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_turns"),
        sa.UniqueConstraint("user_id", "message_id", name="uq_turns_user_id_message_id"),
        sa.ForeignKeyConstraint(
            ["user_id", "message_id"], ["messages.user_id", "messages.id"], name="fk_turns_user_id_message_id"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_turns_user_id"),
    )
    op.create_index("ix_turns_id", "turns", ["id"])
    op.create_index("ix_turns_user_id_reply_message_id", "turns", ["user_id", "reply_message_id"])
    op.create_index(
        "ix_turns_open", "turns", ["user_id", "number"], sqlite_where=sa.text(OPEN), postgresql_where=sa.text(OPEN)
    )


def downgrade() -> None:
    op.drop_table("turns")
