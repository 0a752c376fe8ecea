"""Users, the identities they are known by, and their profiles."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("cohort", sa.String(32), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("conversation_count", sa.Integer, nullable=False),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_index("ix_users_last_seen_at_id", "users", ["last_seen_at", "id"])
    op.create_table(
        "identities",
        sa.Column("value", sa.String(128), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("value", name="pk_identities"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_identities_user_id"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "profiles",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("last_name", sa.Text),
        sa.Column("ragione_sociale", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("user_id", name="pk_profiles"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_profiles_user_id"),
    )


def downgrade() -> None:
    op.drop_table("profiles")
    op.drop_index("ix_identities_user_id", "identities")
    op.drop_table("identities")
    op.drop_index("ix_users_last_seen_at_id", "users")
    op.drop_table("users")
