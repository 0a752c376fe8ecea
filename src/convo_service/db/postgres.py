"""PostgreSQL, directly or behind PgBouncer: its engine, and its quick lane."""

import asyncio
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from convo_service.db.lane import Result, Work
from convo_service.db.prepared import Prepared, Row, Values

POOL_SECONDS = 5
LANE_CONNECTIONS = 10  # beside the engine's twenty
SQLALCHEMYS_OWN = ("prepared_statement_cache_size", "prepared_statement_name_func")  # which the driver does not know
TIMEOUTS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
}
TIMEZONE = {"timezone": "UTC"}
DIRECT: dict[str, Any] = {"server_settings": {**TIMEZONE, **TIMEOUTS}}
# PgBouncer gives each transaction another server connection. It refuses settings of a session that it does not follow,
# so timeouts are set in each transaction; a statement that was prepared is not there the next time, so none is kept,
# and none has a name that another client could have given.
PGBOUNCER: dict[str, Any] = {
    "server_settings": TIMEZONE,
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,
}


def create_engine(given: sa.URL) -> AsyncEngine:
    """One engine, with a pool of twenty connections at most."""
    behind_pgbouncer = "pgbouncer" in given.query
    engine = create_async_engine(
        given.difference_update_query(["pgbouncer"]),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=POOL_SECONDS,
        connect_args={"timeout": POOL_SECONDS, **(PGBOUNCER if behind_pgbouncer else DIRECT)},
    )
    if behind_pgbouncer:
        _set_timeouts_at_begin(engine)
    return engine


def _set_timeouts_at_begin(engine: AsyncEngine) -> None:
    timeouts = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in TIMEOUTS.items())

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SELECT {timeouts}")


class Direct:
    """The quick lane. Without PgBouncer it has connections of its own, on which one statement is one round trip."""

    def __init__(self, engine: AsyncEngine, given: sa.URL) -> None:
        self._engine = engine
        self._straight = "pgbouncer" not in given.query
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def run(self, work: Work[Result]) -> Result:
        """Without a transaction around the statements, where nobody stands between who needs one."""
        if self._straight:
            pool = await self._opened()
            async with pool.acquire(timeout=POOL_SECONDS) as raw:
                return await greenlet_spawn(work, _Driver(self._engine.dialect, raw))
        async with self._engine.begin() as tx:
            fairy = await tx.get_raw_connection()
            return await greenlet_spawn(work, _Driver(tx.dialect, fairy.driver_connection))

    async def close(self) -> None:
        """Close the lane's own connections."""
        if self._pool is not None:
            await self._pool.close()

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                url = self._engine.url.difference_update_query(SQLALCHEMYS_OWN)
                _, given = self._engine.dialect.create_connect_args(url)
                self._pool = await asyncpg.create_pool(
                    min_size=0, max_size=LANE_CONNECTIONS, reset=_as_it_is, timeout=POOL_SECONDS, **given, **DIRECT
                )
        return self._pool


class _Driver:
    """asyncpg's own connection."""

    def __init__(self, dialect: sa.Dialect, connection: Any) -> None:
        self.dialect = dialect
        self._connection = connection

    def fetch(self, prepared: Prepared, values: Values) -> Row | None:
        """Carry a prepared statement out."""
        found = await_only(self._connection.fetchrow(prepared.text, *prepared.parameters(values)))
        return None if found is None else prepared.row(found)


async def _as_it_is(_connection: Any) -> None:
    """Nothing that the lane does leaves anything on a connection; resetting it would be a second round trip."""
