"""What was deleted has to be gone from SQLite's file, too, and not only from its tables.

Pages are overwritten by `secure_delete`. Two places are left: the index of words, which before SQLite 3.42 only marks
what was deleted until its parts are merged, and the log, which holds the pages as they were. PostgreSQL has its own
ways (vacuum, and a log that is recycled or archived).
"""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from convo_service.db.engine import Database

PAGES_AT_ONCE = 500  # merged in a transaction
INDEX = "message_search"


async def scrub(database: Database) -> bool:
    """Have what was deleted leave the file; False when somebody reads what the log holds: try again later."""
    writer = database.engines[0]
    if writer.dialect.name != "sqlite":
        return True
    async with database.read.begin() as tx:
        forgets = await _forgets_at_once(tx)
    pages = -PAGES_AT_ONCE  # the first call has all parts merged into one, those that follow go on with it
    is_merged = forgets
    while not is_merged:
        async with database.write.begin() as tx:
            is_merged = not await _merge(tx, pages)
        pages = PAGES_AT_ONCE
    async with writer.connect() as connection:
        return await _empty_log(connection)


async def _forgets_at_once(tx: AsyncSession) -> bool:
    option = sa.text(f"SELECT v FROM {INDEX}_config WHERE k = 'secure-delete'")  # noqa: S608 - our own name
    return bool(await tx.scalar(option))


async def _merge(tx: AsyncSession, pages: int) -> bool:
    """Go on merging the parts of the index; whether there may be more to do."""
    changes = sa.text("SELECT total_changes()")
    before = await tx.scalar(changes)
    merge = sa.text(f"INSERT INTO {INDEX} ({INDEX}, rank) VALUES ('merge', :pages)")  # noqa: S608 - our own name
    await tx.execute(merge, {"pages": pages})
    return int(await tx.scalar(changes) or 0) - int(before or 0) >= 2


async def _empty_log(connection: AsyncConnection) -> bool:
    """Write the log into the file and empty it, outside of any transaction: SQLite wants it so."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None  # noqa: S101 - it was just handed out
    async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
        is_busy, *_ = await cursor.fetchone()
    return not is_busy
