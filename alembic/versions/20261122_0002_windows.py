"""Windows on the bot's table: is it active, when was the last message, what came before it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BACKFILL = """
    UPDATE conversations SET last_message_at = coalesce(
        (SELECT max(messages.timestamp) FROM messages WHERE messages.phone_number = conversations.phone_number),
        created_at)
"""


def upgrade() -> None:
    with op.batch_alter_table("conversations") as table:
        table.add_column(sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()))
        table.add_column(sa.Column("last_message_at", sa.DateTime))
        table.add_column(sa.Column("parent_conversation_id", sa.Text))
    op.execute(BACKFILL)


def downgrade() -> None:
    """Drop them where they are ours: a bot's table was taken as it came, and what it has by its own doing stays."""
    inspector = sa.inspect(op.get_bind())
    made_here = inspector.get_pk_constraint("conversations")["name"] == "pk_bot_conversations"
    if made_here and any(column["name"] == "is_active" for column in inspector.get_columns("conversations")):
        with op.batch_alter_table("conversations") as table:
            table.drop_column("parent_conversation_id")
            table.drop_column("last_message_at")
            table.drop_column("is_active")
