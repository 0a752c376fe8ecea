"""Limits: what a key may ask in a minute, and a user in a minute and an hour; nothing that is refused is lost."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from limits import RateLimitItemPerMinute

from convo_service.app import create_app
from convo_service.db.engine import Database
from convo_service.db.models import RateCount, User
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem

LUCA = "+393330000000"
BSUID = "IT.13491208655302741918"
SPELLED = "0039 333 123-4567"  # Maria


@pytest.fixture
async def replica(settings: Settings, llm: LLMClient, clock: Clock, gateway: Gateway) -> AsyncIterator[FastAPI]:
    """A second service on the same database."""
    app = create_app(settings, llm=llm, clock=clock, books_every=3600)
    async with app.router.lifespan_context(app):
        yield app


def beside(replica: FastAPI, gateway: Gateway) -> Gateway:
    """The same key's client of the second service; its message ids are others."""
    headers = {"Authorization": gateway.http.headers["Authorization"]}
    made = Gateway(httpx.AsyncClient(transport=httpx.ASGITransport(app=replica), base_url="http://b", headers=headers))
    made._ids = iter(range(1000, 9999))  # type: ignore[assignment]
    return made


async def settle(*apps: FastAPI) -> None:
    """What every second does."""
    for app in apps:
        await app.state.services.budgets.counts.settle(app.state.services.database)


def assert_later(answer: httpx.Response, code: str, seconds: int) -> None:
    """The request is to be repeated after so many seconds."""
    assert_problem(answer, 429, code)
    assert answer.headers["retry-after"] == str(seconds)


@pytest.mark.parametrize("env", [{"rate_limit_per_minute": 3}])
async def test_a_key(app: FastAPI, gateway: Gateway, clock: Clock) -> None:
    """It has its requests of a minute, on every route together; other keys have theirs, and probes need none."""
    user = (await gateway.say("uno"))["conversation"]["user_id"]
    clock.advance(seconds=15)
    body = {"kind": "issue", "text": "Manca la fattura"}
    assert (await gateway.http.post(f"/users/{user}/notes", json=body)).status_code == 201
    await gateway.get("/users")
    assert_later(await gateway.http.get("/users"), "rate_limited", 45)
    assert_later(await gateway.post("due", id="w2"), "rate_limited", 45)
    assert (await gateway.http.get("/livez")).status_code == 200
    _, other = await app.state.services.keys.create("other", Scope.GATEWAY, now=clock())
    headers = {"Authorization": f"Bearer {other}"}
    assert (await gateway.http.get("/users", headers=headers)).status_code == 403  # and not 429
    clock.advance(seconds=45)
    got = await gateway.say("due", id="w2")
    assert (got["duplicate"], got["conversation"]["message_count"]) == (False, 2)


