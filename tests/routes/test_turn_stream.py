"""Turns as a stream, over real sockets on both sides: it is passed on as it comes, and never ends without a word."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import suppress
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from convo_service.db.models import ModelCall
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.serving import served

RESPONSES = "responses.create"
SAID = "Certo, la farina tipo 00 da 25 kg è disponibile."
Event = tuple[str, dict[str, Any]]


@pytest.fixture
def env() -> dict[str, object]:
    """A model, and some patience with it."""
    return {"openai_model": "gpt-5-mini", "openai_timeout_seconds": 5}


@pytest.fixture
async def llm(emulator: Emulator) -> AsyncIterator[LLMClient]:
    """The real SDK, with the emulator behind a socket: in process it would wait for the end of every stream."""
    async with served(emulator) as url:
        yield LLMClient(api_key="emulator", base_url=f"{url}/v1")


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service, over a socket, too."""
    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        yield client


@pytest.fixture
async def gateway(app: FastAPI, http: httpx.AsyncClient, clock: Clock) -> Gateway:
    """A client with an admin key."""
    _, key = await app.state.services.keys.create("tests", Scope.ADMIN, now=clock())
    http.headers["Authorization"] = f"Bearer {key}"
    return Gateway(http)


def body(text: str = "Avete la farina?", id: str = "wamid.A") -> dict[str, Any]:
    """A message to be answered."""
    return {"identity": MARIA, "message": {"id": id, "text": text}}


async def events(answer: httpx.Response) -> AsyncIterator[Event]:
    """The events of a stream, as they come; comments keep it open and say nothing."""
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def stream(gateway: Gateway, **more: Any) -> list[Event]:
    """A whole stream."""
    async with gateway.http.stream("POST", "/turns/stream", json=body(**more)) as answer:
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        return [event async for event in events(answer)]


def spoken(found: list[Event]) -> str:
    """What the pieces say together."""
    return "".join(data["text"] for name, data in found if name == "reply.delta")


async def test_a_stream(gateway: Gateway, emulator: Emulator) -> None:
    """It begins with the turn, goes on with the reply in pieces, and ends with the turn as it is stored."""
    emulator.reply_next(SAID)
    found = await stream(gateway)
    assert [name for name, _ in found if name != "reply.delta"] == ["turn.created", "turn.completed"]
    created, completed = found[0][1], found[-1][1]
    assert (created["status"], created["reply"], completed["status"]) == ("in_progress", None, "completed")
    assert spoken(found) == completed["reply"]["text"] == SAID
    assert len(found) > 5
    assert await gateway.get(f"/turns/{completed['id']}") == completed


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_it_is_passed_on_as_it_comes(gateway: Gateway, emulator: Emulator) -> None:
    """The first pieces arrive while the model is still speaking."""
    emulator.reply_next(SAID)
    emulator.fail_next(RESPONSES, drip=0.001)
    before_the_end, turn_id = 0, ""
    async with gateway.http.stream("POST", "/turns/stream", json=body()) as answer:
        async for name, data in events(answer):
            turn_id = turn_id or data["id"]
            if name == "reply.delta":
                before_the_end += (await gateway.get(f"/turns/{turn_id}"))["status"] == "in_progress"
    assert before_the_end > 2


async def test_a_client_that_goes_away(gateway: Gateway, emulator: Emulator) -> None:
    """The reply is stored all the same, and the repeat gets it, as one piece."""
    emulator.reply_next(SAID)
    emulator.fail_next(RESPONSES, delay=0.5)
    async with gateway.http.stream("POST", "/turns/stream", json=body()) as answer:
        async for name, _ in events(answer):
            assert name == "turn.created"
            break
    async with asyncio.timeout(10):
        while (await gateway.turn("Avete la farina?", id="wamid.A")).status_code != 200:  # noqa: ASYNC110 - it is HTTP
            await asyncio.sleep(0.05)
    again = await stream(gateway)
    assert [name for name, _ in again] == ["turn.created", "reply.delta", "turn.completed"]
    assert (spoken(again), again[-1][1]["duplicate"]) == (SAID, True)
    assert emulator.calls[RESPONSES] == 1


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])  # the log of a crash takes seconds in a test
async def test_a_client_that_is_gone_before_the_stream(gateway: Gateway, emulator: Emulator, app: FastAPI) -> None:
    """A server that says so when the first byte is to be sent: the message is answered all the same."""
    headers = {"authorization": gateway.http.headers["Authorization"], "content-type": "application/json"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/turns/stream",
        "raw_path": b"/turns/stream",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body()).encode(), "more_body": False}

    async def send(_message: MutableMapping[str, Any]) -> None:
        raise OSError

    with suppress(Exception):  # whoever serves is told that nobody listens
        await app(scope, receive, send)
    async with asyncio.timeout(60):
        while (await gateway.turn("Avete la farina?", id="wamid.A")).status_code != 200:  # noqa: ASYNC110 - it is HTTP
            await asyncio.sleep(0.05)
    assert emulator.calls[RESPONSES] == 1


