"""A pause of a user's bot, what was said in it, and the turns that a person answered in the bot's place."""

import sqlalchemy as sa
from alembic import op

revision = "0023from0022"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("paused_until", sa.DateTime(timezone=True)))
    op.add_column("messages", sa.Column("missed", sa.Boolean, server_default=sa.false(), nullable=False))
    op.add_column("turns", sa.Column("paused", sa.Boolean, server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("turns", "paused")
    op.drop_column("messages", "missed")
    op.drop_column("users", "paused_until")
