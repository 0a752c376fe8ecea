"""How Alembic reaches the database: one connection, one transaction for the whole upgrade, one upgrade at a time.

The existing bot's database is recognised, and a SQLite file is backed up before the first step.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import context
from alembic.migration import MigrationContext
from alembic.util import CommandError
from pydantic import ValidationError

from convo_service.db import backups, faults, legacy, migrations
from convo_service.db.engine import create_engine
from convo_service.db.models import Base
from convo_service.errors import InvalidIdentity
from convo_service.settings import Settings, problems

THE_BOTS = "0002"  # the revision whose tables a bot's own stand for: what comes after sets them aside
ADVISORY_LOCK = 0x636F6E766F  # "convo": two upgrades of one PostgreSQL database wait for each other


def run(connection: sa.Connection) -> None:
    """Upgrade or downgrade on an open connection."""
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        wait_for_other_upgrades(connection)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=is_sqlite,
        include_name=migrations.is_modelled,
    )
    with context.begin_transaction():
        prepare(connection)
        context.run_migrations()


def prepare(connection: sa.Connection) -> None:
    """Before the first step: back the file up, and take a bot's tables for what the first two revisions would make."""
    migration = context.get_context()
    heads = migration.get_current_heads()
    if "destination_rev" not in migration.opts or not migration.opts["fn"](heads, migration):
        return  # nothing will change
    is_the_bots = not heads and legacy.is_the_bots(connection)
    if connection.dialect.name == "sqlite" and (heads or is_the_bots):
        file = Path(connection.engine.url.database or "").resolve()
        made = backups.back_up(file, heads[0] if heads else "bot", datetime.now(UTC))
        context.config.print_stdout("backup: %s", made)
    if is_the_bots:
        migration.stamp(context.script, THE_BOTS)


def wait_for_other_upgrades(connection: sa.Connection) -> None:
    """A statement and a wait may take as long as they need; the tables of a running service are waited for briefly.

    All of it for this transaction alone: PgBouncer gives the connection to others afterwards.
    """
    for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
        connection.execute(sa.text(f"SET LOCAL {name} = 0"))
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))


def database_url() -> str:
    """What `-x url=...` or the settings name."""
    return context.get_x_argument(as_dictionary=True).get("url") or Settings().database_url


def print_sql() -> None:
    """Print the script for PostgreSQL without opening it; on SQLite a table is altered by reading and copying it."""
    if sa.make_url(database_url()).get_backend_name() == "sqlite":
        raise CommandError("--sql needs a DATABASE_URL of PostgreSQL: on SQLite run it without --sql, on a copy")
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


async def migrate(url: str) -> None:
    """Open the database and run."""
    engine = create_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


def refuse_what_is_foreign(file: Path) -> None:
    """Look at a file that was never migrated before it is opened for writing: that alone would change it."""
    if not file.exists():
        return
    opened = backups.look(file)
    engine = sa.create_engine("sqlite://", creator=lambda: opened, poolclass=sa.StaticPool)
    with engine.connect() as connection:
        heads = MigrationContext.configure(connection).get_current_heads()
        known = {script.revision for script in context.script.walk_revisions()}
        if unknown := [head for head in heads if head not in known]:
            raise CommandError(f"The database is at revision {unknown[0]}, which this code does not know")
        if not heads:
            legacy.is_the_bots(connection)
    engine.dispose()


def main() -> None:
    """Migrate the database that the settings name."""
    url = database_url()
    if not url.startswith("sqlite"):
        asyncio.run(migrate(url))
        return
    file = Path(sa.make_url(url).database or "").resolve()
    with backups.one_at_a_time(file):
        refuse_what_is_foreign(file)
        asyncio.run(migrate(url))


@contextmanager
def in_words() -> Iterator[None]:
    """A fault is one line with its reason. Whatever it was, the transaction is gone and nothing was changed."""
    try:
        yield
    except ValidationError as error:
        raise CommandError("; ".join(problems(error))) from error
    except InvalidIdentity as error:
        raise CommandError(f"ROLLOUT_USERS: {error}") from error
    except legacy.ForeignDatabase as error:
        raise CommandError(f"The database is neither empty nor the bot's: {error}. Nothing was changed.") from error
    except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise CommandError(f"The database cannot be used: {faults.describe(error)}. Nothing was changed.") from error


with in_words():
    if context.is_offline_mode():
        print_sql()
    else:
        main()
