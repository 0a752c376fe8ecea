"""Pauses: a person answers in the bot's place, and the bot knows afterwards what was said; over HTTP, at the wire."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from convo_service.db.engine import Database
from convo_service.db.models import Message, User
from convo_service.domain.record import HANDOVER
from convo_service.llm.emulator import Emulator
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.model import echo, inputs

RESPONSES = "responses.create"
LUCA = "+393339999999"


@pytest.fixture
def env() -> dict[str, object]:
    """A model, and not much patience with it."""
    return {"openai_model": "gpt-5-mini", "openai_timeout_seconds": 2.0}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """OpenAI, with a model that says what it was asked."""
    emulator = Emulator(model=echo)
    yield emulator
    emulator.close()


@pytest.fixture
async def user(gateway: Gateway, emulator: Emulator) -> str:
    """A user who was answered once; what OpenAI is asked is counted from here on."""
    turn = await gateway.ask("Avete la farina?")
    emulator.reset()
    return str(turn["conversation"]["user_id"])


async def pause(gateway: Gateway, user: str, **body: Any) -> dict[str, Any]:
    """Let a person answer."""
    answer = await gateway.http.put(f"/users/{user}/pause", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def resume(gateway: Gateway, user: str) -> dict[str, Any]:
    """Let the bot answer again."""
    answer = await gateway.http.delete(f"/users/{user}/pause")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def said_at_openai(emulator: Emulator, conversation_id: str) -> list[tuple[str, str]]:
    """What stands in a conversation there."""
    return [(item["role"], item["content"][0]["text"]) for item in emulator.items(conversation_id)]


async def test_a_turn_in_a_pause(gateway: Gateway, emulator: Emulator, user: str, clock: Clock) -> None:
    """It is stored and completed without a reply, and says why, each time it is asked for; OpenAI hears nothing."""
    assert (await pause(gateway, user))["paused_until"] == "2026-03-02T10:00:00Z"
    turn = await gateway.ask("C'è qualcuno?", id="wamid.A")
    assert (turn["status"], turn["reply"], turn["usage"], turn["error"]) == ("completed", None, None, None)
    assert (turn["paused"], turn["duplicate"]) == (True, False)
    assert await gateway.get(f"/turns/{turn['id']}") == turn
    await resume(gateway, user)
    repeat = await gateway.ask("C'è qualcuno?", id="wamid.A")
    assert (repeat["id"], repeat["paused"], repeat["duplicate"], repeat["reply"]) == (turn["id"], True, True, None)
    thread = await gateway.listed(f"/users/{user}/messages")
    assert [one["text"] for one in thread][-1] == "C'è qualcuno?"
    assert emulator.calls == {}
    assert (await gateway.ask("Eccomi"))["paused"] is False


async def test_a_stream_in_a_pause(gateway: Gateway, user: str) -> None:
    """It begins and is completed, and no piece is in between."""
    await pause(gateway, user)
    body = {"identity": MARIA, "message": {"id": "wamid.S", "text": "C'è qualcuno?"}}
    lines = (await gateway.http.post("/turns/stream", json=body)).text.splitlines()
    assert [one for one in lines if one.startswith("event:")] == ["event: turn.created", "event: turn.completed"]
    created, done = (json.loads(one[5:]) for one in lines if one.startswith("data:"))
    assert (created["status"], created["paused"], created["reply"]) == ("in_progress", True, None)
    assert (done["status"], done["paused"], done["reply"]) == ("completed", True, None)


@pytest.mark.parametrize("by_hand", [True, False])
async def test_the_bot_knows_what_was_said(
    gateway: Gateway, emulator: Emulator, user: str, clock: Clock, by_hand: bool
) -> None:
    """Both sides' words travel with the first message after the pause, once; so they do when its time is just over."""
    await pause(gateway, user, minutes=30)
    turn = await gateway.ask("Posso avere uno sconto?")
    conversation = turn["conversation"]["id"]
    await gateway.reply(conversation, "Sono Marco: il 7% fino a maggio")
    clock.advance(minutes=10 if by_hand else 30)
    if by_hand:
        assert (await resume(gateway, user))["paused_until"] is None
    answered = await gateway.ask("Che sconto ho?")
    assert answered["conversation"]["id"] == conversation
    assert said_at_openai(emulator, conversation)[2:] == [
        ("developer", HANDOVER),
        ("user", "Posso avere uno sconto?"),
        ("assistant", "Sono Marco: il 7% fino a maggio"),
        ("user", "Che sconto ho?"),
        ("assistant", "Risposta a Che sconto ho?"),
    ]
    assert emulator.calls == {RESPONSES: 1, "items.list": 1}
    await gateway.ask("Grazie")
    assert len(inputs(emulator.requests[-1].body)) == 1
    assert emulator.calls == {RESPONSES: 2, "items.list": 1}


