"""Windows on the bot's table: is it active, when was the last message, what came before it."""

import sqlalchemy as sa
from alembic import context, op

from convo_service.db.legacy import made_here

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
    if not context.is_offline_mode() and not made_here(op.get_bind(), "conversations"):
        return  # a bot's own table is taken as it comes
    with op.batch_alter_table("conversations") as table:
        table.add_column(sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()))
        table.add_column(sa.Column("last_message_at", sa.DateTime))
        table.add_column(sa.Column("parent_conversation_id", sa.Text))
    op.execute(BACKFILL)


def downgrade() -> None:
    """Drop them where they are ours: a bot's table was taken as it came, and what it has by its own doing stays."""
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("conversations")}
    if made_here(op.get_bind(), "conversations") and "is_active" in columns:
        with op.batch_alter_table("conversations") as table:
            table.drop_column("parent_conversation_id")
            table.drop_column("last_message_at")
            table.drop_column("is_active")
