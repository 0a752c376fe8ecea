"""Turns over HTTP: one reply for each message, one at a time for each user, whatever OpenAI does."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Message, ModelCall, Turn
from convo_service.llm.emulator import Emulator
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.model import echo, newest

RESPONSES = "responses.create"
TIMEOUT = 2.0


@pytest.fixture
def env() -> dict[str, object]:
    """A model, and not much patience with it."""
    return {"openai_model": "gpt-5-mini", "openai_timeout_seconds": TIMEOUT, "instructions": "Sei il bot del molino."}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """OpenAI, with a model that says what it was asked: a test sees which reply belongs to which message."""
    emulator = Emulator(model=echo)
    yield emulator
    emulator.close()


async def rows(database: Database, table: Any) -> list[Any]:
    """All rows of a table."""
    async with database.read.begin() as tx:
        return list((await tx.scalars(sa.select(table).order_by(table.id))).all())


async def test_a_turn(gateway: Gateway, emulator: Emulator) -> None:
    """One call of the gateway, one of OpenAI's models: the reply, its usage, and both messages in the history."""
    turn = await gateway.ask("Avete la farina?", id="wamid.A")
    assert (turn["status"], turn["created"], turn["duplicate"], turn["error"]) == ("completed", True, False, None)
    assert turn["reply"]["text"] == "Risposta a Avete la farina?"
    assert turn["usage"]["input_tokens"] == turn["usage"]["baseline_input_tokens"] > 0
    assert turn["usage"]["cost_usd"] > 0
    thread = await gateway.listed(f"/conversations/{turn['conversation']['id']}/messages")
    assert [(row["direction"], row["text"]) for row in thread] == [
        ("inbound", "Avete la farina?"),
        ("outbound", "Risposta a Avete la farina?"),
    ]
    assert thread[1]["id"] == turn["reply"]["message_id"]
    sent = emulator.requests[-1].body
    assert (sent["instructions"], sent["truncation"]) == ("Sei il bot del molino.", "disabled")
    assert MARIA not in str(sent)
    assert await gateway.get(f"/turns/{turn['id']}") == turn
    assert emulator.calls == {"conversations.create": 1, RESPONSES: 1}


async def test_a_warm_turn_costs_one_call(gateway: Gateway, emulator: Emulator) -> None:
    """Inside a window a turn asks OpenAI once, for the reply."""
    await gateway.ask("ciao")
    before = emulator.calls.total()
    await gateway.ask("Avete la farina?")
    assert emulator.calls.total() == before + 1


