"""Engines for SQLite: one connection that writes, in its process's turn, and several that only read."""

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from convo_service.db.turn import Turn

# Who writes waits for this process's connection, for the process's turn, and for those who take no turns: together
# less than the ten seconds in which everybody has an answer.
POOL_SECONDS = 3
TURN_SECONDS = 2
BUSY_MS = 4000
# WAL: readers never wait for the writer. NORMAL: a power cut may take the last moments, never the file; a killed
# process takes nothing. secure_delete: what is erased is gone from the file, too.
PRAGMAS = ("synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}", "secure_delete=ON")


def create_engine(url: str, *, read_only: bool = False) -> AsyncEngine:
    """One engine. The writers' pool holds one connection: the queue in front of it is the write lock."""
    engine = create_async_engine(
        url,
        hide_parameters=True,  # an error's text names the statement, never what people wrote
        pool_size=5 if read_only else 1,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
    )
    if not read_only:
        _take_turns(engine)  # first: whoever waits for his turn must not have SQLite's lock already
    _prepare(engine.sync_engine, read_only=read_only)
    return engine


def create_sync_engine(url: str) -> sa.Engine:
    """An engine of one connection for a thread of its own, which takes its turns and begins its transactions itself."""
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="sqlite"), hide_parameters=True, pool_size=1, max_overflow=0
    )
    _connect_with(engine, read_only=False)
    return engine


def _prepare(engine: sa.Engine, *, read_only: bool) -> None:
    _connect_with(engine, read_only=read_only)
    # A plain BEGIN fails with "database is locked" when a reader turns into a writer; IMMEDIATE waits its turn.
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def _connect_with(engine: sa.Engine, *, read_only: bool) -> None:
    # The journal's mode is a property of the file: a reader leaves a file that is not ours as it is.
    pragmas = (*PRAGMAS, "query_only=ON" if read_only else "journal_mode=WAL")

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _take_turns(engine: AsyncEngine) -> None:
    """Let a writer's transaction wait for the process's turn, and give it back when the connection comes back."""
    database = engine.url.database

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _connect(_connection: Any, record: Any) -> None:
        with suppress(OSError):  # a folder in which nothing can be made has other troubles
            record.info["turn"] = Turn(str(database))

    @sa.event.listens_for(engine.sync_engine, "close")
    def _close(_connection: Any, record: Any) -> None:
        if turn := record.info.pop("turn", None):
            turn.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if turn := connection.info.get("turn"):
            await_only(turn.take(TURN_SECONDS))

    @sa.event.listens_for(engine.sync_engine, "checkin")
    def _checkin(_connection: Any, record: Any) -> None:
        if turn := record.info.get("turn"):
            turn.give_back()
