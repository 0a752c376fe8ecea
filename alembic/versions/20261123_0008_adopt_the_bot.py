"""Take over what the bot's tables hold: users, profiles, conversations and messages, in this service's own tables."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError

from convo_service.db.legacy import PREFIX
from convo_service.domain.tally import report
from convo_service.services.legacy import adopt
from convo_service.settings import Settings

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# A script cannot make sense of times and numbers, so it stops where there is something to make sense of.
NOT_BY_SCRIPT = """
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM legacy_conversations) OR EXISTS (SELECT 1 FROM legacy_messages)
        OR EXISTS (SELECT 1 FROM legacy_profiles) THEN
        RAISE EXCEPTION 'the rows of the bot are taken over by "alembic upgrade head" itself, not by its --sql';
    END IF;
END $$
"""


def upgrade() -> None:
    if context.is_offline_mode():
        op.execute(sa.text(NOT_BY_SCRIPT))
        return
    watch = context.config.attributes.get("watch", lambda _total: lambda _messages: None)
    tally = adopt(op.get_bind(), Settings(), prefix=PREFIX, now=datetime.now(UTC), watch=watch)
    for line in report(tally):
        context.config.print_stdout("%s", line)


def downgrade() -> None:
    """Nothing to take back: the bot's rows are where they were, and taking them again takes each once."""
    if context.is_offline_mode():
        raise CommandError("Below 0008 a database goes down without --sql: it is looked at which tables are the bot's.")