async def test_how_much_is_told(gateway: Gateway, emulator: Emulator, user: str) -> None:
    """The last twelve, each cut at a thousand characters."""
    await pause(gateway, user)
    for number in range(20):
        await gateway.ask(f"{number} " + "x" * 1500)
    await resume(gateway, user)
    await gateway.ask("Eccomi")
    sent = inputs(emulator.requests[-1].body)
    assert [one["content"].split()[0] for one in sent[1:-1]] == [str(number) for number in range(8, 20)]
    assert {len(one["content"]) for one in sent[1:-1]} == {1000}


@pytest.mark.parametrize(
    ("fault", "items"),
    [
        pytest.param({"status": 500}, 1, id="not carried out"),
        pytest.param({"status": 500, "after": True}, 1, id="carried out, and nobody heard"),
        pytest.param({"status": 400, "code": "conversation_locked"}, 1, id="another answer is made"),
    ],
)
async def test_it_is_told_once(
    gateway: Gateway, emulator: Emulator, user: str, fault: dict[str, Any], items: int
) -> None:
    """Whatever becomes of the first request, and whoever comes next, the talk of the pause stands there once."""
    await pause(gateway, user)
    conversation = (await gateway.ask("Posso avere uno sconto?"))["conversation"]["id"]
    await resume(gateway, user)
    emulator.fail_next(RESPONSES, **fault)
    first = await gateway.turn("Che sconto ho?")
    assert first.status_code == (200 if "code" in fault else 503)
    await gateway.ask("E adesso?")
    texts = [text for _, text in said_at_openai(emulator, conversation)]
    assert (texts.count(HANDOVER), texts.count("Posso avere uno sconto?")) == (items, items)


async def test_what_openai_refuses(gateway: Gateway, emulator: Emulator, user: str) -> None:
    """It is left out, and the message goes alone."""
    await pause(gateway, user)
    await gateway.ask("Posso avere uno sconto?")
    await resume(gateway, user)
    emulator.fail_next(RESPONSES, status=400, code="invalid_value")
    assert (await gateway.ask("Eccomi"))["reply"]["text"] == "Risposta a Eccomi"
    await gateway.ask("E poi?")
    asked = [inputs(one.body) for one in emulator.requests if one.operation == RESPONSES]
    assert [len(one) for one in asked] == [3, 1, 1]


async def test_a_conversation_that_begins_in_a_pause(
    gateway: Gateway, emulator: Emulator, user: str, clock: Clock, sweep: Sweep
) -> None:
    """It owes its seed and the talk; both go before the first message that is answered."""
    clock.advance(days=3)
    await pause(gateway, user)
    turn = await gateway.ask("Buongiorno di nuovo")
    assert (turn["created"], turn["paused"]) == (True, True)
    await resume(gateway, user)
    await gateway.ask("Eccomi")
    roles = [role for role, _ in said_at_openai(emulator, turn["conversation"]["id"])]
    assert roles == ["developer", "user", "developer", "user", "user", "assistant"]
    assert said_at_openai(emulator, turn["conversation"]["id"])[3] == ("user", "Buongiorno di nuovo")


