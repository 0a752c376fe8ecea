"""The reserve of empty conversations: filled by the sweep, taken by openings, and no id ever in two places."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Conversation, RemoteGarbage, RemoteId, RemoteReserve
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services import reserve
from convo_service.services.reserve import Reserve
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway

CREATE = "conversations.create"
SIZE = 3


@pytest.fixture
def env() -> dict[str, object]:
    """A small reserve, and a model for turns."""
    return {"conversation_reserve": SIZE, "openai_model": "gpt-5-mini", "openai_timeout_seconds": 2.0}


async def ids(database: Database, column: Any) -> list[str]:
    """All ids of a table."""
    async with database.read.begin() as tx:
        return sorted(await tx.scalars(sa.select(column)))


async def everywhere(database: Database) -> Counter[str]:
    """Every id that we know, as often as it is known."""
    columns = (RemoteReserve.remote_id, Conversation.id, RemoteGarbage.remote_id)
    return Counter([one for column in columns for one in await ids(database, column)])


async def all_accounted_for(database: Database, emulator: Emulator) -> None:
    """Every conversation at OpenAI is in one place."""
    places = await everywhere(database)
    assert set(places.values()) <= {1}
    assert places.keys() == emulator.conversations().keys()


async def test_filling(sweep: Sweep, emulator: Emulator, database: Database) -> None:
    """A pass fills it up with empty conversations that hold nothing of anybody, and the next has nothing to do."""
    assert await sweep.run_once() == Counter(reserved=SIZE)
    assert await sweep.run_once() == Counter()
    kept = await ids(database, RemoteReserve.remote_id)
    assert kept == sorted(emulator.conversations()) == await ids(database, RemoteId.remote_id)
    assert [emulator.items(one) for one in kept] == [[]] * SIZE
    metadata = [one["metadata"] for one in emulator.conversations().values()]
    assert metadata == [{"service": "convo_service", "attempt": "reserve"}] * SIZE


async def test_first_contact_asks_openai_nothing(
    gateway: Gateway, sweep: Sweep, emulator: Emulator, database: Database
) -> None:
    """A stranger gets a conversation of the reserve; when it is empty, one is made."""
    await sweep.run_once()
    emulator.reset()
    got = [await gateway.say("ciao", identity=f"+39333000000{number}") for number in range(SIZE)]
    assert emulator.calls == {}
    assert len({one["conversation"]["id"] for one in got}) == SIZE
    await gateway.say("ciao")
    assert emulator.calls == {CREATE: 1}
    await all_accounted_for(database, emulator)


async def test_a_rollover_costs_one_call(
    gateway: Gateway, sweep: Sweep, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """On `/conversations` only the seed is sent, and is there before anybody gets the conversation."""
    await gateway.say("Il codice è B472")
    await sweep.run_once()
    clock.advance(days=3)
    emulator.reset()
    new = (await gateway.say("eccomi"))["conversation"]
    assert emulator.calls == {"items.create": 1}
    assert [item["role"] for item in emulator.items(new["id"])] == ["developer", "user"]
    await all_accounted_for(database, emulator)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "100"}},
        {"after": True},
        {"status": 200, "body": "{}"},
    ],
)
async def test_openai_fails(sweep: Sweep, emulator: Emulator, database: Database, fault: dict[str, Any]) -> None:
    """It is left alone until the next pass, and the rest of this one goes on."""
    emulator.fail_next(CREATE, **fault)
    assert await sweep.run_once() == Counter()
    assert emulator.calls[CREATE] == 1
    assert await sweep.run_once() == Counter(reserved=SIZE)
    assert len(await ids(database, RemoteReserve.remote_id)) == SIZE


async def test_a_known_id_is_no_answer(sweep: Sweep, emulator: Emulator, database: Database, gateway: Gateway) -> None:
    """What OpenAI gives as new is taken once, whoever asked for it."""
    known = (await gateway.say("ciao"))["conversation"]["id"]
    body = json.dumps({"id": known, "object": "conversation", "created_at": 1, "metadata": {}})
    emulator.fail_next(CREATE, status=200, body=body)
    assert await sweep.run_once() == Counter()
    assert await ids(database, RemoteReserve.remote_id) == []


async def test_what_is_too_old_goes(sweep: Sweep, database: Database, emulator: Emulator) -> None:
    """After a week an id is thrown away and replaced."""
    await sweep.run_once()
    async with database.write.begin() as tx:
        oldest = await tx.scalar(sa.select(sa.func.min(RemoteReserve.remote_id)))
        aged = sa.update(RemoteReserve).where(RemoteReserve.remote_id == oldest)
        await tx.execute(aged.values(made_at=RemoteReserve.made_at - 7 * 86_400))
    assert await sweep.run_once() == Counter(reserve_discarded=1, reserved=1)
    assert await ids(database, RemoteGarbage.remote_id) == [oldest]
    await all_accounted_for(database, emulator)


@pytest.mark.parametrize("size", [0, 1])
async def test_a_smaller_reserve(
    sweep: Sweep, database: Database, llm: LLMClient, emulator: Emulator, size: int
) -> None:
    """What is more than it is to hold goes to the garbage; zero switches it off."""
    await sweep.run_once()
    assert await Reserve(database, llm, size).run_once() == Counter(reserve_discarded=SIZE - size)
    assert await Reserve(database, llm, size).run_once() == Counter()
    assert len(await ids(database, RemoteReserve.remote_id)) == size
    await all_accounted_for(database, emulator)


async def test_many_workers(sweep: Sweep, database: Database, emulator: Emulator) -> None:
    """Each looks before it makes one more: at most one too many for each worker."""
    emulator.fail_next(CREATE, delay=0.05, times=50)
    workers = 4
    await asyncio.gather(*(sweep.run_once() for _ in range(workers)))
    assert SIZE <= len(await ids(database, RemoteReserve.remote_id)) < SIZE + workers
    await sweep.run_once()
    assert len(await ids(database, RemoteReserve.remote_id)) == SIZE
    await all_accounted_for(database, emulator)


async def test_two_takers_never_get_the_same(sweep: Sweep, database: Database) -> None:
    """On PostgreSQL not even while the other's transaction is open, and nobody waits for it."""
    await sweep.run_once()
    if database.write.kw["bind"].dialect.name == "sqlite":  # one writer at a time
        taken = [await _take(database) for _ in range(SIZE + 1)]
    else:
        async with database.write.begin() as one, database.write.begin() as two, database.write.begin() as three:
            taken = [await reserve.take(tx) for tx in (one, two, three, one)]
    assert len(set(taken)) == SIZE + 1
    assert taken[-1] is None


