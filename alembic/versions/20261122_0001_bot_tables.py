"""The tables as the existing bot has them: one conversation per phone number, for ever."""

import sqlalchemy as sa
from alembic import op

from convo_service.db.legacy import made_here

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The keys carry names of their own: on PostgreSQL an index name is unique in the whole schema, and the tables
    # that take over these names later bring keys too.
    op.create_table(
        "conversations",
        sa.Column("phone_number", sa.Text),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, server_default=sa.func.current_timestamp()),
        sa.PrimaryKeyConstraint("phone_number", name="pk_bot_conversations"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer, autoincrement=True),
        sa.Column("phone_number", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("timestamp", sa.DateTime, server_default=sa.func.current_timestamp()),
        sa.PrimaryKeyConstraint("id", name="pk_bot_messages"),
    )
    op.create_index("idx_messages_phone", "messages", ["phone_number", "timestamp"])
    op.create_table(
        "profiles",
        sa.Column("phone_number", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("last_name", sa.Text),
        sa.Column("ragione_sociale", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("found_all_info", sa.Boolean, server_default=sa.false()),
        sa.PrimaryKeyConstraint("phone_number", name="pk_bot_profiles"),
    )


def downgrade() -> None:
    """Drop what was made here. A bot's own tables stay, and so does every table with a row, for the next upgrade."""
    bind = op.get_bind()
    for table in ("profiles", "messages", "conversations"):
        if made_here(bind, table) and bind.scalar(sa.select(sa.func.count()).select_from(sa.table(table))) == 0:
            op.drop_table(table)