async def test_new_in_a_pause(gateway: Gateway, user: str) -> None:
    """`/new` opens the next conversation, and the bot says nothing about it."""
    await pause(gateway, user)
    turn = await gateway.ask("/new")
    assert (turn["command"], turn["created"], turn["reply"], turn["paused"]) == ("new_conversation", True, None, True)
    got = await gateway.say("/new vorrei altro")
    assert (got["command"], got["reply"], got["input"]) == ("new_conversation", None, None)


async def test_who_waits_in_line(gateway: Gateway, emulator: Emulator, user: str) -> None:
    """A turn that waits behind another when the pause begins is not answered; the one that is being answered is."""
    emulator.fail_next(RESPONSES, delay=0.5)
    first = asyncio.create_task(gateway.ask("uno"))
    async with asyncio.timeout(5):
        while not emulator.calls[RESPONSES]:  # noqa: ASYNC110 - it does not call back
            await asyncio.sleep(0.01)
    second = asyncio.create_task(gateway.ask("due"))
    await asyncio.sleep(0.15)
    await pause(gateway, user)
    assert ((await first)["reply"]["text"], (await second)["paused"]) == ("Risposta a uno", True)


async def test_a_turn_that_failed_before(gateway: Gateway, emulator: Emulator, user: str) -> None:
    """Its repeat in a pause is not answered, and told to the model later."""
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("prezzi?", id="wamid.A"), 503, "upstream_unavailable")
    await pause(gateway, user)
    assert (await gateway.ask("prezzi?", id="wamid.A"))["paused"] is True
    await resume(gateway, user)
    await gateway.ask("Eccomi")
    assert [one["content"] for one in inputs(emulator.requests[-1].body)] == [HANDOVER, "prezzi?", "Eccomi"]


async def test_a_gateway_that_asks_itself(gateway: Gateway, user: str, emulator: Emulator) -> None:
    """It is told not to answer, and gives its model nothing; afterwards it is given what the model missed."""
    until = (await pause(gateway, user, minutes=10))["paused_until"]
    got = await gateway.say("Posso avere uno sconto?", id="wamid.A")
    assert (got["paused_until"], got["input"], got["missed"]) == (until, None, [])
    conversation = got["conversation"]["id"]
    await gateway.reply(conversation, "Sono Marco: il 7%")
    await resume(gateway, user)
    for repeat in (False, True):  # as long as no reply came back, it is given again
        got = await gateway.say("Che sconto ho?", id="wamid.B")
        assert (got["paused_until"], got["input"], got["duplicate"]) == (None, "Che sconto ho?", repeat)
        assert [one["content"] for one in got["missed"]] == [HANDOVER, "Posso avere uno sconto?", "Sono Marco: il 7%"]
    await gateway.reply(conversation, "Il 7%", id="wamid.B.reply")
    assert (await gateway.say("Grazie"))["missed"] == []


async def test_the_quick_way_again(gateway: Gateway, app: FastAPI, user: str) -> None:
    """Who was paused is served by the quick lane again, soon after; in a pause never."""
    service = app.state.services.conversations
    warm, took = service._warm, []

    class Watched:
        async def arrive(self, call: Any) -> Any:
            answer = await warm.arrive(call)
            took.append(answer is not None)
            return answer

    await gateway.ask("prima")
    service._warm = Watched()
    await gateway.ask("uno")
    await pause(gateway, user)
    await gateway.ask("due")
    await resume(gateway, user)
    for text in ("tre", "quattro", "cinque", "sei"):
        await gateway.ask(text)
    assert took == [True, False, False, False, False, True]


