"""Engines and the two kinds of transaction: writers, and readers that the database itself keeps from writing."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.util import await_only

from convo_service.db.turn import Turn

# Who writes to SQLite waits for this process's connection, for the process's turn, and for those who take no turns:
# together less than the ten seconds in which everybody has an answer.
SQLITE_POOL_SECONDS = 3
TURN_SECONDS = 2
SQLITE_BUSY_MS = 4000
POSTGRES_POOL_SECONDS = 5
POSTGRES_TIMEOUTS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
}
TIMEZONE = {"timezone": "UTC"}
DIRECT: dict[str, Any] = {"server_settings": {**TIMEZONE, **POSTGRES_TIMEOUTS}}
# PgBouncer gives each transaction another server connection. It refuses settings of a session that it does not follow,
# so timeouts are set in each transaction; a statement that was prepared is not there the next time, so none is kept,
# and none has a name that another client could have given.
PGBOUNCER: dict[str, Any] = {
    "server_settings": TIMEZONE,
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,
}
# WAL: readers never wait for the writer. NORMAL: a power cut may take the last moments, never the file; a killed
# process takes nothing. secure_delete: what is erased is gone from the file, too.
SQLITE_PRAGMAS = (
    "synchronous=NORMAL",
    "foreign_keys=ON",
    f"busy_timeout={SQLITE_BUSY_MS}",
    "secure_delete=ON",
)


class database_time(sa.sql.functions.GenericFunction[float]):  # noqa: N801 - it reads as a function
    """The database's own clock, in seconds since 1970: leases compare by it, whatever the replicas' clocks say."""

    type = sa.Double()
    inherit_cache = True


@compiles(database_time, "sqlite")
def _sqlite_time(_element: object, _compiler: object, **_kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_time, "postgresql")
def _postgres_time(_element: object, _compiler: object, **_kw: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


@dataclass(frozen=True, slots=True)
class Database:
    """`async with database.write.begin() as tx:` is a transaction; `.read.begin()` one that cannot write."""

    write: async_sessionmaker[AsyncSession]
    read: async_sessionmaker[AsyncSession]
    engines: tuple[AsyncEngine, ...]

    async def close(self) -> None:
        """Give every connection back."""
        for engine in self.engines:
            await engine.dispose()


def open_database(url: str) -> Database:
    """Make the engines for a URL that Settings has normalised; nothing is connected yet."""
    writer = create_engine(url)
    if url.startswith("sqlite"):
        reader = create_engine(url, read_only=True)
        engines: tuple[AsyncEngine, ...] = (writer, reader)
    else:
        reader = writer.execution_options(postgresql_readonly=True)
        engines = (writer,)
    return Database(_sessions(writer), _sessions(reader), engines)


def create_engine(url: str, *, read_only: bool = False) -> AsyncEngine:
    """One engine. On SQLite the writers' pool holds one connection: the queue in front of it is the write lock."""
    if url.startswith("sqlite"):
        engine = create_async_engine(
            url,
            hide_parameters=True,  # an error's text names the statement, never what people wrote
            pool_size=5 if read_only else 1,
            max_overflow=0,
            pool_timeout=SQLITE_POOL_SECONDS,
        )
        _prepare_sqlite(engine, read_only=read_only)
        return engine
    return _postgres_engine(sa.make_url(url))


def _postgres_engine(url: sa.URL) -> AsyncEngine:
    behind_pgbouncer = "pgbouncer" in url.query
    engine = create_async_engine(
        url.difference_update_query(["pgbouncer"]),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=POSTGRES_POOL_SECONDS,
        connect_args={"timeout": POSTGRES_POOL_SECONDS, **(PGBOUNCER if behind_pgbouncer else DIRECT)},
    )
    if behind_pgbouncer:
        _set_timeouts_at_begin(engine)
    return engine


def _set_timeouts_at_begin(engine: AsyncEngine) -> None:
    timeouts = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in POSTGRES_TIMEOUTS.items())

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SELECT {timeouts}")


def _sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=False)


def _prepare_sqlite(engine: AsyncEngine, *, read_only: bool) -> None:
    # The journal's mode is a property of the file: a reader leaves a file that is not ours as it is.
    pragmas = (*SQLITE_PRAGMAS, "query_only=ON" if read_only else "journal_mode=WAL")
    # A plain BEGIN fails with "database is locked" when a reader turns into a writer; IMMEDIATE waits its turn.
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    if not read_only:
        _take_turns(engine)

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


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
