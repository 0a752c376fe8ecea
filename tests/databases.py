"""Looking into a database from outside the service."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from convo_service.db.engine import create_engine

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
