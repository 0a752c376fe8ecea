"""The emulator keeps the promises of OpenAI's APIs, as the real SDK sees them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from convo_service.llm.emulator import Emulator

MODEL = "gpt-emulated"


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


async def test_a_conversation_lives_and_dies(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A conversation can be made, read, renamed and deleted, and is missing afterwards."""
    made = await sdk.conversations.create(metadata={"attempt": "1"})
    assert re.fullmatch(r"conv_[0-9a-f]{48}", made.id)
    await sdk.conversations.update(made.id, metadata={"attempt": "2"})
    assert (await sdk.conversations.retrieve(made.id)).metadata == {"attempt": "2"}
    assert (await sdk.conversations.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError, match="not found"):
        await sdk.conversations.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.conversations.delete(made.id)
    assert emulator.conversations()[made.id]["deleted"] is True


async def test_every_answer_is_what_the_sdk_declares(sdk: openai.AsyncOpenAI) -> None:
    """Each answer passes the strict validation of the SDK's own type, which the SDK itself never runs."""
    made = await sdk.conversations.create(items=[user("ciao"), {"role": "assistant", "content": "salve"}])
    listed = await sdk.conversations.items.list(made.id)
    created = await sdk.conversations.items.create(made.id, items=[user("prezzi?")])
    response = await sdk.responses.create(model=MODEL, conversation=made.id, input="orari?")
    inputs = await sdk.responses.input_items.list(response.id)
    item = await sdk.conversations.items.retrieve(created.data[0].id or "", conversation_id=made.id)
    left = await sdk.conversations.items.delete(item.id or "", conversation_id=made.id)
    gone = await sdk.conversations.delete(made.id)
    stored = await sdk.responses.retrieve(response.id)
    for answer in (made, listed, created, response, inputs, item, left, gone, stored):
        sent = answer.to_dict(exclude_unset=False)
        assert type(answer).model_validate(sent).to_dict(exclude_unset=False) == sent


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        pytest.param({str(n): "v" for n in range(17)}, "object_above_max_properties", id="17 pairs"),
        pytest.param({"k" * 65: "v"}, "property_name_above_max_length", id="a key of 65"),
        pytest.param({"k": "v" * 513}, "string_above_max_length", id="a value of 513"),
        pytest.param({"k": 1}, "invalid_type", id="a number"),
    ],
)
async def test_metadata_has_limits(sdk: openai.AsyncOpenAI, metadata: Any, code: str) -> None:
    """Metadata beyond its limits is refused, and nothing is made."""
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.conversations.create(metadata=metadata)
    assert refused.value.code == code
    full = await sdk.conversations.create(metadata={f"{n:064}": "v" * 512 for n in range(16)})
    assert full.metadata == {f"{n:064}": "v" * 512 for n in range(16)}


@pytest.mark.parametrize(
    ("item", "param", "code"),
    [
        pytest.param({"role": "critic", "content": "x"}, "items[0].role", "invalid_value", id="role"),
        pytest.param({"content": "x"}, "items[0].role", "missing_required_parameter", id="no role"),
        pytest.param({**user("x"), "type": "lunch"}, "items[0].type", "invalid_value", id="type"),
        pytest.param({"role": "user"}, "items[0].content", "invalid_type", id="no content"),
        pytest.param(
            {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]},
            "items[0].content[0]",
            "invalid_value",
            id="an assistant that writes",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "input_text"}]}, "items[0].content[0].text", "invalid_type", id="text"
        ),
    ],
)
async def test_a_wrong_item_is_refused(
    sdk: openai.AsyncOpenAI, emulator: Emulator, item: Any, param: str, code: str
) -> None:
    """A wrong item is a 400 that names the place, and the good item beside it is not kept either."""
    made = await sdk.conversations.create()
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.conversations.items.create(made.id, items=[item, user("good")])
    assert (refused.value.param, refused.value.code, refused.value.type) == (param, code, "invalid_request_error")
    assert emulator.items(made.id) == []


