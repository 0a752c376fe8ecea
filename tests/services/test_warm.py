"""The warm path: it writes what the long way would, in few statements, and leaves to it all that is in doubt."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from convo_service.db.engine import Database
from convo_service.db.group_commit import GroupCommit
from convo_service.db.lane import Lane
from convo_service.db.models import Conversation, Message, Opening, Turn, User
from convo_service.db.prepared import Driver, Prepared
from convo_service.domain.window import Reason
from convo_service.services import users, windows
from convo_service.services.arrivals import Answer, Call
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem

BSUID = "IT.13491208655302741918"


class Nobody:
    """A warm path that leaves every message to the long way."""

    async def arrive(self, _call: Call) -> Answer | None:
        """Decline."""
        return None


class Watched:
    """The warm path, with a record of whom it took."""

    def __init__(self, warm: Any) -> None:
        self._warm = warm
        self.took: list[bool] = []

    async def arrive(self, call: Call) -> Answer | None:
        """Ask the real one."""
        answer: Answer | None = await self._warm.arrive(call)
        self.took.append(answer is not None)
        return answer


@pytest.fixture
def warm(app: FastAPI) -> Watched:
    """The service's own, watched."""
    service = app.state.services.conversations
    service._warm = Watched(service._warm)
    watched: Watched = service._warm
    return watched


async def _rows(database: Database, table: type[Any]) -> list[dict[str, Any]]:
    """What a table holds, with the ids that are made anew in each run left out."""
    made = {"id", "user_id", "conversation_id", "answered_conversation_id", "parent_conversation_id", "message_id"}
    made |= {"attempt_id", "lease_until", "version", "reply_message_id", "reply_item_id", "latency_ms"}
    columns = [column for column in table.__table__.columns if column.name not in made]
    order = table.__table__.c.created_at if "created_at" in table.__table__.c else table.id
    async with database.read.begin() as tx:
        found = await tx.execute(sa.select(*columns).order_by(order))
        return [dict(row) for row in found.mappings()]


Play = Callable[[Gateway, Clock], Any]


async def _quiet_talk(gateway: Gateway, clock: Clock) -> None:
    """Messages inside one window, some with times of their own, one late, one twice, one with the bot's between."""
    first = await gateway.say("Avete la farina?", id="w1")
    clock.advance(minutes=3)
    await gateway.say("Quella da 25 kg", id="w2", at=clock())
    await gateway.reply(first["conversation"]["id"], "Certo")
    clock.advance(hours=47)
    await gateway.say("Eccomi", id="w3", at=clock() - timedelta(minutes=1))
    assert (await gateway.say("Eccomi", id="w3"))["duplicate"]
    assert (await gateway.say("Prima", id="w4", at=clock() - timedelta(hours=2)))["message"]["late"]
    await gateway.say("Avanti", id="w5", at=clock() + timedelta(minutes=4))


async def _to_the_cap(gateway: Gateway, clock: Clock) -> None:
    """The talk that ends at the cap: near it the sweep is called."""
    for number in range(7):
        clock.advance(minutes=1)
        await gateway.say(f"Messaggio {number}", id=f"w{number}")


async def _turns(gateway: Gateway, clock: Clock) -> None:
    """Turns of one user, and of another in between."""
    for number in range(3):
        clock.advance(minutes=1)
        await gateway.ask(f"Domanda {number}", id=f"w{number}")
        await gateway.ask("Ciao", identity="+393330000000", id=f"v{number}")


async def _templated(gateway: Gateway, clock: Clock) -> None:
    """Conversations with a cap of their own, one below and one above the installation's."""
    for name, cap in (("short", 4), ("long", 12)):
        await gateway.http.put(f"/templates/{name}", json={"max_messages": cap, "timeout_hours": 24})
        for number in range(14):
            clock.advance(minutes=1)
            await gateway.say(f"Messaggio {number}", id=f"{name}{number}", template=name, identity=f"+39{cap:09}")


async def _of_topics(gateway: Gateway, clock: Clock) -> None:
    """Messages whose words name a topic, or none."""
    await gateway.http.put("/topics/ordini", json={"description": "Ordini, sacchi"})
    await gateway.http.put("/topics/fatture", json={"description": "Fatture, bonifico"})
    texts = ("ciao", "venti sacchi", "grazie", "il bonifico", "sì", "altri sacchi", "bonifico?", "ok")
    for number, text in enumerate(texts):
        clock.advance(minutes=1)
        await gateway.say(text, id=f"w{number}")


OFF = {"max_conversation_messages": 6, "openai_model": "gpt-5-mini"}


