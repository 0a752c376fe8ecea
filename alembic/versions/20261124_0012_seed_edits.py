"""What operators decided about entries of a user's seeds."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seed_edits",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("entry_id", sa.String(64), nullable=False),
        sa.Column("section", sa.String(32), nullable=False),
        sa.Column("entry", sa.JSON, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "entry_id", name="pk_seed_edits"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_seed_edits_user_id"),
    )


def downgrade() -> None:
    op.drop_table("seed_edits")
