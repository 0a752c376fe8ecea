"""What the worker makes up: openings that nobody works on, and conversations that are left at OpenAI."""

import asyncio
from collections import Counter

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Conversation, Opening, RemoteGarbage
from convo_service.llm.emulator import Emulator
from convo_service.services import openings
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem


async def everything_rested(database: Database) -> None:
    """What minutes of the database's clock do: leases are over, garbage has rested."""
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Opening).values(lease_until=0.0))
        await tx.execute(sa.update(RemoteGarbage).values(not_before=0.0))


async def garbage(database: Database) -> dict[str, int]:
    """Ids and how often each was tried."""
    async with database.read.begin() as tx:
        return {row.remote_id: row.tries for row in await tx.scalars(sa.select(RemoteGarbage))}


async def test_an_owed_rollover(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator) -> None:
    """Who was answered with the old conversation has a new one when she writes again, seeded with what she said."""
    old = (await gateway.say("ordine 4471"))["conversation"]
    clock.advance(hours=49)
    emulator.fail_next("conversations.create", status=503)
    got = await gateway.say("e la fattura 88?")
    assert (got["degraded"], got["conversation"]["id"]) == ("stale_conversation", old["id"])
    assert await sweep.run_once() == Counter(opened=1)
    assert await sweep.run_once() == Counter()
    clock.advance(minutes=1)
    next_one = await gateway.say("ci siete?")
    assert (next_one["created"], next_one["conversation"]["parent_conversation_id"]) == (False, old["id"])
    assert next_one["conversation"]["created_reason"] == "idle_timeout"
    assert "fattura 88" in next_one["conversation"]["seed"]["text"]
    assert emulator.calls["conversations.create"] == 3


@pytest.mark.parametrize("text", ["ciao", "/new vorrei un preventivo"])
async def test_a_message_that_got_no_answer(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator, text: str
) -> None:
    """Its conversation is made; when the gateway repeats it, that is its first answer."""
    if text != "ciao":
        await gateway.say("prima")
        clock.advance(minutes=1)
    emulator.fail_next("conversations.create", status=503)
    assert_problem(await gateway.post(text, id="wamid.x"), 503, "upstream_unavailable")
    assert await sweep.run_once() == Counter(opened=1)
    got = await gateway.say(text, id="wamid.x")
    assert (got["duplicate"], got["conversation"]["is_active"]) == (False, True)
    assert got["message"]["conversation_id"] == got["conversation"]["id"]
    assert (await gateway.say(text, id="wamid.x"))["duplicate"] is True


async def test_openai_is_still_away(gateway: Gateway, sweep: Sweep, emulator: Emulator, clock: Clock) -> None:
    """After five failures nobody asks for a while, whether for a message or to make up; then all is made up."""
    emulator.fail_next("conversations.create", status=503, times=5)
    for number in range(6):
        assert_problem(await gateway.post("ciao", identity=f"+39333000{number:04}"), 503, "upstream_unavailable")
    assert await sweep.run_once() == Counter()
    assert emulator.calls["conversations.create"] == 5
    clock.advance(seconds=15)
    assert await sweep.run_once() == Counter(opened=6)


async def test_an_opening_that_somebody_works_on(
    gateway: Gateway, sweep: Sweep, emulator: Emulator, database: Database
) -> None:
    """Its lease is respected, and whoever holds it finishes."""
    emulator.fail_next("conversations.create", delay=1.0)
    slow = asyncio.create_task(gateway.say("ciao"))
    async with asyncio.timeout(10):
        while not emulator.calls["conversations.create"]:  # noqa: ASYNC110 - the emulator counts, it does not call back
            await asyncio.sleep(0.01)
    assert await sweep.run_once() == Counter()
    assert (await slow)["created"] is True
    assert emulator.calls["conversations.create"] == 1
    assert await garbage(database) == {}