@pytest.mark.parametrize("play", [_quiet_talk, _to_the_cap, _turns, _templated, _of_topics])
@pytest.mark.parametrize("env", [OFF, {**OFF, "topics": "auto"}], ids=["off", "auto"])
async def test_the_same_is_written(play: Play, app: FastAPI, gateway: Gateway, clock: Clock, warm: Watched) -> None:
    """Of one history, the warm path and the long way leave the same rows."""
    service, database = app.state.services.conversations, app.state.services.database
    begun = clock()
    await play(gateway, clock)
    assert any(warm.took)
    quick = [await _rows(database, table) for table in (User, Conversation, Message, Turn)]
    async with database.write.begin() as tx:
        for table in ("model_calls", "turns", "messages", "seeds", "conversations", "identities", "users"):
            await tx.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608 - no text of anybody's
    service._warm = Nobody()
    clock.now = begun
    await play(gateway, clock)
    assert [await _rows(database, table) for table in (User, Conversation, Message, Turn)] == quick


async def test_nearly_every_message_is_warm(gateway: Gateway, clock: Clock, warm: Watched) -> None:
    """Under any known name, and with all of them; what opens something or is new takes the long way."""
    got = await gateway.say("uno", identity=MARIA)
    await gateway.say("due", identity=MARIA, aliases=[BSUID])  # the alias is new
    await gateway.say("tre", identity=BSUID, aliases=[MARIA])
    await gateway.say("quattro", identity=got["conversation"]["user_id"])
    await gateway.say("/new")
    await gateway.say("cinque")
    clock.advance(hours=48)
    await gateway.say("sei")
    assert warm.took == [False, False, True, True, False, True, False]


@pytest.mark.parametrize("env", [{"rollout_percent": 0}])
async def test_the_holdout_is_warm(gateway: Gateway, clock: Clock, warm: Watched) -> None:
    """Whoever has one endless conversation gets it as quickly, however long ago: else the comparison would lie."""
    got = [await gateway.say("uno")]
    clock.advance(days=9)
    got.append(await gateway.say("due"))
    assert warm.took == [False, True]
    assert {one["conversation"]["id"] for one in got} == {got[0]["conversation"]["id"]}


async def test_a_linked_name_is_judged_anew(gateway: Gateway, database: Database, warm: Watched) -> None:
    """A name may be one that the rollout names: the next message looks."""
    got = await gateway.say("uno")
    user = got["conversation"]["user_id"]
    answer = await gateway.http.post(f"/users/{user}/identities", json={"identity": BSUID})
    assert answer.status_code == 201
    await gateway.say("due")
    await gateway.say("tre")
    assert warm.took == [False, False, True]


async def test_nothing_is_decided_by_what_was(gateway: Gateway, database: Database, clock: Clock) -> None:
    """A message that comes while somebody closes the conversation does not go on with it."""
    first = await gateway.say("uno")
    async with database.write.begin() as tx:
        user = await users.lock(tx, first["conversation"]["user_id"])
        coming = asyncio.create_task(gateway.say("due"))
        await asyncio.sleep(0.3)
        assert not coming.done()
        old = await windows.find(tx, first["conversation"]["id"])
        await windows.close(tx, old, Reason.OPERATOR, clock(), sweep_at=None)
    second = await coming
    assert (second["created"], second["conversation"]["created_reason"]) == (True, "operator")
    assert (await gateway.get(f"/conversations/{first['conversation']['id']}"))["message_count"] == 1
    assert (await gateway.get(f"/users/{user.id}"))["message_count"] == 2


async def test_an_opening_is_waited_for(gateway: Gateway, database: Database, clock: Clock) -> None:
    """While the next conversation is being opened, or is owed, the long way decides."""
    got = await gateway.say("uno")
    async with database.write.begin() as tx:
        tx.add(
            Opening(
                user_id=got["conversation"]["user_id"], topic="general", attempt_id="att_1", lease_until=0.0,
                state="reserving", reason="user_reset", identity=MARIA, opened_at=clock(),
            )
        )  # fmt: skip
    assert (await gateway.say("due"))["created"]


async def test_the_same_message_at_once(gateway: Gateway, database: Database) -> None:
    """However often it comes in one moment, it is stored and counted once."""
    got = await gateway.say("uno")
    answers = await asyncio.gather(*(gateway.say("due", id="w2") for _ in range(10)))
    assert [one["duplicate"] for one in answers].count(False) == 1
    assert {one["message"]["id"] for one in answers} == {answers[0]["message"]["id"]}
    assert (await gateway.get(f"/conversations/{got['conversation']['id']}"))["message_count"] == 2


async def test_a_reused_id(gateway: Gateway) -> None:
    """The same id with another text is refused on the warm path, too."""
    await gateway.say("uno", id="w1")
    assert_problem(await gateway.post("due", id="w1"), 422, "message_id_reused")


@asynccontextmanager
async def _watching(database: Database, gateway: Gateway) -> AsyncIterator[list[str]]:
    """What the quick lane's connection, and all others, are told; BEGIN and COMMIT are told, too.

    What SQLite does for the search is not said by us: a trigger shows as its statement once more.
    """
    said: list[str] = []

    def by_sqlalchemy(*given: Any) -> None:
        said.append(given[2])

    def driver(one: Any) -> None:
        raw = one._raw if hasattr(one, "_raw") else one._connection
        if hasattr(raw, "set_trace_callback"):
            raw.set_trace_callback(said.append)
        else:
            raw.add_query_logger(lambda query: said.append(query.query))

    await database.lane.run(driver)
    is_sqlite = isinstance(database.lane, GroupCommit)
    for engine in database.engines:
        sa.event.listen(engine.sync_engine, "before_cursor_execute", by_sqlalchemy)
    await gateway.get("/users")  # the key is known again for some seconds
    said.clear()
    yield said
    for engine in database.engines:
        sa.event.remove(engine.sync_engine, "before_cursor_execute", by_sqlalchemy)
    ours = [one for one in said if not (is_sqlite and ("message_search" in one or one.startswith(("--", "PRAGMA"))))]
    said[:] = [one.split()[0] for one, _ in groupby(ours)]