async def _take(database: Database) -> str | None:
    async with database.write.begin() as tx:
        return await reserve.take(tx)


async def test_a_crowd(gateway: Gateway, sweep: Sweep, emulator: Emulator, database: Database) -> None:
    """More strangers at once than there are ids: each has a conversation of its own."""
    await sweep.run_once()
    got = await asyncio.gather(*(gateway.say("ciao", identity=f"+39333000{number:04}") for number in range(3 * SIZE)))
    assert len({one["conversation"]["id"] for one in got}) == 3 * SIZE
    assert emulator.calls[CREATE] == 3 * SIZE
    await all_accounted_for(database, emulator)


async def test_a_failed_opening_gives_nothing_back(
    gateway: Gateway, sweep: Sweep, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """When nobody knows whether the seed arrived, the id is garbage; the next opening takes another."""
    old = (await gateway.say("Il codice è B472"))["conversation"]
    await sweep.run_once()
    clock.advance(days=3)
    emulator.fail_next("items.create", after=True)
    assert (await gateway.say("eccomi"))["conversation"]["id"] == old["id"]
    assert (await gateway.say("e adesso?"))["created"] is True
    assert len(await ids(database, RemoteGarbage.remote_id)) == 1
    await all_accounted_for(database, emulator)


@pytest.mark.parametrize("how", ["say", "ask"])
async def test_ids_that_openai_does_not_know_any_more(
    gateway: Gateway, sweep: Sweep, emulator: Emulator, clock: Clock, llm: LLMClient, database: Database, how: str
) -> None:
    """Nobody notices: another conversation is made, and it is seeded."""
    await getattr(gateway, how)("Il codice è B472")
    await sweep.run_once()
    for stale in await ids(database, RemoteReserve.remote_id):
        await llm.delete_conversation(stale, deadline=1e12)
    clock.advance(days=3)
    answer = await getattr(gateway, how)("eccomi")
    assert (answer["created"], answer.get("degraded")) == (True, None)
    roles = [item["role"] for item in emulator.items(answer["conversation"]["id"])]
    assert roles == ["developer", "user"] + (["user", "assistant"] if how == "ask" else [])
    assert (await gateway.say("ci siete?"))["conversation"]["id"] == answer["conversation"]["id"]
    await all_accounted_for(database, emulator)


async def test_a_reset(gateway: Gateway, sweep: Sweep, emulator: Emulator) -> None:
    """The operator's reset and `/new` take from the reserve, too."""
    first = (await gateway.say("Il codice è B472"))["conversation"]
    await sweep.run_once()
    emulator.reset()
    await gateway.http.post(f"/users/{first['user_id']}/reset")
    await gateway.say("/new", identity=MARIA)
    assert emulator.calls == {"items.create": 2}
