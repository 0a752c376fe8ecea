"""Looking into a database from outside the service."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import create_engine, open_database

Result = TypeVar("Result")


def on(url: str, work: Callable[[sa.Connection], Result], *, read_only: bool = False) -> Result:
    """Do something with a connection; one that only reads leaves a file as it is."""

    async def run() -> Result:
        engine = create_engine(url, read_only=read_only)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(run())


async def steps(file: Path, reading: Callable[[AsyncSession], Awaitable[Result]]) -> tuple[int, Result]:
    """How many steps of SQLite's machine a reading takes, and what it found."""
    database = open_database(f"sqlite+aiosqlite:///{file}")
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    async with database.read.begin() as tx:
        raw: Any = (await (await tx.connection()).get_raw_connection()).driver_connection
        await reading(tx)  # the first time a connection reads the schema
        await raw.set_progress_handler(step, 1)
        found = await reading(tx)
        await raw.set_progress_handler(None, 1)
    await database.close()
    return count, found