async def test_a_rollover_asks_no_model_beyond_the_reply(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """When the window is over and there is no reserve, a conversation is made; its seed travels with the question."""
    first = await gateway.ask("Il codice è B472")
    clock.advance(days=3)
    before = emulator.calls.copy()
    second = await gateway.ask("eccomi")
    assert second["conversation"]["parent_conversation_id"] == first["conversation"]["id"]
    assert emulator.calls - before == {"conversations.create": 1, RESPONSES: 1}
    assert second["usage"]["baseline_input_tokens"] != second["usage"]["input_tokens"]


async def test_the_repeat_gets_the_same_reply(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """A message id has one reply for ever, and no second call."""
    first = await gateway.ask("ciao", id="wamid.A")
    await gateway.ask("e poi", id="wamid.B")
    clock.advance(days=3)
    before = emulator.calls.total()
    again = await gateway.ask("ciao", id="wamid.A")
    assert again == {**first, "duplicate": True, "conversation": again["conversation"]}
    assert again["conversation"]["id"] == first["conversation"]["id"]
    assert emulator.calls.total() == before
    assert_problem(await gateway.turn("altro", id="wamid.A"), 422, "message_id_reused")


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_a_burst_is_answered_in_order(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """Five messages at once: one answer each, one at a time, in the order in which they came."""
    emulator.fail_next(RESPONSES, delay=0.1, times=5)
    first = asyncio.create_task(gateway.ask("messaggio 0"))
    await asyncio.sleep(0.05)
    others = []
    for number in range(1, 5):
        others.append(asyncio.create_task(gateway.ask(f"messaggio {number}")))
        await asyncio.sleep(0.03)
    turns = await asyncio.gather(first, *others)
    assert [turn["reply"]["text"] for turn in turns] == [f"Risposta a messaggio {number}" for number in range(5)]
    assert len({turn["conversation"]["id"] for turn in turns}) == 1
    asked = [newest(request.body) for request in emulator.requests if request.operation == RESPONSES]
    numbers = {row.text: index for index, row in enumerate(await rows(database, Message)) if row.direction == "inbound"}
    assert asked == sorted(asked, key=numbers.__getitem__)
    assert len(asked) == 5


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param({"status": 503}, 503, "upstream_unavailable", id="503"),
        pytest.param({"status": 200, "body": "<html>"}, 503, "upstream_unavailable", id="HTML"),
        pytest.param({"status": 200, "body": "{}"}, 503, "upstream_unavailable", id="an empty object"),
        pytest.param({"status": 429, "headers": {"Retry-After": "100"}}, 503, "upstream_unavailable", id="429"),
        pytest.param({"status": 400, "code": "invalid_value"}, 503, "upstream_unavailable", id="a refusal"),
        pytest.param({"status": 200, "code": "server_error"}, 502, "upstream_failed", id="a run that failed"),
        pytest.param({"hang": True}, 503, "upstream_unavailable", id="no answer at all"),
        pytest.param({"status": 404, "code": "model_not_found"}, 503, "upstream_unavailable", id="no such model"),
    ],
)
async def test_a_failed_turn(
    gateway: Gateway, emulator: Emulator, clock: Clock, fault: dict[str, Any], status: int, code: str
) -> None:
    """It keeps the message, says why, and the same request tries again."""
    emulator.fail_next(RESPONSES, **fault)
    problem = assert_problem(await gateway.turn("ciao", id="wamid.A"), status, code)
    failed = await gateway.get(f"/turns/{problem['turn_id']}")
    assert (failed["status"], failed["error"]["code"], failed["reply"]) == ("failed", code, None)
    thread = await gateway.listed(f"/conversations/{failed['conversation']['id']}/messages")
    assert [row["text"] for row in thread] == ["ciao"]
    clock.advance(minutes=1)
    again = await gateway.ask("ciao", id="wamid.A")
    assert (again["id"], again["status"], again["duplicate"]) == (problem["turn_id"], "completed", False)


@pytest.mark.parametrize("fault", [{"after": True}, {"after": True, "hang": True}, {"after": True, "status": 500}])
async def test_an_answer_that_nobody_heard(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database, fault: dict[str, Any]
) -> None:
    """When OpenAI answered and we did not hear it, the repeat takes that answer and asks nothing again."""
    await gateway.ask("ciao")
    emulator.fail_next(RESPONSES, **fault)
    assert_problem(await gateway.turn("ok", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    turn = await gateway.ask("ok", id="wamid.A")
    assert (turn["reply"]["text"], turn["usage"]["input_tokens"]) == ("Risposta a ok", None)
    assert emulator.calls[RESPONSES] == 2
    again = await gateway.ask("ok")  # the same words, and another message
    assert again["usage"]["input_tokens"] > 0
    assert [row.text for row in await rows(database, Message)].count("Risposta a ok") == 2
    items = [item["role"] for item in emulator.items(turn["conversation"]["id"])]
    assert items == ["user", "assistant"] * 3


async def test_an_unheard_answer_is_found_behind_others(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """What others were answered since, even to the same words, is not taken for it."""
    emulator.fail_next(RESPONSES, after=True)
    assert_problem(await gateway.turn("ok", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    others = [await gateway.ask(text) for text in ("e poi?", "ok")]
    turn = await gateway.ask("ok", id="wamid.A")
    assert turn["usage"]["input_tokens"] is None
    assert emulator.calls[RESPONSES] == 3
    assert turn["reply"]["message_id"] not in [other["reply"]["message_id"] for other in others]
    emulator.fail_next(RESPONSES, status=500)  # this one was not carried out
    assert_problem(await gateway.turn("ok", id="wamid.B"), 503, "upstream_unavailable")
    assert (await gateway.ask("ok", id="wamid.B"))["usage"]["input_tokens"] > 0
    assert emulator.calls[RESPONSES] == 5


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini", "max_conversation_messages": 2}])
async def test_what_was_carried_along_answers_nothing(gateway: Gateway, emulator: Emulator) -> None:
    """A rollover at the cap repeats the last words at OpenAI: they are not the answer to the same words now."""
    await gateway.ask("ok")
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("ok", id="wamid.B"), 503, "upstream_unavailable")
    turn = await gateway.ask("ok", id="wamid.B")
    assert (turn["conversation"]["created_reason"], turn["usage"]["input_tokens"] is None) == ("message_cap", False)


async def test_a_conversation_that_is_locked(gateway: Gateway, emulator: Emulator) -> None:
    """OpenAI makes one answer at a time in a conversation: a turn waits for somebody else's."""
    await gateway.ask("ciao")
    emulator.fail_next(RESPONSES, status=400, code="conversation_locked", times=2)
    assert (await gateway.ask("eccomi"))["status"] == "completed"
    emulator.fail_next(RESPONSES, status=400, code="conversation_locked", times=100)
    assert_problem(await gateway.turn("ancora"), 503, "upstream_unavailable")


@pytest.mark.parametrize("text", ["/new", "/new vorrei un preventivo"])
async def test_commands(gateway: Gateway, emulator: Emulator, text: str) -> None:
    """`/new` alone has a fixed reply and asks no model; what comes after it is the first message of the new one."""
    first = await gateway.ask("ciao")
    before = emulator.calls[RESPONSES]
    turn = await gateway.ask(text)
    assert (turn["command"], turn["created"]) == ("new_conversation", True)
    assert turn["conversation"]["parent_conversation_id"] == first["conversation"]["id"]
    alone = text == "/new"
    assert emulator.calls[RESPONSES] == before + (not alone)
    assert (turn["usage"] is None) is alone
    assert (await gateway.get(f"/conversations/{turn['conversation']['id']}"))["message_count"] == (0 if alone else 2)
    assert turn["reply"]["text"] != ""
    assert turn["reply"]["text"].startswith("Risposta a vorrei") is not alone


async def test_a_conversation_that_openai_lost(gateway: Gateway, emulator: Emulator, llm: Any) -> None:
    """It is closed as lost, a new one is seeded from what we have, and the message is answered there."""
    first = (await gateway.ask("Il codice è B472"))["conversation"]
    await llm.delete_conversation(first["id"], deadline=1e12)
    turn = await gateway.ask("E l'ordine?")
    assert (turn["created"], turn["conversation"]["created_reason"]) == (True, "lost_upstream")
    assert "B472" in turn["conversation"]["seed"]["text"]
    old = await gateway.get(f"/conversations/{first['id']}")
    assert (old["closed_reason"], old["message_count"]) == ("lost_upstream", 2)
    thread = await gateway.listed(f"/conversations/{turn['conversation']['id']}/messages")
    assert [row["text"] for row in thread] == ["E l'ordine?", "Risposta a E l'ordine?"]


async def test_the_same_message_while_it_is_answered(gateway: Gateway, emulator: Emulator) -> None:
    """Whoever repeats a message that is being answered is told to come back."""
    emulator.fail_next(RESPONSES, delay=1.0)
    slow = asyncio.create_task(gateway.ask("ciao", id="wamid.A"))
    await asyncio.sleep(0.4)
    answer = await gateway.turn("ciao", id="wamid.A")
    assert_problem(answer, 409, "turn_in_progress")
    assert answer.headers["retry-after"] == "1"
    first = await slow
    assert (await gateway.ask("ciao", id="wamid.A"))["reply"] == first["reply"]
    assert emulator.calls[RESPONSES] == 1


async def _age(database: Database) -> None:
    """Let every lease be over, as if the process that held it had died."""
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Turn).values(lease_until=0))


async def test_a_turn_whose_process_died(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """Whoever takes it over finds the answer, or asks anew; the one who comes back late changes nothing."""
    emulator.fail_next(RESPONSES, delay=1.0)
    slow = asyncio.create_task(gateway.turn("ciao", id="wamid.A"))
    async with asyncio.timeout(10):
        while not emulator.calls[RESPONSES]:  # noqa: ASYNC110 - it does not call back
            await asyncio.sleep(0.01)
    await _age(database)
    taken = await gateway.ask("ciao", id="wamid.A")
    assert (await slow).status_code in (200, 409)
    assert (await gateway.ask("ciao", id="wamid.A"))["reply"] == taken["reply"]
    assert [row.direction for row in await rows(database, Message)].count("outbound") == 1


async def test_nobody_waits_for_the_dead(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """A turn whose process died keeps the next one waiting until its lease is over, and no longer."""
    await gateway.ask("uno")
    await _hold(database)
    waits = asyncio.create_task(gateway.ask("due"))
    await asyncio.sleep(0.5)
    assert not waits.done()
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Turn).where(Turn.number == 1).values(lease_until=0))
    assert (await waits)["reply"]["text"] == "Risposta a due"


async def _hold(database: Database) -> None:
    """Let the turn there is be one that never ends."""
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Turn).values(status="in_progress", lease_until=1e12))


async def test_waiting_has_an_end(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """Who waits for too long is told so, the message is kept, and its place is free."""
    await gateway.ask("ciao")
    await _hold(database)
    answer = await gateway.turn("eccomi", id="wamid.B")
    problem = assert_problem(answer, 409, "turn_in_progress")
    assert (await gateway.get(f"/turns/{problem['turn_id']}"))["error"]["code"] == "turn_in_progress"


async def test_first_contact_without_openai(gateway: Gateway, emulator: Emulator) -> None:
    """When there is no conversation either, the turn has failed all the same, and can be looked at."""
    emulator.fail_next("conversations.create", status=500)
    problem = assert_problem(await gateway.turn("ciao", id="wamid.A"), 503, "upstream_unavailable")
    assert (await gateway.get(f"/turns/{problem['turn_id']}"))["conversation"] is None
    turn = await gateway.ask("ciao", id="wamid.A")
    assert (turn["id"], turn["created"]) == (problem["turn_id"], True)


async def test_a_stale_conversation_answers(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """When the rollover fails, the old conversation gives the reply, and the next message makes up for it."""
    first = await gateway.ask("ciao")
    clock.advance(days=3)
    emulator.fail_next("conversations.create", status=500)
    assert (await gateway.ask("eccomi"))["conversation"]["id"] == first["conversation"]["id"]
    clock.advance(minutes=1)
    new = await gateway.ask("e adesso?")
    assert (new["created"], new["conversation"]["created_reason"]) == (True, "idle_timeout")
    assert "eccomi" in new["conversation"]["seed"]["text"].lower()


@pytest.mark.parametrize("env", [{}])
async def test_without_a_model(gateway: Gateway, emulator: Emulator) -> None:
    """Without OPENAI_MODEL there are no turns, and nobody is told otherwise."""
    assert_problem(await gateway.turn("ciao"), 503, "model_not_configured")
    assert emulator.calls.total() == 0


async def test_instructions_of_the_turn(gateway: Gateway, emulator: Emulator) -> None:
    """Those of the body replace those of the installation."""
    await gateway.ask("ciao", instructions="Rispondi in rima.")
    assert emulator.requests[-1].body["instructions"] == "Rispondi in rima."


async def test_no_such_turn(gateway: Gateway) -> None:
    """An unknown id is a 404, a body without a message a 422."""
    assert_problem(await gateway.http.get("/turns/turn_x"), 404, "turn_not_found")
    assert_problem(await gateway.http.post("/turns", json={"identity": MARIA}), 422, "invalid_request")


async def test_the_ledger(gateway: Gateway, database: Database) -> None:
    """One row for each call, at the prices of the day."""
    turn = await gateway.ask("ciao")
    (row,) = await rows(database, ModelCall)
    assert (row.kind, row.subject_id, row.model, row.cohort) == ("reply", turn["id"], "gpt-5-mini", "window")
    expected = row.input_tokens * 2.5e-7 + row.output_tokens * 2e-6
    assert row.cost_usd == pytest.approx(expected) == turn["usage"]["cost_usd"]
    assert (row.history_messages, row.latency_ms is not None, row.first_token_ms) == (1, True, None)


async def test_an_abandoned_turn_is_given_up(
    gateway: Gateway, emulator: Emulator, database: Database, sweep: Sweep
) -> None:
    """A minute after its lease the sweep says that it failed; the repeat has its reply all the same."""
    turn = await gateway.ask("ciao", id="wamid.A")
    await _hold(database)
    assert (await sweep.run_once())["turns_given_up"] == 0
    await _age(database)
    assert (await sweep.run_once())["turns_given_up"] == 1
    found = await gateway.get(f"/turns/{turn['id']}")
    assert (found["status"], found["error"]["code"]) == ("failed", "turn_interrupted")


@pytest.mark.parametrize("pause", [0.0, 0.01, 0.02, 0.03])
async def test_nobody_is_overtaken_at_an_opening(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database, pause: float
) -> None:
    """`/new` and what follows it wait for the same opening: `/new` comes first, whoever looks first."""
    emulator.fail_next("conversations.create", delay=0.4)
    asked = []
    for number, text in enumerate(("ciao", "/new", "eccomi"), start=1):
        clock.advance(seconds=1)
        asked.append(asyncio.create_task(gateway.ask(text)))
        async with asyncio.timeout(5):
            while len(await rows(database, Turn)) < number:  # noqa: ASYNC110 - it does not call back
                await asyncio.sleep(0.002)
        await asyncio.sleep(pause)
    first, new, last = await asyncio.gather(*asked)
    assert new["command"] == "new_conversation"
    assert new["conversation"]["parent_conversation_id"] == first["conversation"]["id"]
    assert last["conversation"]["id"] == new["conversation"]["id"]
