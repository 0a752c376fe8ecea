"""The versions of a model's summaries, each with its range, its prompt and its cost."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "summaries",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(128), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.Column("from_message_id", sa.String(64)),
        sa.Column("to_message_id", sa.String(64)),
        sa.Column("covered_count", sa.Integer, nullable=False),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.Column("entries", sa.JSON, nullable=False),
        sa.Column("dropped", sa.JSON, nullable=False),
        sa.Column("input_tokens", sa.Integer, nullable=False),
        sa.Column("cached_input_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Double),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_summaries"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_summaries_user_id"),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name="fk_summaries_user_id_conversation_id",
        ),
    )
    op.create_index("ix_summaries_user_id_conversation_id_id", "summaries", ["user_id", "conversation_id", "id"])
    op.create_index("ix_summaries_user_id_asked_at_id", "summaries", ["user_id", "asked_at", "id"])


def downgrade() -> None:
    op.drop_table("summaries")
