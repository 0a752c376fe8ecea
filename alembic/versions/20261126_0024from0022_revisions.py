"""When a message was edited or revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0024from0022"
down_revision = "0023from0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("edited_at", sa.DateTime(timezone=True)))
    op.add_column("messages", sa.Column("revoked_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("messages", "revoked_at")
    op.drop_column("messages", "edited_at")
