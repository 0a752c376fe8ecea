"""The emulator fails as it was asked to, streams as OpenAI does, and notices when its client leaves."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import openai
import pytest
import uvicorn

from convo_service.llm.emulator import Emulator

MODEL = "gpt-emulated"


@asynccontextmanager
async def on_loopback(emulator: Emulator) -> AsyncIterator[openai.AsyncOpenAI]:
    """The same emulator behind a real socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(emulator, log_level=60, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve([listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        try:
            async with openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as client:
                yield client
        finally:
            server.should_exit = True
            await serving


async def spoken(sdk: openai.AsyncOpenAI, conversation_id: str) -> bool:
    """Whether a turn is possible now, waiting a little for a lock."""
    for _ in range(50):
        with suppress(openai.BadRequestError):
            await sdk.responses.create(model=MODEL, conversation=conversation_id, input="and now?")
            return True
        await asyncio.sleep(0.02)
    return False


async def test_an_ordered_error_comes_once_and_with_its_headers(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A status with a code is OpenAI's envelope with the ordered headers, for as many calls as ordered."""
    emulator.fail_next("conversations.create", status=429, code="rate_limit_exceeded", headers={"Retry-After": "100"})
    emulator.fail_next("conversations.create", code="insufficient_quota", times=2)
    with pytest.raises(openai.RateLimitError) as limited:
        await sdk.conversations.create()
    assert limited.value.response.headers["retry-after"] == "100"
    assert limited.value.code == "rate_limit_exceeded"
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as quota:
            await sdk.conversations.create()
        assert (quota.value.code, quota.value.type) == ("insufficient_quota", "insufficient_quota")
    assert emulator.conversations() == {}
    assert (await sdk.conversations.create()).id in emulator.conversations()
    assert emulator.calls["conversations.create"] == 4


async def test_a_fault_waits_for_its_operation(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A fault of one operation leaves the others alone, and "*" meets whichever comes first."""
    emulator.fail_next("items.create", status=503)
    made = await sdk.conversations.create()
    with pytest.raises(openai.InternalServerError):
        await sdk.conversations.items.create(made.id, items=[])
    emulator.fail_next("*")
    with pytest.raises(openai.InternalServerError):
        await sdk.conversations.retrieve(made.id)
    with pytest.raises(ValueError, match="unknown operation 'responses'"):
        emulator.fail_next("responses")


async def test_a_raw_body_goes_out_as_it_is(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """HTML, an empty object and a foreign id come with HTTP 200, as a broken proxy would send them."""
    for body in ("<html>maintenance</html>", b"{}", '{"id": "conv_foreign"}'):
        emulator.fail_next("conversations.create", body=body)
    answers: list[Any] = [await sdk.conversations.create() for _ in range(3)]
    assert answers[0] == "<html>maintenance</html>"
    assert [answer.id for answer in answers[1:]] == [None, "conv_foreign"]
    assert emulator.conversations() == {}


async def test_a_lost_answer_has_done_its_work(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """With after=True the work is done, and the client learns of an error, a broken connection, or nothing."""
    emulator.fail_next("conversations.create", after=True, status=502)
    emulator.fail_next("conversations.create", after=True)
    emulator.fail_next("conversations.create", after=True, hang=True)
    with pytest.raises(openai.InternalServerError):
        await sdk.conversations.create()
    with pytest.raises(openai.APIConnectionError):
        await sdk.conversations.create()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sdk.conversations.create()
    assert len(emulator.conversations()) == 3


async def test_a_lost_stream_has_done_its_work(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A streamed turn whose answer is lost stands in the conversation all the same."""
    made = await sdk.conversations.create()
    emulator.fail_next("responses.create", after=True, status=500)
    with pytest.raises(openai.InternalServerError):
        await sdk.responses.create(model=MODEL, conversation=made.id, input="ciao", stream=True)
    assert len(emulator.items(made.id)) == 2


@pytest.mark.parametrize("fault", [{"hang": True}, {"delay": 30.0}], ids=["hanging", "late"])
async def test_a_turn_given_up_leaves_nothing(sdk: openai.AsyncOpenAI, emulator: Emulator, fault: Any) -> None:
    """A turn whose client gave up leaves no item and no lock."""
    made = await sdk.conversations.create()
    emulator.fail_next("responses.create", **fault)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sdk.responses.create(model=MODEL, conversation=made.id, input="ciao")
    assert emulator.items(made.id) == []
    assert await spoken(sdk, made.id)


async def test_a_late_answer_is_right(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A delay and a drip change the time of the right answer, not the answer."""
    loop = asyncio.get_running_loop()
    emulator.fail_next("conversations.create", delay=0.1)
    emulator.fail_next("conversations.create", drip=0.001)
    for _ in range(2):
        began = loop.time()
        assert (await sdk.conversations.create()).id in emulator.conversations()
        assert loop.time() - began > 0.1


async def test_a_failed_run_is_http_200(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """Status 200 with a code is a model run that fails: no output, no usage, nothing in the conversation."""
    made = await sdk.conversations.create()
    emulator.fail_next("responses.create", status=200, code="server_error", times=2)
    response = await sdk.responses.create(model=MODEL, conversation=made.id, input="ciao")
    assert (response.status, response.output_text, response.usage) == ("failed", "", None)
    assert response.error is not None
    assert response.error.code == "server_error"
    stream = await sdk.responses.create(model=MODEL, conversation=made.id, input="ciao", stream=True)
    assert [event.type async for event in stream][-1] == "response.failed"
    assert emulator.items(made.id) == []


async def test_a_stream_is_told_event_by_event(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A stream has OpenAI's events in OpenAI's order, numbered, and its deltas make the text."""
    made = await sdk.conversations.create()
    emulator.reply_next("Buongiorno, come posso aiutare?")
    stream = await sdk.responses.create(model=MODEL, conversation=made.id, input="ciao", stream=True)
    events = [event async for event in stream]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert (len(deltas), "".join(deltas)) == (4, "Buongiorno, come posso aiutare?")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    for event in events:
        type(event).model_validate(event.to_dict(exclude_unset=False))


async def test_the_final_response_of_a_stream(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """The SDK's stream helper ends with the whole response, which is then stored and in its conversation."""
    made = await sdk.conversations.create()
    async with sdk.responses.stream(model=MODEL, conversation=made.id, input="ciao") as stream:
        final = await stream.get_final_response()
    assert final.usage is not None
    assert (await sdk.responses.retrieve(final.id)).output_text == final.output_text
    assert len(emulator.items(made.id)) == 2


async def test_a_cut_stream_has_no_final_response(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A stream that ends too early, sent as a raw body, leaves the SDK without a response."""
    begun = {"id": "resp_1", "object": "response", "output": []}
    event = {"type": "response.created", "sequence_number": 0, "response": begun}
    emulator.fail_next("responses.create", body=f"event: response.created\ndata: {json.dumps(event)}\n\n")
    async with sdk.responses.stream(model=MODEL, input="ciao") as stream:
        with pytest.raises(RuntimeError, match=r"response\.completed"):
            await stream.get_final_response()


async def test_a_client_that_leaves_a_stream_leaves_nothing(emulator: Emulator) -> None:
    """Over a socket, a client that goes away in the middle of a stream cancels the turn and frees the lock."""
    async with on_loopback(emulator) as sdk:
        made = await sdk.conversations.create()
        emulator.fail_next("responses.create", drip=0.0005)
        stream = await sdk.responses.create(model=MODEL, conversation=made.id, input="lost", stream=True)
        assert (await anext(aiter(stream))).type == "response.created"
        await stream.close()
        assert await spoken(sdk, made.id)
    assert [item["content"][0]["text"] for item in emulator.items(made.id)][::2] == ["and now?"]


async def test_a_stream_is_live_over_a_socket(emulator: Emulator) -> None:
    """A stream begins at once even when the model takes its time."""
    async with on_loopback(emulator) as sdk:
        emulator.fail_next("responses.create", hang=True)
        stream = await sdk.responses.create(model=MODEL, input="ciao", stream=True)
        assert (await anext(aiter(stream))).type == "response.created"
        await stream.close()


async def test_faults_hold_over_a_socket(emulator: Emulator) -> None:
    """A hanging turn is dropped with its client, and a lost answer breaks the connection after the work."""
    async with on_loopback(emulator) as sdk:
        made = await sdk.conversations.create()
        emulator.fail_next("responses.create", hang=True)
        with pytest.raises(openai.APITimeoutError):
            await sdk.responses.create(model=MODEL, conversation=made.id, input="lost", timeout=0.2)
        assert await spoken(sdk, made.id)
        emulator.fail_next("conversations.create", after=True)
        with pytest.raises(openai.APIConnectionError):
            await sdk.conversations.create()
    assert len(emulator.conversations()) == 2


async def test_another_process_can_order_faults(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """Faults, replies, counts and a fresh start are to be had over HTTP, outside of OpenAI's paths and keys."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=emulator), base_url="http://e") as http:
        ordered = await http.post("/_emulator/faults", json={"operation": "responses.create", "status": 503})
        wrong = await http.post("/_emulator/faults", json={"operation": "lunch"})
        await http.post("/_emulator/replies", json={"text": "uno"})
        assert (ordered.status_code, wrong.status_code) == (204, 400)
        with pytest.raises(openai.InternalServerError):
            await sdk.responses.create(model=MODEL, input="?")
        assert (await sdk.responses.create(model=MODEL, input="?")).output_text == "uno"
        assert (await http.get("/_emulator/calls")).json() == {"responses.create": 2}
        await http.post("/_emulator/replies", json={"text": "due"})
        await http.post("/_emulator/faults", json={"operation": "*", "status": 503})
        await http.post("/_emulator/reset")
        assert (await http.get("/_emulator/calls")).json() == {}
    assert (await sdk.responses.create(model=MODEL, input="?")).output_text.startswith("[emulatore")
