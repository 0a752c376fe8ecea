"""Who signed in to the dashboard has a session here, and its lists have indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0025from0022"
down_revision = "0024from0022"
branch_labels = None
depends_on = None

OPEN_ISSUES = sa.text("kind = 'issue' AND status = 'open'")


def upgrade() -> None:
    op.create_table(
        "dashboard_sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_dashboard_sessions"),
    )
    op.create_index("ix_dashboard_sessions_expires_at", "dashboard_sessions", ["expires_at"])
    op.create_index(
        "ix_notes_open_issues", "notes", ["created_at", "id"], sqlite_where=OPEN_ISSUES, postgresql_where=OPEN_ISSUES
    )
    op.create_index("ix_model_calls_conversation", "model_calls", ["user_id", "conversation_id", "called_at"])


def downgrade() -> None:
    op.drop_index("ix_model_calls_conversation", "model_calls")
    op.drop_index("ix_notes_open_issues", "notes")
    op.drop_table("dashboard_sessions")
