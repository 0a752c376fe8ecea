"""A seed that travels with the first turn: it stands in the conversation once, before the message, whatever fails."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Conversation, Turn
from convo_service.llm.emulator import Emulator
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import Gateway, assert_problem
from tests.model import echo

RESPONSES = "responses.create"
MOST_COMMITS, MOST_STATEMENTS = 4, 32
SEEDED = ["developer", "user", "user", "assistant"]


@pytest.fixture
def env() -> dict[str, object]:
    """A model, not much patience with it, and a reserve."""
    return {"openai_model": "gpt-5-mini", "openai_timeout_seconds": 2.0, "conversation_reserve": 4}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """OpenAI, with a model that says what it was asked."""
    emulator = Emulator(model=echo)
    yield emulator
    emulator.close()


@pytest.fixture
async def first(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator) -> dict[str, Any]:
    """A conversation whose window is over, and a full reserve; what OpenAI is asked is counted from here on."""
    turn = await gateway.ask("Il codice è B472")
    await sweep.run_once()
    clock.advance(days=3)
    emulator.reset()
    return dict(turn["conversation"])


def roles(emulator: Emulator, conversation_id: str) -> list[str]:
    """Who said what stands in a conversation."""
    return [item["role"] for item in emulator.items(conversation_id)]


async def owed(database: Database) -> set[str]:
    """Conversations that OpenAI does not hold the start of."""
    async with database.read.begin() as tx:
        return set(await tx.scalars(sa.select(Conversation.id).where(Conversation.owed_items.is_not(None))))


@pytest.mark.usefixtures("first")
async def test_a_rollover_costs_what_a_warm_turn_costs(
    gateway: Gateway, emulator: Emulator, database: Database
) -> None:
    """One call; the seed stands before the message, and the ledger counts it."""
    turn = await gateway.ask("eccomi")
    assert emulator.calls == {RESPONSES: 1}
    items = emulator.items(turn["conversation"]["id"])
    assert [item["role"] for item in items] == SEEDED
    assert "B472" in items[1]["content"][0]["text"]
    assert items[1]["content"][0]["text"] == turn["conversation"]["seed"]["text"]
    assert await owed(database) == set()
    await gateway.ask("e poi?")
    assert emulator.calls == {RESPONSES: 2}
    assert roles(emulator, turn["conversation"]["id"]) == [*SEEDED, "user", "assistant"]


async def test_the_baseline_is_the_same_either_way(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """What a conversation started with counts as that, whether it was sent before the message or with it."""
    found = []
    for identity, opens in (("+393330000001", gateway.ask), ("+393330000002", gateway.say)):
        await gateway.ask("Il codice è B472", identity=identity)
        clock.advance(days=3)
        await opens("eccomi", identity=identity, id=f"wamid.{identity}")
        turn = await gateway.ask("eccomi", identity=identity, id=f"wamid.{identity}")
        async with database.read.begin() as tx:
            row = await tx.scalar(sa.select(Conversation).where(Conversation.id == turn["conversation"]["id"]))
        assert row is not None
        usage = {name: count for name, count in turn["usage"].items() if "cost" not in name}
        found.append((usage, row.start_tokens, row.talk_tokens, row.held_tokens))
        clock.advance(days=3)
    assert found[0] == found[1]
    assert found[0][1] > 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 503}, id="503"),
        pytest.param({"status": 429, "headers": {"Retry-After": "100"}}, id="429"),
        pytest.param({"status": 200, "body": "<html>"}, id="HTML"),
        pytest.param({"status": 200, "code": "server_error"}, id="a run that failed"),
        pytest.param({"hang": True}, id="no answer at all"),
        pytest.param({"status": 404, "code": "model_not_found", "times": 2}, id="no such model"),
    ],
)
@pytest.mark.usefixtures("first")
async def test_a_first_turn_that_fails(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database, fault: dict[str, Any]
) -> None:
    """OpenAI keeps nothing of it, so the seed goes again with the repeat."""
    emulator.fail_next(RESPONSES, **fault)
    assert (await gateway.turn("eccomi", id="wamid.A")).status_code in (502, 503)
    assert len(await owed(database)) == 1
    clock.advance(minutes=1)
    turn = await gateway.ask("eccomi", id="wamid.A")
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED
    assert await owed(database) == set()


@pytest.mark.parametrize("text", ["eccomi", "tutt'altro"])
@pytest.mark.parametrize("fault", [{"after": True}, {"after": True, "hang": True}, {"after": True, "status": 500}])
@pytest.mark.usefixtures("first")
async def test_an_answer_that_nobody_heard(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database, fault: dict[str, Any], text: str
) -> None:
    """It has brought the seed along: whoever comes next, with the same message or another, sends it no second time."""
    emulator.fail_next(RESPONSES, **fault)
    assert_problem(await gateway.turn("eccomi", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    turn = await gateway.ask(text, id="wamid.A" if text == "eccomi" else "wamid.B")
    assert turn["reply"]["text"] == f"Risposta a {text}"
    again = [] if text == "eccomi" else ["user", "assistant"]
    assert roles(emulator, turn["conversation"]["id"]) == [*SEEDED, *again]
    assert (await gateway.ask("eccomi", id="wamid.A"))["reply"]["text"] == "Risposta a eccomi"
    assert emulator.calls[RESPONSES] == (1 if text == "eccomi" else 2)
    assert await owed(database) == set()


@pytest.mark.usefixtures("first")
async def test_a_reply_that_says_nothing(gateway: Gateway, emulator: Emulator) -> None:
    """OpenAI keeps it, and the seed with it; the turn has failed all the same."""
    emulator.reply_next(" ")
    assert_problem(await gateway.turn("eccomi", id="wamid.A"), 502, "upstream_failed")
    turn = await gateway.ask("eccomi", id="wamid.A")
    assert roles(emulator, turn["conversation"]["id"]) == [*SEEDED, "user", "assistant"]


@pytest.mark.usefixtures("first")
async def test_a_seed_that_is_refused(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """The message is answered without it, and the conversation says so."""
    emulator.fail_next(RESPONSES, status=400, code="invalid_value")
    turn = await gateway.ask("eccomi")
    assert (turn["created"], turn["conversation"]["seed"]) == (True, None)
    assert roles(emulator, turn["conversation"]["id"]) == ["user", "assistant"]
    assert (await gateway.get(f"/conversations/{turn['conversation']['id']}"))["seed"] is None
    async with database.read.begin() as tx:
        assert await tx.scalar(sa.select(sa.func.min(Conversation.start_tokens))) == 0
    assert await owed(database) == set()


@pytest.mark.usefixtures("first")
async def test_a_message_that_is_refused(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """When OpenAI does not take the message alone either, the seed was not to blame, and is owed still."""
    emulator.fail_next(RESPONSES, status=400, code="invalid_value", times=2)
    assert_problem(await gateway.turn("eccomi"), 503, "upstream_unavailable")
    assert len(await owed(database)) == 1
    turn = await gateway.ask("e adesso?")
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED


@pytest.mark.usefixtures("first")
async def test_a_burst(gateway: Gateway, emulator: Emulator) -> None:
    """Five messages after a pause: the first brings the seed, the others ask for nothing but their replies."""
    emulator.fail_next(RESPONSES, delay=0.1, times=5)
    turns = await asyncio.gather(*(gateway.ask(f"messaggio {number}") for number in range(5)))
    (conversation_id,) = {turn["conversation"]["id"] for turn in turns}
    assert roles(emulator, conversation_id) == ["developer", "user", *["user", "assistant"] * 5]
    assert emulator.calls == {RESPONSES: 5}


@pytest.mark.usefixtures("first")
async def test_a_conversation_that_is_locked(gateway: Gateway, emulator: Emulator) -> None:
    """Whoever is being answered there may have brought the seed: it is looked for."""
    emulator.fail_next(RESPONSES, status=400, code="conversation_locked")
    turn = await gateway.ask("eccomi")
    assert emulator.calls == {RESPONSES: 2, "items.list": 1}
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED


@pytest.mark.usefixtures("first")
async def test_a_stream(gateway: Gateway, emulator: Emulator) -> None:
    """The same for a reply that comes in pieces."""
    body = {"identity": "+393331234567", "message": {"id": "wamid.S", "text": "eccomi"}}
    answer = await gateway.http.post("/turns/stream", json=body)
    assert "turn.completed" in answer.text
    turn = await gateway.ask("eccomi", id="wamid.S")
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED
    assert emulator.calls == {RESPONSES: 1}


async def test_new_alone(gateway: Gateway, emulator: Emulator, sweep: Sweep) -> None:
    """`/new` alone asks OpenAI nothing at all; the next message brings the seed."""
    await gateway.ask("Il codice è B472")
    await sweep.run_once()
    emulator.reset()
    new = await gateway.ask("/new")
    assert emulator.calls == {}
    turn = await gateway.ask("eccomi")
    assert turn["conversation"]["id"] == new["conversation"]["id"]
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED


async def test_a_gateway_that_asks_itself(
    gateway: Gateway, emulator: Emulator, clock: Clock, first: dict[str, Any], database: Database
) -> None:
    """It is handed no conversation without its seed: that of a failed turn is given up, and the next is seeded."""
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("eccomi", id="wamid.A"), 503, "upstream_unavailable")
    (given_up,) = await owed(database)
    clock.advance(minutes=1)
    got = await gateway.say("eccomi", id="wamid.A")
    assert (got["created"], got["duplicate"], got["input"]) == (True, False, "eccomi")
    new = got["conversation"]
    assert (new["created_reason"], new["parent_conversation_id"]) == ("lost_upstream", given_up)
    assert "B472" in new["seed"]["text"]
    assert roles(emulator, new["id"]) == ["developer", "user"]
    assert (new["message_count"], (await gateway.get(f"/conversations/{given_up}"))["message_count"]) == (1, 0)
    assert (await gateway.say("eccomi", id="wamid.A"))["duplicate"] is True
    assert first["id"] != given_up


@pytest.mark.usefixtures("first")
async def test_a_gateway_that_asks_itself_without_a_message(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """The same for one that only wants the conversation."""
    emulator.fail_next(RESPONSES, status=500)
    failed = assert_problem(await gateway.turn("eccomi", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    got = (await gateway.http.post("/conversations", json={"identity": "+393331234567"})).json()
    assert roles(emulator, got["conversation"]["id"]) == ["developer", "user"]
    turn = await gateway.ask("eccomi", id="wamid.A")  # its message stays where it was said
    assert turn["conversation"]["id"] != got["conversation"]["id"]
    assert turn["id"] == failed["turn_id"]
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED


@pytest.mark.usefixtures("first")
async def test_a_gateway_waits_for_a_turn(gateway: Gateway, emulator: Emulator) -> None:
    """While a turn is on its way with the seed, whoever asks himself waits for it."""
    emulator.fail_next(RESPONSES, delay=0.6)
    asking = asyncio.create_task(gateway.ask("eccomi"))
    async with asyncio.timeout(5):
        while not emulator.calls[RESPONSES]:  # noqa: ASYNC110 - it does not call back
            await asyncio.sleep(0.01)
    got = await gateway.say("e poi?")
    turn = await asking
    assert (got["conversation"]["id"], got["created"]) == (turn["conversation"]["id"], False)
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED


@pytest.mark.usefixtures("first")
async def test_waiting_for_a_turn_has_an_end(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """As for an opening: 409 with Retry-After; and once the turn's process is dead nobody waits for it."""
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("eccomi", id="wamid.A"), 503, "upstream_unavailable")
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Turn).where(Turn.status == "failed").values(status="in_progress", lease_until=1e12))
    answer = await gateway.post("e poi?", id="wamid.B")
    assert_problem(answer, 409, "opening_in_progress")
    assert answer.headers["retry-after"] == "1"
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Turn).values(lease_until=0))
    got = await gateway.say("e poi?", id="wamid.B")
    assert (got["created"], got["conversation"]["created_reason"]) == (True, "lost_upstream")


