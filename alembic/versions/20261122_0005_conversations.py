"""Conversations with their seeds, and messages: the history, keyed by user."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CONVERSATION_KEY = ["conversations.user_id", "conversations.id"]


def upgrade() -> None:
    _create_conversations()
    op.create_table(
        "seeds",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(128), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("generator", sa.String(32), nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("entries", sa.JSON, nullable=False),
        sa.Column("from_message_id", sa.String(64)),
        sa.Column("to_message_id", sa.String(64)),
        sa.Column("covered_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "conversation_id", name="pk_seeds"),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"], CONVERSATION_KEY, name="fk_seeds_user_id_conversation_id"
        ),
    )
    _create_messages()


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("template", sa.String(64)),
        sa.Column("cohort", sa.String(32), nullable=False),
        sa.Column("identity", sa.String(128), nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_inbound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("inbound_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("created_reason", sa.String(32), nullable=False),
        sa.Column("closed_reason", sa.String(32)),
        sa.Column("parent_conversation_id", sa.String(128)),
        sa.Column("timeout_seconds", sa.Double, nullable=False),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_conversations"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_conversations_user_id"),
        sa.ForeignKeyConstraint(
            ["user_id", "parent_conversation_id"],
            CONVERSATION_KEY,
            name="fk_conversations_user_id_parent_conversation_id",
        ),
    )
    op.create_index(
        "uq_conversations_active",
        "conversations",
        ["user_id", "topic"],
        unique=True,
        sqlite_where=sa.text("is_active = 1"),
        postgresql_where=sa.text("is_active"),
    )
    op.create_index("ix_conversations_id", "conversations", ["id"])
    op.create_index("ix_conversations_last_message_at_id", "conversations", ["last_message_at", "id"])
    op.create_index(
        "ix_conversations_user_id_last_message_at_id", "conversations", ["user_id", "last_message_at", "id"]
    )
    op.create_index(
        "ix_conversations_user_id_topic_created_at_number",
        "conversations",
        ["user_id", "topic", "created_at", "number"],
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(128)),
        sa.Column("answered_conversation_id", sa.String(128)),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("command_length", sa.Integer, nullable=False),
        sa.Column("external_id", sa.String(256)),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.Column("usage", sa.JSON),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_messages"),
        sa.UniqueConstraint("user_id", "external_id", name="uq_messages_user_id_external_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_messages_user_id"),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"], CONVERSATION_KEY, name="fk_messages_user_id_conversation_id"
        ),
    )
    op.create_index("ix_messages_user_id_sent_at_id", "messages", ["user_id", "sent_at", "id"])
    op.create_index(
        "ix_messages_user_id_conversation_id_sent_at_id", "messages", ["user_id", "conversation_id", "sent_at", "id"]
    )


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("seeds")
    op.drop_table("conversations")
    op.execute("UPDATE users SET conversation_count = 0, message_count = 0")
