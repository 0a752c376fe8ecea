"""The database: transactions that write, readers that the database itself keeps from writing, and the quick lane."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.ext.compiler import compiles

from convo_service.db import postgres, sqlite
from convo_service.db.committed import Session
from convo_service.db.group_commit import GroupCommit
from convo_service.db.lane import Lane


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


class epoch(sa.sql.functions.GenericFunction[float]):  # noqa: N801 - it reads as a function
    """An instant of a column in seconds since 1970; to the millisecond, as SQLite's dates are no more exact."""

    type = sa.Double()
    inherit_cache = True


@compiles(epoch, "sqlite")
def _sqlite_epoch(element: epoch, compiler: Any, **kw: Any) -> str:
    return f"((julianday({compiler.process(element.clauses, **kw)}) - 2440587.5) * 86400.0)"


@compiles(epoch, "postgresql")
def _postgres_epoch(element: epoch, compiler: Any, **kw: Any) -> str:
    return f"extract(epoch from {compiler.process(element.clauses, **kw)})::double precision"


@dataclass(frozen=True, slots=True)
class Database:
    """`async with database.write.begin() as tx:` is a transaction; `.read.begin()` one that cannot write.

    `lane` is for the few writes that every message needs.
    """

    write: async_sessionmaker[AsyncSession]
    read: async_sessionmaker[AsyncSession]
    lane: Lane
    engines: tuple[AsyncEngine, ...]

    async def close(self) -> None:
        """Give every connection back."""
        await self.lane.close()
        for engine in self.engines:
            await engine.dispose()


def open_database(url: str) -> Database:
    """Make the engines for a URL that Settings has normalised; nothing is connected yet."""
    writer = create_engine(url)
    if url.startswith("sqlite"):
        reader = create_engine(url, read_only=True)
        return Database(_sessions(writer), _sessions(reader), GroupCommit(url), (writer, reader))
    reader = writer.execution_options(postgresql_readonly=True)
    return Database(_sessions(writer), _sessions(reader), postgres.Direct(writer, sa.make_url(url)), (writer,))


def create_engine(url: str, *, read_only: bool = False) -> AsyncEngine:
    """One engine; `read_only` keeps SQLite's connections from writing."""
    if url.startswith("sqlite"):
        return sqlite.create_engine(url, read_only=read_only)
    return postgres.create_engine(sa.make_url(url))


def _sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, sync_session_class=Session, expire_on_commit=False, autoflush=False)
