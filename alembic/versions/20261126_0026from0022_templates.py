"""Templates in versions, and which one a conversation was opened with.

Code of 0022 opens conversations without a template and reads nothing that changes here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026from0022"
down_revision = "0025from0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_templates"),
    )
    op.create_table(
        "template_versions",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("instructions", sa.Text),
        sa.Column("model", sa.String(128)),
        sa.Column("timeout_hours", sa.Double),
        sa.Column("max_messages", sa.Integer),
        sa.Column("seed_sections", sa.JSON),
        sa.Column("language", sa.String(32)),
        sa.Column("command_reply", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_template_versions"),
    )
    op.create_index("ix_template_versions_created_at_name", "template_versions", ["created_at", "name"])
    op.add_column("conversations", sa.Column("template_version", sa.Integer))
    op.add_column("conversations", sa.Column("max_messages", sa.Integer))
    op.add_column("openings", sa.Column("template_version", sa.Integer))


def downgrade() -> None:
    op.drop_column("openings", "template_version")
    op.drop_column("conversations", "max_messages")
    op.drop_column("conversations", "template_version")
    op.drop_table("template_versions")
    op.drop_table("templates")