async def test_statements_of_a_message(gateway: Gateway, database: Database) -> None:
    """One transaction, one reading and one write for each of three rows; on PostgreSQL one round trip."""
    await gateway.say("ciao")
    async with _watching(database, gateway) as said:
        await gateway.say("Avete la farina?")
    if isinstance(database.lane, GroupCommit):
        assert said == ["BEGIN", "SELECT", "UPDATE", "UPDATE", "INSERT", "COMMIT"]
    else:
        assert said == ["WITH"]


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_statements_of_a_turn(gateway: Gateway, database: Database) -> None:
    """The same with the turn's own row, and another transaction that keeps the reply."""
    await gateway.ask("ciao")
    async with _watching(database, gateway) as said:
        await gateway.ask("Avete la farina?")
    if isinstance(database.lane, GroupCommit):
        kept = ["BEGIN", "SELECT", "UPDATE", "UPDATE", "UPDATE", "INSERT", "INSERT", "COMMIT"]
        assert said == ["BEGIN", "SELECT", "UPDATE", "UPDATE", "INSERT", "INSERT", "COMMIT", *kept]
    else:
        assert said == ["WITH", "SELECT", "WITH"]  # the last writes only if nobody moved what was read


class Meddler:
    """A driver before whose second statement somebody else moves the version of everybody, once."""

    def __init__(self, driver: Driver, log: list[str]) -> None:
        self.dialect = driver.dialect
        self._driver = driver
        self._log = log

    def fetch(self, prepared: Prepared, values: Any) -> Any:
        """Carry out a statement."""
        self._log.append(prepared.text.split()[0])
        if len(self._log) == 2:
            moved = sa.update(User).values(version=User.version + 1)
            self._driver.fetch(Prepared(moved, self.dialect), {})
        return self._driver.fetch(prepared, values)


class Meddled:
    """A quick lane with a meddler in it."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.log: list[str] = []

    async def run(self, work: Any) -> Any:
        """Carry out a piece."""
        return await self._lane.run(lambda driver: work(Meddler(driver, self.log)))


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_a_reply_is_kept_by_what_is_true_when_it_is_kept(app: FastAPI, gateway: Gateway) -> None:
    """When the user's rows move between reading and writing, nothing is written, and all is read again."""
    await gateway.ask("ciao")
    turns, database = app.state.services.turns, app.state.services.database
    meddled = Meddled(database.lane)
    turns._database = replace(database, lane=meddled)
    asked = await gateway.ask("Avete la farina?")
    assert [number for number, word in enumerate(meddled.log) if word == "SELECT"] == [0, 2]
    thread = await gateway.listed(f"/users/{asked['conversation']['user_id']}/messages")
    assert [one["direction"] for one in thread] == ["inbound", "outbound"] * 2
    assert asked["conversation"]["message_count"] == 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_piece_that_fails_fails_alone(database: Database, gateway: Gateway) -> None:
    """What shares a commit with a piece of work that fails is done all the same, and once."""
    user = (await gateway.say("ciao"))["conversation"]["user_id"]

    def count(driver: Driver) -> None:
        counted = sa.update(User).where(User.id == user).values(version=User.version + 1)
        driver.fetch(Prepared(counted, driver.dialect), {})

    def fail(driver: Driver) -> None:
        count(driver)
        raise ValueError("on purpose")

    before = await _version(database, user)
    done = await asyncio.gather(
        *(database.lane.run(fail if number % 5 == 4 else count) for number in range(25)), return_exceptions=True
    )
    assert [isinstance(one, ValueError) for one in done] == [number % 5 == 4 for number in range(25)]
    assert await _version(database, user) == before + 20


async def _version(database: Database, user_id: str) -> int:
    async with database.read.begin() as tx:
        return int(await tx.scalar(sa.select(User.version).where(User.id == user_id)) or 0)


async def test_times_are_kept_to_the_microsecond(gateway: Gateway, clock: Clock, warm: Watched) -> None:
    """Both ways write a time in the same words."""
    at = datetime.fromisoformat("2026-03-02T09:00:00.123456+00:00")
    await gateway.say("uno", at=at)
    got = await gateway.say("due", at=at + timedelta(microseconds=1))
    assert warm.took == [False, True]
    assert got["message"]["sent_at"] == "2026-03-02T09:00:00.123457Z"
    assert got["conversation"]["last_message_at"] == "2026-03-02T09:00:00.123457Z"
