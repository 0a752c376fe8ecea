"""What is left of an opening at OpenAI may hold a seed: whose it is, so that an erasure waits for it, too."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("remote_garbage", sa.Column("of_user", sa.String(64)))


def downgrade() -> None:
    op.drop_column("remote_garbage", "of_user")
