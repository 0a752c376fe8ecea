"""Erasures with their tombstones, merges, and what is to be deleted at OpenAI: stored responses, old conversations.

Code that does not know a user who is being erased would serve what is left of her, so this revision names no older one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64)),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.JSON, nullable=False),
        sa.Column("scrubbed", sa.Boolean, nullable=False),
        sa.Column("remote_conversations", sa.Integer, nullable=False),
        sa.Column("remote_items", sa.Integer, nullable=False),
        sa.Column("stored_responses", sa.Integer, nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_completed_at", "erasures", ["completed_at"])
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("digest", name="pk_tombstones"),
    )
    op.create_index("ix_tombstones_until", "tombstones", ["until"])
    op.create_table(
        "merges",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("merged_user_id", sa.String(64), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("merged_by", sa.String(64), nullable=False),
        sa.Column("rows", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_merges"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_merges_user_id"),
    )
    op.add_column("users", sa.Column("erasure_id", sa.String(64)))
    op.add_column("users", sa.Column("repeats_until", sa.DateTime(timezone=True)))
    op.add_column("conversations", sa.Column("released_at", sa.DateTime(timezone=True)))
    unreleased = sa.text("closed_at IS NOT NULL AND released_at IS NULL")
    op.create_index(
        "ix_conversations_closed_at",
        "conversations",
        ["closed_at"],
        sqlite_where=unreleased,
        postgresql_where=unreleased,
    )
    op.add_column("model_calls", sa.Column("response_id", sa.String(128)))
    op.add_column("remote_garbage", sa.Column("erasure_id", sa.String(64)))
    op.create_index("ix_remote_garbage_erasure_id", "remote_garbage", ["erasure_id"])


def downgrade() -> None:
    op.drop_index("ix_remote_garbage_erasure_id", "remote_garbage")
    op.drop_column("remote_garbage", "erasure_id")
    op.drop_column("model_calls", "response_id")
    op.drop_index("ix_conversations_closed_at", "conversations")
    op.drop_column("conversations", "released_at")
    op.drop_column("users", "repeats_until")
    op.drop_column("users", "erasure_id")
    op.drop_table("merges")
    op.drop_table("tombstones")
    op.drop_table("erasures")
