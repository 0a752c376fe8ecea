"""How large all talk is, in estimated tokens: what one endless conversation would send with every reply."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# A quarter of the characters, rounded up, and four for each item: as everything here is estimated.
OF_A_MESSAGE = "(length(text) - command_length + 3) / 4 + 4"
SAID = "length(text) > command_length"


def upgrade() -> None:
    op.add_column("users", sa.Column("talk_tokens", sa.Integer, server_default="0", nullable=False))
    for name in ("talk_tokens", "start_tokens"):
        op.add_column("conversations", sa.Column(name, sa.Integer, server_default="0", nullable=False))
    op.add_column("conversations", sa.Column("held_tokens", sa.Integer))  # as OpenAI counted it, after the last reply
    op.execute(
        sa.text(
            f"UPDATE users SET talk_tokens = coalesce((SELECT sum({OF_A_MESSAGE}) FROM messages "  # noqa: S608 - ours
            f"WHERE messages.user_id = users.id AND {SAID}), 0)"
        )
    )
    op.execute(
        sa.text(
            f"UPDATE conversations SET talk_tokens = coalesce((SELECT sum({OF_A_MESSAGE}) FROM messages "  # noqa: S608
            "WHERE messages.user_id = conversations.user_id AND messages.conversation_id = conversations.id "
            f"AND {SAID}), 0), start_tokens = coalesce((SELECT tokens + 4 FROM seeds "
            "WHERE seeds.user_id = conversations.user_id AND seeds.conversation_id = conversations.id), 0)"
        )
    )


def downgrade() -> None:
    for table, name in (
        ("conversations", "held_tokens"),
        ("conversations", "start_tokens"),
        ("conversations", "talk_tokens"),
        ("users", "talk_tokens"),
    ):
        op.drop_column(table, name)
