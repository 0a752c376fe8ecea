"""Topics that operators describe. Code of 0022 knows topics by their names alone, and goes on so."""

import sqlalchemy as sa
from alembic import op

revision = "0027from0022"
down_revision = "0026from0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "topics",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("template", sa.String(64)),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_topics"),
    )
    op.create_index("ix_topics_updated_at_name", "topics", ["updated_at", "name"])


def downgrade() -> None:
    op.drop_table("topics")
