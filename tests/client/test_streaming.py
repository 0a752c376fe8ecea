"""Streamed turns as typed events, over real sockets, and cut anywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from convo_service.client import (
    ConvoClient,
    ProblemError,
    StreamCut,
    TurnCompleted,
    TurnCreated,
    TurnEvent,
    Unavailable,
)
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.schemas import InboundMessage, NewTurn, ReplyDelta
from tests.client.conftest import Waits, Wire
from tests.serving import served

RESPONSES = "responses.create"
SAID = "Certo: la farina è disponibile.\u2028Ne vuole\n\n25 kg?\x85 data: no"
ASKED = NewTurn(identity="+393331234567", message=InboundMessage(id="wamid.1", text="Avete la farina?"))


@pytest.fixture
def env() -> dict[str, object]:
    """A model."""
    return {"openai_model": "gpt-5-mini"}


@pytest.fixture
async def llm(emulator: Emulator) -> AsyncIterator[LLMClient]:
    """The real SDK, with the emulator behind a socket: in process it would wait for the end of every stream."""
    async with served(emulator) as url:
        yield LLMClient(api_key="emulator", base_url=f"{url}/v1")


@pytest.fixture
async def convo(app: FastAPI, key: str) -> AsyncIterator[ConvoClient]:
    """The client over a socket."""
    async with served(app) as url, ConvoClient(url, key) as convo:
        yield convo


def spoken(found: list[TurnEvent]) -> str:
    """What the pieces say together."""
    return "".join(one.text for one in found if isinstance(one, ReplyDelta))


async def test_a_stream(convo: ConvoClient, emulator: Emulator) -> None:
    """It begins with the turn, goes on with the reply in pieces, and ends with the turn; no character ends a line."""
    emulator.reply_next(SAID)
    found = [event async for event in convo.stream_turn(ASKED)]
    first, last = found[0], found[-1]
    assert isinstance(first, TurnCreated)
    assert isinstance(last, TurnCompleted)
    assert last.turn.reply is not None
    assert (first.turn.status, last.turn.status, spoken(found)) == ("in_progress", "completed", SAID)
    assert last.turn.reply.text == SAID
    assert len(found) > 4
    again = [event async for event in convo.stream_turn(ASKED)]
    assert [type(one) for one in again] == [TurnCreated, ReplyDelta, TurnCompleted]
    assert spoken(again) == SAID


async def test_a_caller_that_leaves(convo: ConvoClient, emulator: Emulator) -> None:
    """Whoever stops listening gets the stored reply with the repeat; the model is asked once."""
    emulator.reply_next(SAID)
    emulator.fail_next(RESPONSES, delay=0.3)
    async with aclosing(convo.stream_turn(ASKED)) as stream:
        async for event in stream:
            assert isinstance(event, TurnCreated)
            break
    turn = await convo.turn(ASKED)
    assert turn.reply is not None
    assert (turn.reply.text, emulator.calls[RESPONSES]) == (SAID, 1)


async def test_a_model_that_fails(convo: ConvoClient, emulator: Emulator) -> None:
    """An `error` in the stream is a refusal like any other."""
    emulator.fail_next(RESPONSES, status=500)
    with pytest.raises(Unavailable) as caught:
        async with asyncio.timeout(20):
            [event async for event in convo.stream_turn(ASKED)]
    assert caught.value.problem.turn_id


async def cut(waits: Waits, *pieces: bytes, then: Exception | None = None) -> list[str]:
    """The texts that came before the stream broke."""

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
        if then is not None:
            raise then

    wire = Wire(httpx.Response(200, content=body()))
    seen: list[str] = []
    async with ConvoClient("http://convo", "k", transport=wire, patience=waits.patience()) as convo:
        async for event in convo.stream_turn(ASKED):
            seen.append(event.text if isinstance(event, ReplyDelta) else type(event).__name__)
    return seen


async def test_a_stream_that_ends_too_early(waits: Waits) -> None:
    """A stream without its last event is an error, and is never begun again behind the caller's back."""
    with pytest.raises(StreamCut):
        await cut(waits, b'event: reply.delta\ndata: {"text": "Cer"}\n\n')
    with pytest.raises(httpx.ReadError):
        await cut(waits, b'event: reply.delta\ndata: {"text": "Cer"}\n\n', then=httpx.ReadError("cut"))
    assert waits.slept == []


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_pieces_of_any_size(size: int, waits: Waits) -> None:
    """Events are found wherever the network cuts them, between comments, unknown events and other line ends."""
    text = (
        ': ping\n\nevent: later.event\ndata: {"x": 1}\n\nevent: reply.delta\r\ndata: {"text": "\u20ac\u2028è"}\r\n\r\n'
        'event: error\ndata: {"type": "urn:x", "title": "x", "status": 502, "code": "upstream_failed", "detail": "x", '
        '"instance": "/turns/stream", "request_id": "r", "turn_id": "turn_1"}\n\n'
    ).encode()
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    with pytest.raises(ProblemError, match="upstream_failed"):
        await cut(waits, *pieces)


async def test_repeats_before_the_first_byte(app: FastAPI, key: str, emulator: Emulator, waits: Waits) -> None:
    """What fails before the stream begins is repeated like any turn."""
    emulator.reply_next(SAID)
    first: list[Any] = [httpx.ConnectError("refused"), httpx.Response(503, headers={"Retry-After": "2"})]
    async with served(app) as url:
        wire = Wire(*first, then=httpx.AsyncHTTPTransport())
        async with ConvoClient(url, key, transport=wire, patience=waits.patience()) as convo:
            assert spoken([event async for event in convo.stream_turn(ASKED)]) == SAID
    assert (len(wire.requests), waits.slept[1]) == (3, 2)
