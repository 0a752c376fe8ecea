"""The emulator answers turns as OpenAI's Responses API does, as the real SDK sees them."""

import asyncio
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from convo_service.llm.emulator import Emulator

MODEL = "gpt-emulated"


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


async def test_a_turn_says_what_it_is_and_is_kept(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """An unscripted reply admits that no model is behind it, and input and reply end in the conversation."""
    made = await sdk.conversations.create(items=[{"role": "developer", "content": "seed"}])
    response = await sdk.responses.create(
        model=MODEL, conversation={"id": made.id}, input="p" * 90, instructions="be kind"
    )
    assert response.output_text == f'[emulatore OpenAI: nessun modello dietro] Ho ricevuto: "{"p" * 80}"'
    assert response.conversation is not None
    assert (response.model, response.status, response.conversation.id) == (MODEL, "completed", made.id)
    assert texts(emulator.items(made.id)) == ["seed", "p" * 90, response.output_text]


async def test_scripted_replies_come_in_order(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """Scripted texts are said first in, first out, and then the emulator speaks for itself."""
    emulator.reply_next("uno")
    emulator.reply_next("due")
    said = [(await sdk.responses.create(model=MODEL, input="?")).output_text for _ in range(3)]
    assert said[:2] == ["uno", "due"]
    assert said[2].startswith("[emulatore")


class Fact(BaseModel):
    kind: Literal["price", "date"]
    sure: bool
    note: str | None


class Summary(BaseModel):
    topic: str
    count: int
    main: Fact
    facts: list[Fact]


async def test_structured_output_is_valid_and_empty(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A JSON schema is answered with the emptiest valid object; a scripted text goes out as it is."""
    parsed = (await sdk.responses.parse(model=MODEL, input="?", text_format=Summary)).output_parsed
    assert parsed == Summary(topic="", count=0, main=Fact(kind="price", sure=False, note=None), facts=[])
    emulator.reply_next('{"topic": "cut o')
    with pytest.raises(ValueError, match="Summary"):
        await sdk.responses.parse(model=MODEL, input="?", text_format=Summary)


async def test_usage_counts_all_that_was_sent(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """Tokens are a quarter of the characters, rounded up, and four an item, over instructions, history and input."""
    made = await sdk.conversations.create(items=[user("12345")])
    emulator.reply_next("four")
    response = await sdk.responses.create(model=MODEL, conversation=made.id, input="123456789", instructions="12345678")
    assert response.usage is not None
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (2 + (2 + 4) + (3 + 4), 1 + 4, 20)
    assert usage.output_tokens_details.reasoning_tokens == 0


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        pytest.param(1023, 0, id="one too few"),
        pytest.param(1024, 1024, id="just enough"),
        pytest.param(1151, 1024, id="less than a step more"),
        pytest.param(1152, 1152, id="a step more"),
    ],
)
async def test_a_long_prefix_is_cached(sdk: openai.AsyncOpenAI, tokens: int, expected: int) -> None:
    """What the last request sent is cached from 1,024 tokens on, in steps of 128, until the beginning changes."""
    # The instructions are one token and the question five; each item has four besides its text.
    made = await sdk.conversations.create(items=[user("x" * 4 * (tokens - 10))])

    async def cached(instructions: str) -> int:
        response = await sdk.responses.create(
            model=MODEL, conversation=made.id, input="?", instructions=instructions, store=False
        )
        assert response.usage is not None
        return response.usage.input_tokens_details.cached_tokens

    assert [await cached(told) for told in ("kind", "kind", "curt")] == [0, expected, 0]


async def test_one_response_at_a_time(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """While a response runs, another one and new items are refused as locked; afterwards they are welcome."""
    made = await sdk.conversations.create()
    emulator.fail_next("responses.create", delay=0.2)
    running = asyncio.create_task(sdk.responses.create(model=MODEL, conversation=made.id, input="first"))
    await asyncio.sleep(0.05)
    with pytest.raises(openai.BadRequestError) as second:
        await sdk.responses.create(model=MODEL, conversation=made.id, input="second")
    with pytest.raises(openai.BadRequestError) as added:
        await sdk.conversations.items.create(made.id, items=[user("x")])
    assert (second.value.code, added.value.code) == ("conversation_locked", "conversation_locked")
    assert emulator.items(made.id) == []
    await running
    await sdk.responses.create(model=MODEL, conversation=made.id, input="second")
    assert texts(emulator.items(made.id))[::2] == ["first", "second"]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        pytest.param({"conversation": "conv_none"}, 404, None, id="unknown conversation"),
        pytest.param({"previous_response_id": "resp_none"}, 400, "previous_response_not_found", id="unknown previous"),
        pytest.param(
            {"previous_response_id": "r", "conversation": "c"}, 400, "mutually_exclusive_parameters", id="both"
        ),
        pytest.param({"model": None}, 400, "missing_required_parameter", id="no model"),
        pytest.param({"input": 7}, 400, "invalid_type", id="a number as input"),
        pytest.param({"input": [{"role": "x", "content": "x"}]}, 400, "invalid_value", id="a role"),
        pytest.param({"conversation": {"id": 7}}, 400, "invalid_type", id="a conversation without an id"),
        pytest.param({"metadata": "x"}, 400, "invalid_type", id="a string as metadata"),
        pytest.param({"input": ["x"]}, 400, "invalid_type", id="a string as item"),
        pytest.param({"input": [{"role": "user", "content": ["x"]}]}, 400, "invalid_type", id="a string as part"),
        pytest.param({"text": "x"}, 400, "invalid_type", id="a string as text"),
    ],
)
async def test_a_wrong_turn_is_refused(sdk: openai.AsyncOpenAI, wrong: Any, status: int, code: str | None) -> None:
    """A turn that cannot be is refused with OpenAI's status and code."""
    with pytest.raises(openai.APIStatusError) as refused:
        await sdk.responses.create(**{"model": MODEL, "input": "?", **wrong})
    assert (refused.value.status_code, refused.value.code) == (status, code)


async def test_stored_items_are_not_sent_again(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """An item that the conversation already has is refused as a duplicate."""
    made = await sdk.conversations.create(items=[user("a")])
    again: Any = emulator.items(made.id)
    with pytest.raises(openai.BadRequestError, match="Duplicate item"):
        await sdk.responses.create(model=MODEL, conversation=made.id, input=again)


async def test_responses_are_stored_unless_told_not_to(sdk: openai.AsyncOpenAI) -> None:
    """A response can be read, with its input, until it is deleted; one with store=False never."""
    response = await sdk.responses.create(model=MODEL, input="ciao", metadata={"k": "v"})
    assert await sdk.responses.retrieve(response.id) == response
    inputs: Any = (await sdk.responses.input_items.list(response.id)).to_dict()
    assert texts(inputs["data"]) == ["ciao"]
    await sdk.responses.delete(response.id)
    unstored = await sdk.responses.create(model=MODEL, input="ciao", store=False)
    for response_id in (response.id, unstored.id):
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(response_id)


async def test_a_chain_of_responses_is_sent_again(sdk: openai.AsyncOpenAI) -> None:
    """With previous_response_id the whole chain counts as input."""
    previous: str | None = None
    counts = []
    for _ in range(3):
        response = await sdk.responses.create(model=MODEL, input="12345678", previous_response_id=previous)
        assert response.usage is not None
        counts.append((response.usage.input_tokens, response.usage.output_tokens))
        previous = response.id
    said = counts[0][1]
    assert [sent for sent, _ in counts] == [6, 12 + said, 18 + 2 * said]
