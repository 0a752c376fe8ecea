"""A version of each user, that a message can be stored by one statement; and which rollout has judged the user."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("version", sa.Integer, server_default="0", nullable=False))
    op.add_column("users", sa.Column("rollout", sa.String(32), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("users", "rollout")
    op.drop_column("users", "version")
