"""Turns when something breaks between the model's answer and what the service knows of it."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.app import create_app
from convo_service.db.engine import Database
from convo_service.db.models import ModelCall
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.llm.replies import Prompt
from convo_service.services import turn_records
from convo_service.services.arrivals import Call
from convo_service.services.messages import NewMessage
from convo_service.services.patience import goes_on
from convo_service.services.turns import Turns
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.model import echo

RESPONSES = "responses.create"


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


async def test_an_answer_that_was_not_stored(
    gateway: Gateway, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database fails when the model has answered: the problem names the turn, and the repeat finds the answer."""
    await gateway.ask("ciao")
    with monkeypatch.context() as broken:
        broken.setattr(turn_records, "complete", _refused)
        problem = assert_problem(await gateway.turn("ok", id="wamid.A"), 503, "database_unavailable")
    assert (await gateway.get(f"/turns/{problem['turn_id']}"))["error"]["code"] == "database_unavailable"
    turn = await gateway.ask("ok", id="wamid.A")
    assert (turn["id"], turn["reply"]["text"]) == (problem["turn_id"], "Risposta a ok")
    assert emulator.calls[RESPONSES] == 2


def _refused(*_: Any, **_named: Any) -> None:
    raise ConnectionRefusedError


def _said(id: Any) -> str:
    """A response of one message."""
    part = {"type": "output_text", "text": "Certo"}
    item = {"type": "message", "id": id, "role": "assistant", "content": [part]}
    return json.dumps({"id": "resp_1", "status": "completed", "output": [item]})


@pytest.mark.parametrize("id", [5, "a" * 200, "m\0", None], ids=["a number", "too long", "NUL", "none"])
async def test_an_item_without_a_usable_id(gateway: Gateway, emulator: Emulator, id: Any) -> None:
    """The reply is what counts: an id that no database can hold is left out."""
    await gateway.ask("ciao")
    emulator.fail_next(RESPONSES, status=200, body=_said(id))
    assert (await gateway.ask("ok"))["reply"]["text"] == "Certo"


@pytest.mark.parametrize("body", ["<html>", "[]", '{"data":[{"type":"message","role":"assistant"}]}'])
async def test_a_list_that_is_none(gateway: Gateway, emulator: Emulator, clock: Clock, body: str) -> None:
    """When nobody can say whether the message was answered, the turn fails as OpenAI's fault, and stays uncertain."""
    await gateway.ask("ciao")
    emulator.fail_next(RESPONSES, after=True)
    assert_problem(await gateway.turn("ok", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    emulator.fail_next("items.list", status=200, body=body)
    assert_problem(await gateway.turn("ok", id="wamid.A"), 503, "upstream_unavailable")
    assert (await gateway.ask("ok", id="wamid.A"))["reply"]["text"] == "Risposta a ok"
    assert emulator.calls[RESPONSES] == 2


@pytest.mark.parametrize(
    "env", [{"openai_model": "gpt-5-mini", "openai_timeout_seconds": 2.0, "max_conversation_messages": 2}]
)
async def test_what_was_carried_is_no_answer(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """The talk that a rollover at the cap repeats ends with the same words and their answer; it answers nothing."""
    await gateway.ask("ok")
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("ok", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    turn = await gateway.ask("ok", id="wamid.A")
    assert turn["conversation"]["created_reason"] == "message_cap"
    assert turn["usage"]["input_tokens"] is not None
    said = [item["content"][0]["text"] for item in emulator.items(turn["conversation"]["id"])]
    assert said[-4:] == ["ok", "Risposta a ok"] * 2


@pytest.mark.parametrize("operation", [RESPONSES, "conversations.create"])
async def test_a_service_that_stops(
    gateway: Gateway, emulator: Emulator, settings: Settings, clock: Clock, operation: str
) -> None:
    """What is cut off gives its place back: the repeat need not wait for the end of a lease."""
    settings = settings.model_copy(update={"openai_timeout_seconds": 30.0})
    stopping = create_app(settings, llm=LLMClient.against(emulator), clock=clock)
    call = Call(identity=MARIA, message=NewMessage("inbound", "ok", "wamid.A"))
    emulator.fail_next(operation, hang=True)
    async with stopping.router.lifespan_context(stopping):
        going_on = goes_on(_answered(stopping.state.services.turns, call))
        async with asyncio.timeout(5):
            while not emulator.calls[operation]:  # noqa: ASYNC110 - it does not call back
                await asyncio.sleep(0.01)
    assert going_on.cancelled()
    assert (await gateway.ask("ok", id="wamid.A"))["reply"]["text"] == "Risposta a ok"


async def _answered(turns: Turns, call: Call) -> None:
    await turns.finish(await turns.begin(call))


async def test_what_the_gateway_asked_itself_is_no_answer(
    gateway: Gateway, emulator: Emulator, llm: LLMClient, clock: Clock
) -> None:
    """A gateway begins to use turns in a conversation in which it has asked OpenAI itself, with the same words."""
    got = await gateway.say("ok")
    prompt = Prompt("gpt-5-mini", got["conversation"]["id"], "ok", None, "none", "somebody")
    await llm.reply(prompt, deadline=time.monotonic() + 5)
    await gateway.reply(got["conversation"]["id"], "Risposta a ok")
    clock.advance(seconds=5)
    emulator.fail_next(RESPONSES, status=500)
    assert_problem(await gateway.turn("ok", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    turn = await gateway.ask("ok", id="wamid.A")
    assert turn["usage"]["input_tokens"] is not None
    assert emulator.calls[RESPONSES] == 3


async def test_a_reply_comes_after_its_message(gateway: Gateway, clock: Clock) -> None:
    """Also when the gateway's clock is ahead of ours."""
    turn = await gateway.ask("ciao", at=clock() + timedelta(minutes=2))
    thread = await gateway.listed(f"/conversations/{turn['conversation']['id']}/messages")
    assert [message["direction"] for message in thread] == ["inbound", "outbound"]


async def test_a_call_without_a_reply_costs(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """The model was asked and paid for, and said nothing: the ledger has a row for each call."""
    emulator.reply_next(" ")
    assert_problem(await gateway.turn("ok", id="wamid.A"), 502, "upstream_failed")
    await gateway.ask("ok", id="wamid.A")
    async with database.read.begin() as tx:
        assert len((await tx.scalars(sa.select(ModelCall))).all()) == emulator.calls[RESPONSES] == 2


async def test_an_unheard_answer_before_another_message(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """The user goes on before the gateway repeats: the message was answered, and is not asked a second time."""
    await gateway.ask("ciao")
    emulator.fail_next(RESPONSES, after=True)
    assert_problem(await gateway.turn("uno", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    await gateway.ask("due")
    assert (await gateway.ask("uno", id="wamid.A"))["reply"]["text"] == "Risposta a uno"
    assert emulator.calls[RESPONSES] == 3