@pytest.mark.usefixtures("first")
async def test_a_stale_conversation_that_owes_its_seed(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """It holds nothing, so it serves nobody who asks himself while OpenAI is away; a turn brings the seed along."""
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("eccomi"), 503, "upstream_unavailable")
    (owing,) = await owed(database)
    async with database.write.begin() as tx:
        await tx.execute(sa.text("DELETE FROM remote_reserve"))
    clock.advance(days=3)
    emulator.fail_next("conversations.create", status=500, times=2)
    assert_problem(await gateway.post("ci siete?", id="wamid.B"), 503, "upstream_unavailable")
    turn = await gateway.ask("ci siete?", id="wamid.B")
    assert turn["conversation"]["id"] == owing
    assert roles(emulator, owing) == SEEDED


@pytest.mark.usefixtures("first")
async def test_a_conversation_that_is_closed_owing(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """What it was to start with is not forgotten: the next is seeded from it."""
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("eccomi"), 503, "upstream_unavailable")
    clock.advance(days=3)
    turn = await gateway.ask("ci siete?")
    assert "B472" in turn["conversation"]["seed"]["text"]
    assert roles(emulator, turn["conversation"]["id"]) == SEEDED


@pytest.mark.parametrize(
    "env",
    [{"openai_model": "gpt-5-mini", "openai_timeout_seconds": 2.0, "max_conversation_messages": 4}],
)
async def test_talk_that_is_carried(gateway: Gateway, emulator: Emulator) -> None:
    """At the cap the last words go along between the seed and the message."""
    for number in range(2):
        await gateway.ask(f"numero {number}")
    turn = await gateway.ask("eccomi")
    assert turn["conversation"]["created_reason"] == "message_cap"
    said = [item["content"][0]["text"] for item in emulator.items(turn["conversation"]["id"])][2:]
    assert said == ["numero 0", "Risposta a numero 0", "numero 1", "Risposta a numero 1", "eccomi", "Risposta a eccomi"]


@pytest.mark.usefixtures("first")
async def test_statements_of_a_rollover(gateway: Gateway, database: Database) -> None:
    """A turn that opens a conversation takes so many statements and transactions, beside the quick lane's."""
    said: list[str] = []
    for engine in database.engines:
        sa.event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: said.append(given[2]))
        sa.event.listen(engine.sync_engine, "commit", lambda _connection: said.append("COMMIT"))
    await gateway.ask("eccomi")
    keys = sum("api_keys" in one for one in said)  # looked up every few seconds, in a transaction of its own
    assert said.count("COMMIT") - keys <= MOST_COMMITS
    statements = sum(one.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")) for one in said)
    assert statements - keys <= MOST_STATEMENTS