async def test_it_is_the_users_own(gateway: Gateway, user: str) -> None:
    """Others are answered; nothing that was not paused is resumed, and a pause that is asked for again begins anew."""
    assert (await gateway.ask("Ciao", identity=LUCA))["paused"] is False
    assert (await resume(gateway, user))["paused_until"] is None
    await pause(gateway, user, minutes=600)
    assert (await pause(gateway, user, minutes=1))["paused_until"] == "2026-03-02T09:01:00Z"
    found = {one["id"]: one["paused_until"] for one in await gateway.listed("/users")}
    assert found.pop(user) == "2026-03-02T09:01:00Z"
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"minutes": 0}, id="no time"),
        pytest.param({"minutes": -5}, id="less than none"),
        pytest.param({"minutes": 43_201}, id="more than thirty days"),
        pytest.param({"minutes": "10"}, id="a text"),
        pytest.param({"minutes": True}, id="a truth"),
        pytest.param({"until": "2026-03-02T09:00:00Z"}, id="an unknown field"),
        pytest.param([], id="a list"),
    ],
)
async def test_bad_input(gateway: Gateway, user: str, body: Any) -> None:
    """It is a 422, and nobody is paused."""
    assert_problem(await gateway.http.put(f"/users/{user}/pause", json=body), 422, "invalid_request")
    assert (await gateway.get(f"/users/{user}"))["paused_until"] is None


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini", "bot_pause_minutes": 15}])
async def test_the_setting(gateway: Gateway, user: str) -> None:
    """BOT_PAUSE_MINUTES holds where nothing is said, with a body or without."""
    bodies: list[dict[str, Any]] = [{}, {"json": {}}, {"json": {"minutes": None}}]
    for more in bodies:
        answer = await gateway.http.put(f"/users/{user}/pause", **more)
        assert answer.json()["paused_until"] == "2026-03-02T09:15:00Z"


async def test_export_merge_and_erase(gateway: Gateway, user: str, database: Database) -> None:
    """It is exported, moves with a merge, where the later one counts, and is gone with the user."""
    other = (await gateway.ask("Ciao", identity=LUCA))["conversation"]["user_id"]
    await pause(gateway, user, minutes=10)
    await pause(gateway, other, minutes=5)
    await gateway.ask("Ci siete?")
    exported = await gateway.get(f"/users/{user}/export")
    assert exported["user"]["paused_until"] == "2026-03-02T09:10:00Z"
    assert [one["missed"] for one in exported["messages"]] == [False, False, True]
    assert [one["paused"] for one in exported["turns"]] == [False, True]
    merged = (await gateway.http.post(f"/users/{user}/merge", json={"into": other})).json()
    assert merged["paused_until"] == "2026-03-02T09:10:00Z"
    assert (await gateway.ask("Ancora?", identity=LUCA))["paused"] is True
    await gateway.http.delete(f"/users/{other}")
    assert (await gateway.ask("Ancora?", identity=LUCA, id="x"))["paused"] is False
    async with database.read.begin() as tx:
        assert (await tx.scalars(sa.select(User.id).where(User.paused_until.is_not(None)))).all() == []
        assert (await tx.scalars(sa.select(Message.id).where(Message.missed))).all() == []


async def test_the_service_window(gateway: Gateway, clock: Clock) -> None:
    """WhatsApp's 24 hours run from the last that the user said, by its own time; the bot's words do not count."""
    got = await gateway.say("Buongiorno", at=clock())
    path = f"/users/{got['conversation']['user_id']}"
    clock.advance(hours=3)
    await gateway.reply(got["conversation"]["id"], "Buongiorno a lei")
    assert (await gateway.get(path))["window_closes_at"] == "2026-03-03T09:00:00Z"
    await gateway.say("Prima", at=clock.now.replace(hour=8))
    assert (await gateway.get(path))["window_closes_at"] == "2026-03-03T09:00:00Z"
    await gateway.say("Dopo")
    assert (await gateway.listed("/users"))[0]["window_closes_at"] == "2026-03-03T12:00:00Z"
    empty = (await gateway.http.post("/conversations", json={"identity": LUCA})).json()
    assert (await gateway.get(f"/users/{empty['conversation']['user_id']}"))["window_closes_at"] is None
