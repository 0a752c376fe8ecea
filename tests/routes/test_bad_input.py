"""Bad input is a clear problem answer, and changes nothing."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Base
from tests.gateway import MARIA, Gateway, assert_problem

GOOD: dict[str, Any] = {"identity": MARIA, "message": {"id": "wamid.1", "text": "ciao"}}


def message(**fields: Any) -> dict[str, Any]:
    """The good request, with other fields in its message."""
    return {**GOOD, "message": {**GOOD["message"], **fields}}


async def stored(database: Database) -> dict[str, int]:
    """How many rows each table holds."""
    async with database.read.begin() as tx:
        return {
            table.name: await tx.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({**GOOD, "colour": "red"}, "invalid_request", id="an unknown field"),
        pytest.param(message(colour="red"), "invalid_request", id="an unknown field inside"),
        pytest.param({"message": GOOD["message"]}, "invalid_request", id="no identity"),
        pytest.param({**GOOD, "identity": ""}, "invalid_request", id="an empty identity"),
        pytest.param({**GOOD, "identity": "   "}, "invalid_request", id="a blank identity"),
        pytest.param({**GOOD, "identity": "x" * 129}, "invalid_identity", id="a long identity"),
        pytest.param({**GOOD, "identity": 39333}, "invalid_request", id="an identity that is a number"),
        pytest.param({**GOOD, "identity": None}, "invalid_request", id="an identity that is null"),
        pytest.param({**GOOD, "identity": "a\u200bb"}, "invalid_identity", id="an identity with something invisible"),
        pytest.param({**GOOD, "identity": "usr_" + "0" * 25}, "invalid_identity", id="half a user id"),
        pytest.param({**GOOD, "aliases": ["ok", ""]}, "invalid_request", id="an empty alias"),
        pytest.param({**GOOD, "aliases": ["x"] * 11}, "invalid_request", id="too many aliases"),
        pytest.param({**GOOD, "aliases": "x"}, "invalid_request", id="aliases that are no list"),
        pytest.param({**GOOD, "message": "ciao"}, "invalid_request", id="a message that is a text"),
        pytest.param({**GOOD, "message": {"text": "ciao"}}, "invalid_request", id="no message id"),
        pytest.param(message(id=""), "invalid_request", id="an empty message id"),
        pytest.param(message(id="x" * 257), "invalid_request", id="a long message id"),
        pytest.param(message(id="a\x00b"), "invalid_request", id="NUL in a message id"),
        pytest.param(message(text=""), "invalid_request", id="an empty text"),
        pytest.param(message(text=" \n\t "), "invalid_request", id="a blank text"),
        pytest.param(message(text="x" * 8001), "invalid_request", id="an over-long text"),
        pytest.param(message(text="\u200b\u2060"), "invalid_request", id="a text that nobody can see"),
        pytest.param({**GOOD, "identity": "\u3164"}, "invalid_identity", id="an identity that nobody can see"),
        pytest.param(message(text="a\x00b"), "invalid_request", id="NUL in a text"),
        pytest.param(message(text="a\ud800b"), "invalid_request", id="half a surrogate pair"),
        pytest.param(message(text=17), "invalid_request", id="a text that is a number"),
        pytest.param(message(sent_at="2026-03-02T09:00:00"), "invalid_request", id="a naive time"),
        pytest.param(message(sent_at="2026-03-02"), "invalid_request", id="a date"),
        pytest.param(message(sent_at=1772442000), "invalid_request", id="a time as a number"),
        pytest.param(message(sent_at="ieri"), "invalid_request", id="a time in words"),
        pytest.param(message(sent_at="0001-01-01T00:00:00+14:00"), "invalid_request", id="a time before all times"),
        pytest.param(message(sent_at="9999-12-31T23:59:59-14:00"), "invalid_request", id="a time after all times"),
        pytest.param(message(sent_at="2026-03-02T09:05:01Z"), "sent_at_in_future", id="a time in the future"),
        pytest.param({**GOOD, "topic": "ordini"}, "topics_are_off", id="a topic while topics are off"),
        pytest.param({**GOOD, "topic": "Ordini!"}, "invalid_request", id="a malformed topic"),
        pytest.param({**GOOD, "seed_message": "maybe"}, "invalid_request", id="a flag that is none"),
        pytest.param([], "invalid_request", id="a list"),
        pytest.param("ciao", "invalid_request", id="a text"),
    ],
)
async def test_get_or_create(gateway: Gateway, database: Database, body: Any, code: str) -> None:
    """A request that breaks the contract is a 422 that says where, and stores nothing."""
    before = await stored(database)
    headers = {"Content-Type": "application/json"}
    answer = await gateway.http.post("/conversations", content=json.dumps(body), headers=headers)
    problem = assert_problem(answer, 422, code)
    assert "ciao" not in answer.text
    if code == "invalid_request":
        assert problem.get("errors") or "message" in problem["detail"]
    assert await stored(database) == before


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        pytest.param(b"{", 400, "invalid_json", id="cut off"),
        pytest.param(b"\xff\xfe", 400, "invalid_json", id="no UTF-8"),
        pytest.param(b"[" * 100_000, 400, "invalid_json", id="nested without end"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", 400, "invalid_json", id="a number without end"),
        pytest.param(b"", 422, "invalid_request", id="empty"),
        pytest.param(b'{"identity":"\\ud800","message":null}', 422, "invalid_request", id="half a surrogate pair"),
        pytest.param(b'{"identity":"x","\\ud800":1}', 422, "invalid_request", id="a field name that is no text"),
        pytest.param(b'{"identity":NaN}', 422, "invalid_request", id="not a number"),
        pytest.param(b"x" * 262_145, 413, "payload_too_large", id="too large"),
    ],
)
async def test_bodies(gateway: Gateway, content: bytes, status: int, code: str) -> None:
    """A body that is no JSON, or too much of it, is a clear problem."""
    headers = {"Content-Type": "application/json"}
    assert_problem(await gateway.http.post("/conversations", content=content, headers=headers), status, code)


async def test_too_large_without_saying_so(gateway: Gateway) -> None:
    """The limit holds for a body that does not declare its length."""

    async def chunks() -> Any:
        for _ in range(40):
            yield b" " * 10_000

    headers = {"Content-Type": "application/json"}
    answer = await gateway.http.post("/conversations", content=chunks(), headers=headers)
    assert_problem(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("/conversations?limit=0", "invalid_request", id="limit 0"),
        pytest.param("/conversations?limit=101", "invalid_request", id="limit 101"),
        pytest.param("/conversations?limit=ten", "invalid_request", id="a limit in words"),
        pytest.param("/conversations?order=up", "invalid_request", id="an unknown order"),
        pytest.param("/conversations?colour=red", "invalid_request", id="an unknown parameter"),
        pytest.param("/livez?colour=red", "invalid_request", id="an unknown parameter where none is known"),
        pytest.param("/conversations?after=conv_nobody", "invalid_cursor", id="an unknown cursor"),
        pytest.param("/conversations?before=%00", "invalid_request", id="a broken cursor"),
        pytest.param("/conversations?created_after=2026-03-02T09:00:00", "invalid_request", id="a naive time"),
        pytest.param("/conversations?created_reason=boredom", "invalid_request", id="an unknown reason"),
        pytest.param("/conversations?is_active=perhaps", "invalid_request", id="a flag that is none"),
        pytest.param("/users/usr_x/seed?topic=vendite", "topics_are_off", id="a topic while topics are off"),
        pytest.param("/users?q=", "invalid_request", id="an empty search"),
        pytest.param("/users?q=%00", "invalid_request", id="NUL in a search"),
        pytest.param("/users?after=usr_nobody", "invalid_cursor", id="an unknown user as cursor"),
    ],
)
async def test_queries(gateway: Gateway, path: str, code: str) -> None:
    """A query that the contract does not know is a 422."""
    assert_problem(await gateway.http.get(path), 422, code)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        pytest.param("GET", "/conversations/conv_nobody", None, 404, "conversation_not_found", id="conversation"),
        pytest.param("GET", "/conversations/conv_nobody/messages", None, 404, "conversation_not_found", id="thread"),
        pytest.param("GET", "/conversations/conv_nobody/chain", None, 404, "conversation_not_found", id="chain"),
        pytest.param("POST", "/conversations/conv_nobody/close", None, 404, "conversation_not_found", id="close"),
        pytest.param(
            "POST",
            "/conversations/conv_nobody/messages",
            {"messages": [{"direction": "inbound", "text": "ciao"}]},
            404,
            "conversation_not_found",
            id="append",
        ),
        pytest.param("GET", "/users/usr_nobody", None, 404, "user_not_found", id="user"),
        pytest.param("GET", "/users/usr_nobody/messages", None, 404, "user_not_found", id="a user's thread"),
        pytest.param("GET", "/users/usr_nobody/profile", None, 404, "user_not_found", id="profile"),
        pytest.param("PUT", "/users/usr_nobody/profile", {"name": "X"}, 404, "user_not_found", id="put profile"),
        pytest.param("GET", "/users/usr_nobody/seed", None, 404, "user_not_found", id="seed"),
        pytest.param("POST", "/users/usr_nobody/reset", None, 404, "user_not_found", id="reset"),
        pytest.param("POST", "/users/usr_nobody/identities", {"identity": "x"}, 404, "user_not_found", id="identity"),
        pytest.param("POST", "/users/lookup", {"identity": "+390000000"}, 404, "user_not_found", id="lookup"),
        pytest.param(
            "POST", "/conversations", {"identity": "usr_" + "0" * 26}, 404, "user_not_found", id="an unknown user id"
        ),
        pytest.param("POST", "/conversations", {**GOOD, "template": "vip"}, 404, "template_not_found", id="template"),
        pytest.param("POST", "/conversations/", GOOD, 404, "not_found", id="a slash too many"),
        pytest.param("GET", "/nowhere", None, 404, "not_found", id="no path"),
        pytest.param("GET", "/users/%00", None, 422, "invalid_request", id="NUL in a path"),
        pytest.param("DELETE", "/conversations", None, 405, "method_not_allowed", id="no method"),
    ],
)
async def test_unknown(
    gateway: Gateway, database: Database, method: str, path: str, body: Any, status: int, code: str
) -> None:
    """What does not exist is a 404 with a code of its own, and stores nothing."""
    before = await stored(database)
    assert_problem(await gateway.http.request(method, path, json=body), status, code)
    assert await stored(database) == before


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([], id="none"),
        pytest.param([{"direction": "inbound", "text": "x"}] * 21, id="21 of them"),
        pytest.param([{"direction": "sideways", "text": "x"}], id="an unknown direction"),
        pytest.param([{"direction": "inbound", "text": ""}], id="an empty text"),
        pytest.param([{"direction": "inbound", "text": "x" * 8001}], id="an over-long text"),
        pytest.param([{"direction": "inbound", "text": "x"}, {"direction": "inbound"}], id="one good, one bad"),
        pytest.param(
            [
                {"direction": "inbound", "text": "x"},
                {"direction": "inbound", "text": "x", "sent_at": "2026-03-02T10:00:00Z"},
            ],
            id="one good, one from the future",
        ),
        pytest.param(
            [{"direction": "inbound", "text": "x", "id": "a"}, {"direction": "inbound", "text": "y", "id": "a"}],
            id="two texts under one id",
        ),
        pytest.param([{"direction": "outbound", "text": "x", "usage": {"model": "m"}}], id="half a usage"),
        pytest.param(
            [{"direction": "outbound", "text": "x", "usage": {"model": "m", "input_tokens": -1, "output_tokens": 1}}],
            id="negative tokens",
        ),
    ],
)
async def test_append(gateway: Gateway, database: Database, messages: list[dict[str, Any]]) -> None:
    """A batch is stored whole or not at all."""
    conversation = (await gateway.say("ciao"))["conversation"]
    before = await stored(database)
    answer = await gateway.http.post(f"/conversations/{conversation['id']}/messages", json={"messages": messages})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert await stored(database) == before


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param({"nome": "Maria"}, id="an unknown field"),
        pytest.param({"email": "maria"}, id="no e-mail"),
        pytest.param({"name": "x" * 201}, id="too long"),
        pytest.param({"name": "a\nb"}, id="a line break"),
        pytest.param({"name": 7}, id="a number"),
    ],
)
async def test_profile(gateway: Gateway, profile: dict[str, Any]) -> None:
    """A profile takes known fields of one line each."""
    user_id = (await gateway.say("ciao"))["conversation"]["user_id"]
    assert_problem(await gateway.http.put(f"/users/{user_id}/profile", json=profile), 422, "invalid_request")
    assert (await gateway.get(f"/users/{user_id}/profile"))["updated_at"] is None


async def test_request_id(gateway: Gateway) -> None:
    """X-Request-Id is taken when it is one, made when it is not, and always returned."""
    taken = await gateway.http.get("/nowhere", headers={"X-Request-Id": "abc-1"})
    assert (taken.headers["x-request-id"], taken.json()["request_id"]) == ("abc-1", "abc-1")
    for strange in ("a b\tc", "393331234567", "x" * 129):
        made = await gateway.http.get("/nowhere", headers={"X-Request-Id": strange})
        assert made.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("more", "loc"),
    [
        pytest.param({"topics": 1}, ["body", "topics"], id="a misspelled field"),
        pytest.param({MARIA: 1}, ["body", "?"], id="a number"),
        pytest.param({"mario@rossi.example": 1}, ["body", "?"], id="an e-mail"),
        pytest.param({"message": {"id": "w", "text": "t", "ordine 12": 1}}, ["body", "message", "?"], id="words"),
    ],
)
async def test_names_of_fields(gateway: Gateway, more: dict[str, Any], loc: list[str]) -> None:
    """An error names the field that is wrong, unless its name is nothing that anybody would call a field."""
    answer = await gateway.http.post("/conversations", json={"identity": MARIA, **more})
    assert_problem(answer, 422, "invalid_request")
    assert [one["loc"] for one in answer.json()["errors"]] == [loc]
