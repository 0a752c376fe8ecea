"""An index for each filter of the conversations that may be rare, and for the steps of a chain."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ORDER = ["last_message_at", "id"]
RARE = {
    "ix_conversations_topic": (["topic", *ORDER], "topic <> 'general'"),
    "ix_conversations_template": (["template", *ORDER], "template IS NOT NULL"),
    "ix_conversations_created_reason": (["created_reason", *ORDER], None),
    "ix_conversations_created_at": (["created_at"], None),
    "ix_conversations_parent": (["user_id", "parent_conversation_id"], "parent_conversation_id IS NOT NULL"),
}


def upgrade() -> None:
    for name, on_sqlite, on_postgres in (
        ("ix_conversations_open", "is_active = 1", "is_active"),
        ("ix_conversations_closed", "is_active = 0", "NOT is_active"),
    ):
        op.create_index(
            name, "conversations", ORDER, sqlite_where=sa.text(on_sqlite), postgresql_where=sa.text(on_postgres)
        )
    for name, (columns, where) in RARE.items():
        condition = None if where is None else sa.text(where)
        op.create_index(name, "conversations", columns, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    for name in (*RARE, "ix_conversations_closed", "ix_conversations_open"):
        op.drop_index(name, "conversations")
