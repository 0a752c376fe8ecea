"""An emulator in memory, and the real SDK that talks to it in process."""

from collections.abc import AsyncIterator, Callable

import httpx2
import openai
import pytest

from convo_service.llm.emulator import Emulator

Connect = Callable[[Emulator], openai.AsyncOpenAI]


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.fixture
def connect() -> Connect:
    def connected(emulator: Emulator) -> openai.AsyncOpenAI:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=emulator))
        return openai.AsyncOpenAI(api_key="x", base_url="http://emulator/v1", max_retries=0, http_client=http)

    return connected


@pytest.fixture
async def sdk(emulator: Emulator, connect: Connect) -> AsyncIterator[openai.AsyncOpenAI]:
    async with connect(emulator) as client:
        yield client
