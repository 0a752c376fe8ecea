"""The client of OpenAI: what it repeats, what it never does, and when it stops asking."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from convo_service.errors import UpstreamUnavailable
from convo_service.llm.client import IN_PARALLEL, LLMClient
from convo_service.llm.emulator import Emulator

CREATE = "conversations.create"


class BrokenTransport(httpx2.AsyncBaseTransport):
    """The network: the first calls do not get through, the others reach the emulator."""

    def __init__(self, emulator: Emulator, errors: Iterator[type[Exception]]) -> None:
        self.errors = errors
        self.calls = 0
        self._beyond = httpx2.ASGITransport(app=emulator)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Fail, or pass on."""
        self.calls += 1
        error = next(self.errors, None)
        if error is not None:
            raise error("broken", request=request)  # type: ignore[call-arg]
        return await self._beyond.handle_async_request(request)


def client(emulator: Emulator, *errors: type[Exception]) -> tuple[LLMClient, BrokenTransport]:
    """A client behind a broken network."""
    transport = BrokenTransport(emulator, iter(errors))
    http = httpx2.AsyncClient(transport=transport)
    return LLMClient(api_key="x", base_url="http://emulator/v1", http_client=http), transport


def soon() -> float:
    """A deadline."""
    return time.monotonic() + 8


async def test_what_was_not_sent_is_sent_again(emulator: Emulator) -> None:
    """A connection that was not made can have made nothing."""
    llm, network = client(emulator, httpx2.ConnectError, httpx2.ConnectTimeout)
    assert (await llm.create_conversation("att_1", deadline=soon())).startswith("conv_")
    assert (network.calls, emulator.calls[CREATE]) == (3, 1)


async def test_three_times_at_most(emulator: Emulator) -> None:
    """Then the caller is told."""
    llm, network = client(emulator, *[httpx2.ConnectError] * 9)
    with pytest.raises(UpstreamUnavailable):
        await llm.create_conversation("att_1", deadline=soon())
    assert network.calls == 3


@pytest.mark.parametrize("error", [httpx2.ReadTimeout, httpx2.ReadError, httpx2.RemoteProtocolError])
async def test_what_may_have_been_done_is_not_repeated(emulator: Emulator, error: type[Exception]) -> None:
    """After the request has left, its outcome is unknown."""
    llm, network = client(emulator, error)
    with pytest.raises(UpstreamUnavailable):
        await llm.create_conversation("att_1", deadline=soon())
    assert network.calls == 1


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        pytest.param({"status": 429, "headers": {"Retry-After": "1"}}, 2, id="a short wait is waited"),
        pytest.param({"status": 429, "headers": {"Retry-After": "100"}}, 1, id="a long one is not"),
        pytest.param({"status": 429}, 1, id="nor one of unknown length"),
        pytest.param({"status": 429, "code": "insufficient_quota", "headers": {"Retry-After": "1"}}, 1, id="quota"),
        pytest.param({"status": 500}, 1, id="an error of the server"),
        pytest.param({"status": 400}, 1, id="a refusal"),
    ],
)
async def test_answers(emulator: Emulator, fault: dict[str, Any], calls: int) -> None:
    """Of the answers only a rate limit with a short wait is followed by a repeat."""
    llm = LLMClient.against(emulator)
    emulator.fail_next(CREATE, **fault)
    if calls == 1:
        with pytest.raises(UpstreamUnavailable):
            await llm.create_conversation("att_1", deadline=soon())
    else:
        await llm.create_conversation("att_1", deadline=soon())
    assert emulator.calls[CREATE] == calls


async def test_the_circuit(emulator: Emulator) -> None:
    """Five failures, and nobody asks for a while; the caller is told for how long."""
    llm = LLMClient.against(emulator)
    emulator.fail_next(CREATE, status=500, times=99)
    for _ in range(8):
        with pytest.raises(UpstreamUnavailable) as refused:
            await llm.create_conversation("att_1", deadline=soon())
    assert emulator.calls[CREATE] == 5
    assert refused.value.headers["Retry-After"] in ("14", "15")


async def test_so_many_at_once(emulator: Emulator) -> None:
    """Twenty calls of a process are under way at most."""
    llm = LLMClient.against(emulator)
    emulator.fail_next(CREATE, delay=0.5, times=IN_PARALLEL)
    calls = [asyncio.create_task(llm.create_conversation(f"att_{n}", deadline=soon())) for n in range(IN_PARALLEL + 5)]
    async with asyncio.timeout(10):
        while emulator.calls[CREATE] < IN_PARALLEL:  # noqa: ASYNC110 - the emulator counts, it does not call back
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert emulator.calls[CREATE] == IN_PARALLEL
    assert len({*await asyncio.gather(*calls)}) == IN_PARALLEL + 5


async def test_deleting(emulator: Emulator) -> None:
    """Every item goes, then the conversation; again is no error."""
    llm = LLMClient.against(emulator)
    remote_id = await llm.create_conversation("att_1", deadline=soon())
    for _ in range(7):
        items = [{"type": "message", "role": "user", "content": "ciao"}] * 20
        await llm.add_items(remote_id, items, deadline=soon())
    for _ in range(2):
        await llm.delete_conversation(remote_id, deadline=soon())
        assert (emulator.items(remote_id), emulator.conversations()[remote_id]["deleted"]) == ([], True)
