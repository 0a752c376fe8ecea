"""${message}."""

import sqlalchemy as sa

from alembic import op

# `0014from0012`, in the file's name too: what code of 0012 reads and writes is still there. Without `from` every older
# replica is told to stop by /readyz.
revision = ${repr(up_revision)}
down_# `0014from0012`, in the file's name too: what code of 0012 reads and writes is still there. Without `from` every older
# replica is told to stop by /readyz.
revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
