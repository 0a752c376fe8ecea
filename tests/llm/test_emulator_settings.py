"""What benches set: another way of counting, a clock that the prompt cache forgets by, and how long a reply takes."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import openai
import pytest

from convo_service.llm.emulator import Emulator, Pace
from tests.llm.conftest import Connect
from tests.serving import served

MODEL = "gpt-emulated"
LONG = "x" * 8000  # 2,000 tokens


@asynccontextmanager
async def talking_to(emulator: Emulator, connect: Connect) -> AsyncIterator[tuple[openai.AsyncOpenAI, str]]:
    """The SDK in front of an emulator, and a conversation there."""
    with closing(emulator):
        async with connect(emulator) as sdk:
            yield sdk, (await sdk.conversations.create()).id


async def test_it_counts_as_it_is_told(connect: Connect) -> None:
    """With a tokenizer at hand the usage is that tokenizer's, and four for each item; the instructions are no item."""
    async with talking_to(Emulator(count=lambda text: len(text.split())), connect) as (sdk, conversation):
        emulator_says = 0
        for item in (1, 2):
            made = await sdk.responses.create(
                model=MODEL, conversation=conversation, instructions="be kind", input="uno due tre"
            )
            assert made.usage is not None
            assert made.usage.input_tokens == 2 + item * (3 + 4) + emulator_says
            emulator_says = made.usage.output_tokens
            assert emulator_says == len(made.output_text.split()) + 4


@pytest.mark.parametrize(("seconds", "expected"), [(3600.0, 1920), (3600.1, 0)])
async def test_a_prompt_is_forgotten_after_an_hour(connect: Connect, seconds: float, expected: int) -> None:
    """By the emulator's own clock, which a bench moves."""
    now = [0.0]
    async with talking_to(Emulator(clock=lambda: now[0]), connect) as (sdk, conversation):
        await sdk.responses.create(model=MODEL, conversation=conversation, input=LONG)
        now[0] += seconds
        made = await sdk.responses.create(model=MODEL, conversation=conversation, input="e poi?")
        assert made.usage is not None
        assert made.usage.input_tokens_details.cached_tokens == expected


async def _timed(sdk: openai.AsyncOpenAI, conversation: str, text: str) -> tuple[float, float]:
    """Seconds until the first piece of a streamed reply, and until its end."""
    begun, first = time.perf_counter(), 0.0
    async with await sdk.responses.create(model=MODEL, conversation=conversation, input=text, stream=True) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                first = first or time.perf_counter() - begun
    return first, time.perf_counter() - begun


async def test_what_is_in_the_cache_is_not_read_again(connect: Connect) -> None:
    """A reply takes its time, longer for each token that is in no cache; a whole one and a streamed one alike."""
    async with talking_to(Emulator(pace=Pace(reply=0.05, prefill=0.0002)), connect) as (sdk, conversation):
        cold, _ = await _timed(sdk, conversation, LONG)
        begun = time.perf_counter()
        await sdk.responses.create(model=MODEL, conversation=conversation, input="e poi?")
        warm = time.perf_counter() - begun
    assert cold > 0.05 + 0.4
    assert 0.05 < warm < cold - 0.2


async def test_a_reply_is_said_token_by_token() -> None:
    """Over a socket, the first piece comes long before the last."""
    with closing(Emulator(pace=Pace(output=0.01))) as emulator:
        emulator.reply_next("parola " * 20)  # 35 tokens and the item's four
        async with served(emulator) as url, openai.AsyncOpenAI(api_key="x", base_url=f"{url}/v1") as sdk:
            first, whole = await _timed(sdk, (await sdk.conversations.create()).id, "ciao")
    assert whole > 0.3
    assert first < whole / 2
