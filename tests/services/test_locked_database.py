"""Somebody holds the database in the middle of an opening: an answer comes in time, and nothing is left behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database, create_engine
from convo_service.db.models import Conversation, Opening, RemoteGarbage
from convo_service.llm.emulator import Emulator
from tests.conftest import Clock
from tests.gateway import Gateway, assert_problem

ANSWER_SECONDS = 10


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Keep everybody else from writing, as a long transaction of somebody else's would; readers go on."""
    engine = create_engine(url)
    try:
        async with engine.begin() as tx:  # on SQLite that is all it takes
            if engine.dialect.name == "postgresql":
                await tx.execute(sa.text("LOCK TABLE users, remote_ids IN EXCLUSIVE MODE"))
            yield
    finally:
        await engine.dispose()


async def _known(database: Database) -> set[str]:
    """The conversations at OpenAI that a row of ours is responsible for."""
    async with database.read.begin() as tx:
        columns = (Conversation.id, RemoteGarbage.remote_id, Opening.remote_id)
        return {id_ for column in columns for id_ in await tx.scalars(sa.select(column)) if id_}


async def _until_called(emulator: Emulator, operation: str, times: int) -> None:
    async with asyncio.timeout(5):
        while emulator.calls[operation] < times:  # noqa: ASYNC110 - the emulator counts, it does not call back
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("operation", "delay"),
    [
        pytest.param("conversations.create", 0.5, id="before T3"),
        pytest.param("conversations.create", 6.0, id="late, before T3"),
        pytest.param("items.create", 0.5, id="before T4"),
    ],
)
async def test_an_opening_that_cannot_be_written_down(
    gateway: Gateway,
    emulator: Emulator,
    database: Database,
    database_url: str,
    clock: Clock,
    operation: str,
    delay: float,
) -> None:
    """Locked out before T3 or T4, the caller hears so within ten seconds; no conversation at OpenAI is forgotten.

    The repeat is answered as the first time: who got 503 has no answer yet.
    """
    await gateway.say("ciao", id="wamid.A")
    clock.advance(days=3)
    emulator.fail_next(operation, delay=delay)
    started = time.monotonic()
    asked = asyncio.create_task(gateway.post("Avete la farina?", id="wamid.B"))
    await _until_called(emulator, operation, 2 if operation == "conversations.create" else 1)
    async with locked(database_url):
        assert_problem(await asked, 503, "database_unavailable")
        assert time.monotonic() - started < ANSWER_SECONDS
    await _age_when_free(database)
    again = await gateway.say("Avete la farina?", id="wamid.B")
    assert (again["duplicate"], again["degraded"]) == (False, None)
    assert again["conversation"]["created_reason"] == "idle_timeout"
    async with asyncio.timeout(15):
        while not set(emulator.conversations()) <= await _known(database):  # noqa: ASYNC110 - it is a database
            await asyncio.sleep(0.05)


async def _age_when_free(database: Database) -> None:
    """The lease is over, as it will be in some seconds, unless it was given back already."""
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Opening).values(lease_until=0))
