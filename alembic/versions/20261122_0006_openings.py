"""Openings: a conversation that is being opened has a row, a lease and a fence; and what is left over at OpenAI."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "openings",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("attempt_id", sa.String(64), nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("remote_id", sa.String(128)),
        sa.Column("seed", sa.JSON),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("parent_conversation_id", sa.String(128)),
        sa.Column("message_id", sa.String(64)),
        sa.Column("identity", sa.String(128), nullable=False),
        sa.Column("template", sa.String(64)),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("forget", sa.Boolean, nullable=False),
        sa.Column("seed_message", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "topic", name="pk_openings"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_openings_user_id"),
    )
    op.create_table(
        "remote_ids",
        sa.Column("remote_id", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("remote_id", name="pk_remote_ids"),
    )
    op.execute("INSERT INTO remote_ids (remote_id) SELECT DISTINCT id FROM conversations")
    op.create_table(
        "remote_garbage",
        sa.Column("remote_id", sa.String(128), nullable=False),
        sa.Column("why", sa.String(32), nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("remote_id", name="pk_remote_garbage"),
    )


def downgrade() -> None:
    op.drop_table("remote_garbage")
    op.drop_table("remote_ids")
    op.drop_table("openings")
