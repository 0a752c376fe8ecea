"""How Alembic reaches the database: one connection, one transaction for the whole upgrade, one upgrade at a time."""

import asyncio
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from convo_service.db.engine import create_engine
from convo_service.db.models import Base
from convo_service.settings import Settings

ADVISORY_LOCK = 0x636F6E766F  # "convo": two upgrades of one PostgreSQL database wait for each other


def include_name(name: str | None, type_: str, _parents: Any) -> bool:
    """Leave the existing bot's own tables out of comparisons: they are set aside, not modelled."""
    return not (type_ == "table" and name is not None and name.startswith("legacy_"))


def run(connection: sa.Connection) -> None:
    """Upgrade or downgrade on an open connection."""
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        wait_for_other_upgrades(connection)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=is_sqlite,
        include_name=include_name,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def wait_for_other_upgrades(connection: sa.Connection) -> None:
    """A statement and a wait may take as long as they need; the tables of a running service are waited for briefly."""
    for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
        connection.execute(sa.text(f"SET {name} = 0"))
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(sa.text("SET lock_timeout = '5s'"))


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


async def main() -> None:
    """Open the database that the settings name and run."""
    engine = create_engine(database_url())
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    print_sql()
else:
    asyncio.run(main())