CUT = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
PIECE = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Cer","item_id":"m",'
    b'"output_index":0,"content_index":0,"sequence_number":1,"logprobs":[]}\n\n'
)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"body": CUT, "status": 200}, "upstream_unavailable", id="it ends without its last event"),
        pytest.param({"body": CUT + PIECE, "status": 200}, "upstream_unavailable", id="cut in mid-sentence"),
        pytest.param({"status": 200, "code": "server_error"}, "upstream_failed", id="the run fails"),
        pytest.param({"status": 500}, "upstream_unavailable", id="it never begins"),
        pytest.param({"hang": True}, "upstream_unavailable", id="it says nothing"),
        pytest.param({"body": "<html>proxy</html>", "status": 200}, "upstream_unavailable", id="HTML"),
        pytest.param({"body": b"data: 5\n\n", "status": 200}, "upstream_unavailable", id="an event that is none"),
        pytest.param({"body": PIECE.replace(b'"Cer"', b"5"), "status": 200}, "upstream_unavailable", id="no text"),
    ],
)
async def test_a_stream_that_fails(gateway: Gateway, emulator: Emulator, fault: dict[str, Any], code: str) -> None:
    """It ends with an error that names the turn, the message is kept, and the repeat has a reply."""
    emulator.fail_next(RESPONSES, **fault)
    found = await stream(gateway)
    name, problem = found[-1]
    assert (name, problem["code"], found[0][0]) == ("error", code, "turn.created")
    assert problem["turn_id"] == found[0][1]["id"]
    assert (await gateway.get(f"/turns/{problem['turn_id']}"))["error"]["code"] == code
    again = await stream(gateway)
    assert (again[-1][0], again[-1][1]["id"], again[-1][1]["duplicate"]) == (
        "turn.completed",
        problem["turn_id"],
        False,
    )


async def test_a_slow_stream(gateway: Gateway, emulator: Emulator) -> None:
    """A reply that takes longer than OPENAI_TIMEOUT_SECONDS is given up, byte by byte as it may come."""
    emulator.reply_next(SAID)
    emulator.fail_next(RESPONSES, drip=1.0)
    found = await stream(gateway)
    assert (found[-1][0], found[-1][1]["code"]) == ("error", "upstream_unavailable")


async def test_what_is_refused_has_a_status(gateway: Gateway, emulator: Emulator) -> None:
    """What is wrong before the stream begins is a plain problem."""
    answer = await gateway.http.post("/turns/stream", json={"identity": MARIA})
    assert_problem(answer, 422, "invalid_request")
    emulator.fail_next("conversations.create", status=500)
    problem = assert_problem(await gateway.http.post("/turns/stream", json=body()), 503, "upstream_unavailable")
    assert problem["turn_id"]
    del gateway.http.headers["Authorization"]
    assert_problem(await gateway.http.post("/turns/stream", json=body()), 401, "invalid_api_key")


async def test_the_time_to_the_first_token(gateway: Gateway, emulator: Emulator, app: FastAPI) -> None:
    """The ledger has it for a stream."""

    await stream(gateway)
    async with app.state.services.database.read.begin() as tx:
        row = (await tx.scalars(sa.select(ModelCall))).one()
    assert row.first_token_ms is not None
    assert 0 <= row.first_token_ms <= row.latency_ms
