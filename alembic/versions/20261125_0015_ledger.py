"""The ledger: what each call of a model used and cost, and what one endless conversation would have."""

from collections.abc import Callable

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
    _move_reports()
    op.drop_column("messages", "usage")


def _move_reports() -> None:
    """What gateways reported so far, kept as JSON with each message until now."""
    field = _field_of()
    op.execute(
        sa.text(
            "INSERT INTO model_calls (user_id, id, kind, subject_id, conversation_id, cohort, template, "  # noqa: S608
            "timeout_seconds, history_messages, called_at, model, input_tokens, cached_input_tokens, "
            "cache_write_tokens, output_tokens, cost_usd, baseline_input_tokens) "
            "SELECT m.user_id, 'call' || substr(m.id, 4), 'reported', m.id, m.conversation_id, c.cohort, c.template, "
            f"c.timeout_seconds, u.message_count, m.sent_at, {field('model', 'text')}, "
            f"{field('input_tokens', 'integer')}, coalesce({field('cached_input_tokens', 'integer')}, 0), 0, "
            f"{field('output_tokens', 'integer')}, {field('cost_usd', 'double precision')}, "
            f"{field('baseline_input_tokens', 'integer')} "
            "FROM messages m JOIN users u ON u.id = m.user_id "
            "JOIN conversations c ON c.user_id = m.user_id AND c.id = m.conversation_id "
            f"WHERE {field('input_tokens', 'integer')} IS NOT NULL"
        )
    )


def _field_of() -> Callable[[str, str], str]:
    if op.get_context().dialect.name == "sqlite":
        return lambda name, _type: f"json_extract(m.usage, '$.{name}')"
    return lambda name, type_: f"(m.usage ->> '{name}')::{type_}"


def downgrade() -> None:
    op.add_column("messages", sa.Column("usage", sa.JSON))
    op.drop_table("model_calls")
    op.drop_column("users", "last_reply_at")
    op.drop_column("users", "endless_tokens")
