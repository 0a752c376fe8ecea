"""A client in process, and one over a real socket; neither waits in earnest."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from convo_service.client import ConvoClient
from convo_service.client.repeating import Patience
from convo_service.services.keys import Scope
from tests.conftest import Clock
from tests.serving import served


class Waits:
    """Time as a client spends it: a wait is over at once, and written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.now = 0.0

    def clock(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds

    def patience(self, seconds: float = 30) -> Patience:
        """Patience that goes by this time."""
        return Patience(seconds, self.sleep, self.clock)


@pytest.fixture
def waits() -> Waits:
    """How long was waited."""
    return Waits()


@pytest.fixture
async def key(app: FastAPI, clock: Clock) -> str:
    """A key that may do what gateways and dashboards do."""
    _, key = await app.state.services.keys.create("client", Scope.ADMIN, now=clock())
    return str(key)


@pytest.fixture(params=["in process", "over a socket"])
async def convo(app: FastAPI, key: str, request: pytest.FixtureRequest) -> AsyncIterator[ConvoClient]:
    """The client against the real service."""
    if request.param == "in process":
        async with ConvoClient("http://convo", key, transport=httpx.ASGITransport(app=app)) as convo:
            yield convo
        return
    async with served(app) as url, ConvoClient(url, key) as convo:
        yield convo


class Wire(httpx.AsyncBaseTransport):
    """A transport that gives what a test says, one after the other, and then what is behind it."""

    def __init__(self, *first: Exception | httpx.Response, then: httpx.AsyncBaseTransport | None = None) -> None:
        self._first = list(first)
        self._then = then
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fail, answer, or pass on."""
        self.requests.append(request)
        if self._first:
            told = self._first.pop(0)
            if isinstance(told, Exception):
                raise told
            return told
        assert self._then is not None, "nothing more was to be asked"
        return await self._then.handle_async_request(request)
