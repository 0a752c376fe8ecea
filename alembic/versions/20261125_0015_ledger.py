"""The ledger: what each call of a model used and cost, and what one endless conversation would have."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("endless_tokens", sa.Integer, server_default="0", nullable=False))
    op.add_column("users", sa.Column("last_reply_at", sa.DateTime(timezone=True)))
    op.create_table(
        "model_calls",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(128)),
        sa.Column("cohort", sa.String(32), nullable=False),
        sa.Column("template", sa.String(64)),
        sa.Column("timeout_seconds", sa.Double, nullable=False),
        sa.Column("history_messages", sa.Integer, nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("input_tokens", sa.Integer),
        sa.Column("cached_input_tokens", sa.Integer),
        sa.Column("cache_write_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("cost_usd", sa.Double),
        sa.Column("baseline_input_tokens", sa.Integer),
        sa.Column("baseline_cached_tokens", sa.Integer),
        sa.Column("baseline_cost_usd", sa.Double),
        sa.Column("baseline_uncached_cost_usd", sa.Double),
        sa.Column("latency_ms", sa.Integer),
        sa.Column("first_token_ms", sa.Integer),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_model_calls"),
        sa.UniqueConstraint("user_id", "kind", "subject_id", name="uq_model_calls_user_id_kind_subject_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_model_calls_user_id"),
    )
    op.create_index("ix_model_calls_called_at", "model_calls", ["called_at"])


def downgrade() -> None:
    op.drop_table("model_calls")
    op.drop_column("users", "last_reply_at")
    op.drop_column("users", "endless_tokens")
