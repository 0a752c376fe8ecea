"""Set the bot's tables aside under `legacy_`: their names are needed for the real ones, and nothing is dropped."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("conversations", "messages", "profiles")


def upgrade() -> None:
    for table in TABLES:
        op.rename_table(table, f"legacy_{table}")


def downgrade() -> None:
    for table in TABLES:
        op.rename_table(f"legacy_{table}", table)
