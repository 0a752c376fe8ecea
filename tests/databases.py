"""Looking into a database from outside the service."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from convo_service.db.engine import create_engine

Result = TypeVar("Result")


def on(url: str, work: Callable[[sa.Connection], Result]) -> Result:
    """Do something with a connection."""

    async def run() -> Result:
        engine = create_engine(url)
        async with engine.begin() as connection:
            result = await connection.run_sync(work)
        await engine.dispose()
        return result

    return asyncio.run(run())
