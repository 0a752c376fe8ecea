"""What a conversation holds at OpenAI after its last reply, so that what was said since is known as it was counted."""

import sqlalchemy as sa
from alembic import op

revision = "0016from0015"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("held_tokens", sa.Integer))


def downgrade() -> None:
    op.drop_column("conversations", "held_tokens")