async def test_twenty_items_a_call(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """A call takes 20 items and refuses 21, when a conversation is made and later."""
    made = await sdk.conversations.create(items=[user(str(n)) for n in range(20)])
    with pytest.raises(openai.BadRequestError, match="too long"):
        await sdk.conversations.create(items=[user("x")] * 21)
    with pytest.raises(openai.BadRequestError, match="too long"):
        await sdk.conversations.items.create(made.id, items=[user("x")] * 21)
    assert texts(emulator.items(made.id)) == [str(n) for n in range(20)]


async def test_items_come_in_pages_newest_first(sdk: openai.AsyncOpenAI) -> None:
    """A list has 20 items, newest first, unless asked otherwise; the SDK pages through the rest."""
    made = await sdk.conversations.create(items=[user(str(n)) for n in range(20)])
    await sdk.conversations.items.create(made.id, items=[user(str(n)) for n in range(20, 25)])
    page = await sdk.conversations.items.list(made.id)
    assert (len(page.data), page.has_more, page.last_id) == (20, True, page.data[-1].id)
    newest = [item.to_dict() async for item in page]
    assert texts(newest) == [str(n) for n in reversed(range(25))]
    oldest = [item.to_dict() async for item in sdk.conversations.items.list(made.id, limit=7, order="asc")]
    assert oldest == newest[::-1]
    for query in ({"limit": 101}, {"limit": 0}, {"limit": "ten"}, {"order": "up"}):
        with pytest.raises(openai.BadRequestError):
            await sdk.conversations.items.list(made.id, extra_query=query)
    with pytest.raises(openai.NotFoundError):
        await sdk.conversations.items.list("conv_none")


async def test_a_deleted_item_is_no_cursor(sdk: openai.AsyncOpenAI) -> None:
    """Whoever deletes items while paging behind them is told so, instead of missing some."""
    made = await sdk.conversations.create(items=[user("a"), user("b")])
    page = await sdk.conversations.items.list(made.id, limit=1)
    await sdk.conversations.items.delete(page.last_id or "", conversation_id=made.id)
    with pytest.raises(openai.NotFoundError):
        await page.get_next_page()


async def test_a_deleted_conversation_leaves_orphans(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """The items of a deleted conversation can still be read, but no longer be deleted."""
    made = await sdk.conversations.create(items=[user("a"), user("b")])
    first = emulator.items(made.id)[0]["id"]
    await sdk.conversations.items.delete(first, conversation_id=made.id)
    await sdk.conversations.delete(made.id)
    (orphan,) = (await sdk.conversations.items.list(made.id)).data
    assert await sdk.conversations.items.retrieve(orphan.id or "", conversation_id=made.id) == orphan
    with pytest.raises(openai.NotFoundError):
        await sdk.conversations.items.delete(orphan.id or "", conversation_id=made.id)
    assert texts(emulator.items(made.id)) == ["b"]


async def test_what_is_not_the_api(emulator: Emulator) -> None:
    """No key, broken JSON and unknown addresses get OpenAI's envelope and a request id."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=emulator), base_url="http://e") as http:
        bearer = {"Authorization": "Bearer x"}
        answers = [
            await http.post("/v1/conversations", json={}),
            await http.post("/v1/conversations", json={}, headers={"Authorization": "Bearer "}),
            await http.post("/v1/conversations", content="{", headers=bearer),
            await http.post("/v1/conversations", json=[1], headers=bearer),
            await http.get("/v1/conversations", headers=bearer),
            await http.get("/v1/_emulator/calls", headers=bearer),
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 400, 400, 404, 404]
    assert answers[0].json()["error"]["code"] == "invalid_api_key"
    for answer in answers:
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
        assert answer.headers["x-request-id"].startswith("req_")


async def test_state_outlives_a_restart(tmp_path: Path, connect: Callable[[Emulator], openai.AsyncOpenAI]) -> None:
    """Conversations, orphans and stored responses are there again when the same file is opened."""
    first = Emulator(tmp_path / "openai.db")
    async with connect(first) as sdk:
        kept = await sdk.conversations.create(metadata={"k": "v"})
        dead = await sdk.conversations.create(items=[user("orphan")])
        await sdk.conversations.delete(dead.id)
        response = await sdk.responses.create(model=MODEL, conversation=kept.id, input="ciao")
    before = (first.conversations(), first.items(kept.id), first.items(dead.id))
    first.close()
    second = Emulator(tmp_path / "openai.db")
    async with connect(second) as sdk:
        assert await sdk.responses.retrieve(response.id) == response
        await sdk.responses.create(model=MODEL, conversation=kept.id, input="ancora")
    after = (second.conversations(), second.items(kept.id)[:2], second.items(dead.id))
    second.close()
    assert after == before


async def test_requests_are_counted_and_recorded(sdk: openai.AsyncOpenAI, emulator: Emulator) -> None:
    """Tests can see what came over the wire, faulted or not, of the last thousand requests."""
    made = await sdk.conversations.create(metadata={"attempt": "7"})
    await sdk.responses.create(model=MODEL, conversation=made.id, input="ciao")
    emulator.fail_next("items.list", status=500)
    with pytest.raises(openai.InternalServerError):
        await sdk.conversations.items.list(made.id, limit=5)
    assert emulator.calls == {"conversations.create": 1, "responses.create": 1, "items.list": 1}
    assert emulator.requests == [
        ("conversations.create", None, {"metadata": {"attempt": "7"}}),
        ("responses.create", made.id, {"conversation": made.id, "input": "ciao", "model": MODEL}),
        ("items.list", made.id, {"limit": "5"}),
    ]
    for _ in range(1000):
        await sdk.conversations.retrieve(made.id)
    assert len(emulator.requests) == 1000
    assert json.dumps(emulator.requests[0]) == json.dumps(["conversations.retrieve", made.id, {}])
