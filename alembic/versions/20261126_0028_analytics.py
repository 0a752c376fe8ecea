"""Counts of analytics, and what they are kept by: marks on conversations, and indexes of what is counted as it stands.

Code that does not know the days of a user could neither merge nor erase her, so this revision names no older one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027from0022"
branch_labels = None
depends_on = None

PARTIAL = {
    "ix_conversations_uncounted": ("conversations", ["user_id", "id"], "counted_messages = -2"),
    "ix_turns_failed": ("turns", ["created_at"], "status = 'failed'"),
}


def upgrade() -> None:
    op.create_table(
        "analytics_counts",
        sa.Column("metric", sa.String(32), nullable=False),
        sa.Column("span", sa.String(32), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("template", sa.String(64), nullable=False),
        sa.Column("cohort", sa.String(32), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("week_hour", sa.SmallInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "metric", "span", "begins_at", "topic", "template", "cohort", "name", name="pk_analytics_counts"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "analytics_people",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("previous", sa.Date, nullable=False),
        sa.Column("cohort", sa.String(32), nullable=False),
        sa.Column("users", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("day", "previous", "cohort", name="pk_analytics_people"),
        sqlite_with_rowid=False,
    )
    cursors = op.create_table(
        "analytics_cursors",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("position", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_analytics_cursors"),
    )
    names = ("messages", "conversations", "calls", "time_zone")
    op.bulk_insert(cursors, [{"name": name, "position": ""} for name in names])
    op.create_table(
        "active_days",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("previous", sa.Date, nullable=False),
        sa.Column("cohort", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", name="pk_active_days"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_active_days_user_id"),
    )
    op.add_column("conversations", sa.Column("counted_messages", sa.Integer, server_default="-2", nullable=False))
    for name, (table, columns, where) in PARTIAL.items():
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_index(
        "ix_conversations_miscounted",
        "conversations",
        ["user_id", "id"],
        sqlite_where=sa.text("is_active = 0 AND counted_messages <> message_count"),
        postgresql_where=sa.text("NOT is_active AND counted_messages <> message_count"),
    )
    op.create_index("ix_model_calls_id", "model_calls", ["id"])


def downgrade() -> None:
    op.drop_index("ix_model_calls_id", "model_calls")
    op.drop_index("ix_conversations_miscounted", "conversations")
    for name, (table, _columns, _where) in PARTIAL.items():
        op.drop_index(name, table)
    op.drop_column("conversations", "counted_messages")
    for table in ("active_days", "analytics_cursors", "analytics_people", "analytics_counts"):
        op.drop_table(table)