async def test_many_workers_make_up_once(
    gateway: Gateway, sweep: Sweep, emulator: Emulator, database: Database
) -> None:
    """Whoever comes first opens it."""
    emulator.fail_next("conversations.create", status=503, times=4)
    for number in range(4):
        await gateway.post("ciao", identity=f"+39333000{number:04}")
    done = await asyncio.gather(*(sweep.run_once() for _ in range(5)))
    assert sum(done, Counter[str]()) == Counter(opened=4)
    async with database.read.begin() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(Conversation)) == 4
    assert emulator.calls["conversations.create"] == 8


async def test_garbage(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator, database: Database) -> None:
    """A seeded conversation that was not finished is emptied and deleted at OpenAI once it has rested."""
    first = (await gateway.say("ordine 4471"))["conversation"]
    clock.advance(hours=49)
    emulator.fail_next("items.create", after=True)
    assert (await gateway.say("eccomi"))["degraded"] == "stale_conversation"
    (lost,) = await garbage(database)
    assert emulator.items(lost)
    assert await sweep.run_once() == Counter(opened=1)
    assert list(await garbage(database)) == [lost]
    await everything_rested(database)
    assert await sweep.run_once() == Counter(remote_deleted=1)
    assert (emulator.items(lost), emulator.conversations()[lost]["deleted"]) == ([], True)
    assert await garbage(database) == {}
    assert emulator.conversations()[first["id"]]["deleted"] is False


@pytest.mark.parametrize("operation", ["items.list", "items.delete", "conversations.delete"])
async def test_garbage_that_stays(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator, database: Database, operation: str
) -> None:
    """When OpenAI fails it is tried again later, and later each time."""
    await gateway.say("ordine 4471")
    clock.advance(hours=49)
    emulator.fail_next("items.create", after=True)
    await gateway.say("eccomi")
    await sweep.run_once()
    await everything_rested(database)
    emulator.fail_next(operation, status=500)
    assert await sweep.run_once() == Counter()
    (lost,) = await garbage(database)
    assert await garbage(database) == {lost: 1}
    assert await sweep.run_once() == Counter()
    await everything_rested(database)
    assert await sweep.run_once() == Counter(remote_deleted=1)
    assert (emulator.items(lost), emulator.conversations()[lost]["deleted"]) == ([], True)


async def test_garbage_that_is_gone(sweep: Sweep, database: Database) -> None:
    """What OpenAI does not know any more is done."""
    async with database.write.begin() as tx:
        await openings.discard(tx, "conv_0123456789abcdef", "failed")
    await everything_rested(database)
    assert await sweep.run_once() == Counter(remote_deleted=1)


async def test_a_conversation_in_use_is_no_garbage(
    gateway: Gateway, sweep: Sweep, emulator: Emulator, database: Database
) -> None:
    """Whatever went wrong: nothing that a row of ours names is deleted."""
    first = (await gateway.say("ciao"))["conversation"]
    async with database.write.begin() as tx:
        await openings.discard(tx, first["id"], "failed")
    await everything_rested(database)
    assert await sweep.run_once() == Counter()
    assert await garbage(database) == {}
    assert emulator.conversations()[first["id"]]["deleted"] is False


async def test_garbage_is_collected_once(sweep: Sweep, emulator: Emulator, database: Database) -> None:
    """Several workers share the work."""
    async with database.write.begin() as tx:
        for number in range(8):
            await openings.discard(tx, f"conv_{number:016}", "failed")
    await everything_rested(database)
    done = await asyncio.gather(*(sweep.run_once() for _ in range(4)))
    assert sum(done, Counter[str]()) == Counter(remote_deleted=8)
    assert emulator.calls["conversations.delete"] == 8


async def test_the_next_message_is_not_disturbed(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator
) -> None:
    """A worker that makes up what a message makes up at the same moment: one conversation."""
    await gateway.say("ciao")
    clock.advance(hours=49)
    emulator.fail_next("conversations.create", status=503)
    await gateway.say("eccomi", identity=MARIA)
    clock.advance(minutes=1)
    _, got = await asyncio.gather(sweep.run_once(), gateway.say("ci siete?", identity=MARIA))
    assert got["degraded"] is None
    rows = await gateway.listed("/conversations", user_id=got["conversation"]["user_id"])
    assert [row["is_active"] for row in rows] == [True, False]