@pytest.mark.parametrize("env", [{"user_turns_per_minute": 3, "openai_model": "gpt-5-mini"}])
async def test_a_user(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """She has her messages of a minute, however her number is written; what is over is not stored, and taken later."""
    first = await gateway.say("uno")
    await gateway.ask("due", identity=SPELLED)
    await gateway.say("tre", identity=SPELLED)
    clock.advance(seconds=50)
    asked = len(emulator.calls)
    assert_later(await gateway.post("quattro", id="w4"), "turn_budget_spent", 10)
    assert_later(await gateway.turn("quattro", id="w4"), "turn_budget_spent", 10)
    stream = await gateway.http.post("/turns/stream", json={"identity": MARIA, "message": {"id": "w4", "text": "4"}})
    assert_later(stream, "turn_budget_spent", 10)
    await gateway.say("uno", identity=LUCA)
    thread = await gateway.listed(f"/users/{first['conversation']['user_id']}/messages")
    assert [one["text"] for one in thread if one["direction"] == "inbound"] == ["uno", "due", "tre"]
    clock.advance(seconds=10)
    assert (await gateway.say("quattro", id="w4"))["duplicate"] is False
    assert len(emulator.calls) - asked <= 1  # Luca's conversation


@pytest.mark.parametrize("env", [{"user_turns_per_minute": 2, "openai_model": "gpt-5-mini"}])
async def test_what_counts_nothing(gateway: Gateway, emulator: Emulator, llm: Any) -> None:
    """Repeats, what fails, what is refused, and what the bot says; a message that OpenAI makes move counts once."""
    emulator.fail_next("conversations.create", status=503, times=9)
    assert [(await gateway.post("uno", id="w1")).status_code for _ in range(3)] == [503] * 3
    emulator.reset()
    first = await gateway.say("uno", id="w1")
    for _ in range(3):
        assert (await gateway.say("uno", id="w1"))["duplicate"]
        assert (await gateway.post("altro", id="w1")).status_code == 422
        await gateway.reply(first["conversation"]["id"], "Certo")
    await llm.delete_conversation(first["conversation"]["id"], deadline=1e12)
    assert (await gateway.ask("due"))["conversation"]["created_reason"] == "lost_upstream"
    assert_problem(await gateway.turn("tre"), 429, "turn_budget_spent")


@pytest.mark.parametrize("env", [{"user_resets_per_hour": 2}])
async def test_resets(gateway: Gateway, clock: Clock) -> None:
    """A user has her `/new` of an hour, and so has an operator who resets her; the conversation goes on otherwise."""
    await gateway.say("ciao")
    for _ in range(2):
        clock.advance(minutes=10)
        got = await gateway.say("/new")
    user, clock_ends = got["conversation"]["user_id"], 40 * 60
    assert_later(await gateway.post("/nuova", id="w9"), "reset_budget_spent", clock_ends)
    assert (await gateway.say("allora?"))["conversation"]["id"] == got["conversation"]["id"]
    path = f"/users/{user}/reset"
    assert [(await gateway.http.post(path)).status_code for _ in range(2)] == [201, 201]
    assert_later(await gateway.http.post(path), "reset_budget_spent", clock_ends)
    assert [(await gateway.http.post("/users/usr_nobody/reset")).status_code for _ in range(4)] == [404] * 4
    clock.advance(minutes=40)
    assert (await gateway.say("/nuova", id="w9"))["command"] == "new_conversation"
    assert (await gateway.http.post(path)).status_code == 201


@pytest.mark.parametrize("env", [{"user_turns_per_minute": 20, "rate_limit_per_minute": 1000}])
async def test_two_replicas(app: FastAPI, replica: FastAPI, gateway: Gateway, clock: Clock) -> None:
    """What both counted is one count, once they have settled; and the next minute is a new one."""
    other = beside(replica, gateway)
    for _ in range(2):
        for _ in range(5):
            await gateway.say("qui")
            await other.say("là")
        await settle(app, replica, app)
    for one in (gateway, other):
        assert_problem(await one.post("di troppo"), 429, "turn_budget_spent")
    clock.advance(minutes=1)
    for one in (gateway, other):
        await one.say("di nuovo")


@pytest.mark.parametrize("env", [{"user_resets_per_hour": 2}])
async def test_resets_on_two_replicas(app: FastAPI, replica: FastAPI, gateway: Gateway) -> None:
    """Of an hour's few, each is told."""
    await gateway.say("/new")
    await beside(replica, gateway).say("/new")
    await settle(app, replica, app)
    assert_problem(await gateway.post("/new"), 429, "reset_budget_spent")


async def test_few_are_told_to_nobody(app: FastAPI, gateway: Gateway, database: Database, clock: Clock) -> None:
    """Who writes little costs no row; no name stands in one; and what is over is removed."""

    async def rows() -> list[tuple[str, int]]:
        async with database.read.begin() as tx:
            return [(row.name, row.used) for row in await tx.execute(sa.select(RateCount.name, RateCount.used))]

    for _ in range(4):
        await gateway.say("poco")
    await settle(app)
    assert await rows() == []
    await gateway.say("di più")
    await settle(app)
    assert sorted(used for _, used in await rows()) == [5, 5]  # of the key, and of Maria
    assert not any("333" in name and "1234567" in name for name, _ in await rows())
    clock.advance(minutes=1)
    for _ in range(5):
        await gateway.say("e poi", identity=LUCA)
    await settle(app)
    assert [used for _, used in await rows()] == [5, 5]


async def test_a_database_that_is_away(app: FastAPI, gateway: Gateway, database: Database) -> None:
    """What could not be told is told the next time, once."""
    for _ in range(5):
        await gateway.say("conto")
    async with database.write.begin() as tx:
        await tx.execute(sa.text("ALTER TABLE rate_counts RENAME TO away"))
    with pytest.raises(sa.exc.DBAPIError):
        await settle(app)
    async with database.write.begin() as tx:
        await tx.execute(sa.text("ALTER TABLE away RENAME TO rate_counts"))
    await settle(app)
    await settle(app)
    async with database.read.begin() as tx:
        assert (await tx.scalars(sa.select(RateCount.used))).all() == [5, 5]


async def test_nobody_has_to_ask(settings: Settings, llm: LLMClient, gateway: Gateway, clock: Clock) -> None:
    """A service settles by itself, and at its end."""
    app = create_app(settings, llm=llm, clock=clock, books_every=60)
    async with app.router.lifespan_context(app):
        for _ in range(6):
            await beside(app, gateway).say("conto")
    again = create_app(settings, llm=llm, clock=clock, books_every=60)
    async with again.router.lifespan_context(again):
        database = again.state.services.database
        async with database.read.begin() as tx:
            assert 6 in (await tx.scalars(sa.select(RateCount.used))).all()


@pytest.mark.parametrize("env", [{"user_turns_per_minute": 3, "user_resets_per_hour": 1}])
async def test_one_person_with_two_names(gateway: Gateway, clock: Clock) -> None:
    """Whoever is known by several names has one budget, and a number that becomes somebody else's has a new one."""
    user = (await gateway.say("uno", aliases=[BSUID]))["conversation"]["user_id"]
    await gateway.say("due", identity=BSUID)
    await gateway.say("/new", identity=user)
    for name in (MARIA, BSUID, user):
        assert_problem(await gateway.post("quattro", identity=name), 429, "turn_budget_spent")
    clock.advance(minutes=1)
    assert_problem(await gateway.post("/new", identity=BSUID), 429, "reset_budget_spent")
    other = await gateway.http.post("/users/lookup", json={"identity": MARIA})
    assert other.json()["id"] == user
    for text in ("uno", "due", "tre"):
        got = await gateway.say(text, identity=MARIA, aliases=["IT.900000000001"])
    assert got["conversation"]["user_id"] != user
    await gateway.say("uno", identity=BSUID)


async def test_what_stands_for_a_name(app: FastAPI, gateway: Gateway, database: Database, settings: Settings) -> None:
    """Nobody who reads the counts can try telephone numbers out: what stands for them depends on the pepper."""
    for _ in range(5):
        await gateway.say("conto")
    await settle(app)
    async with database.read.begin() as tx:
        stored = set(await tx.scalars(sa.select(RateCount.name)))
        user = (await tx.scalars(sa.select(User.id))).one()
    limit = RateLimitItemPerMinute(settings.user_turns_per_minute, namespace="turns")
    names = [limit.key_for(name).encode() for name in (MARIA, user)]
    assert len(stored) == 2
    assert not stored & {hashlib.blake2b(name, digest_size=24).hexdigest() for name in names}
    secret = {"key": b"pepper", "person": b"counts"}
    assert hashlib.blake2b(names[1], digest_size=24, **secret).hexdigest() in stored  # type: ignore[arg-type]


async def test_a_quiet_night(
    app: FastAPI, gateway: Gateway, database: Database, llm: LLMClient, settings: Settings, clock: Clock
) -> None:
    """The sweep removes counts that are over when nobody writes any more."""
    for _ in range(5):
        await gateway.say("conto")
    await settle(app)
    clock.advance(minutes=1)
    await Sweep(database, llm, settings, clock).run_once()
    async with database.read.begin() as tx:
        assert (await tx.scalars(sa.select(RateCount.used))).all() == []
