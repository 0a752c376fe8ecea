"""What schemathesis found between the published document and the service: each finding with a test of its own."""

from typing import Any

import pytest
from fastapi import FastAPI

from tests.gateway import MARIA, Gateway, assert_problem

MESSAGE = {"direction": "outbound", "text": "Bene"}
USAGE: dict[str, Any] = {"model": "gpt-5-mini", "input_tokens": 900, "output_tokens": 20}


@pytest.fixture
async def first(gateway: Gateway) -> dict[str, Any]:
    """A conversation."""
    return dict((await gateway.say("Il codice del nostro portone è B472"))["conversation"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        pytest.param("DELETE", "/conversations", "GET, POST", id="two routes"),
        pytest.param("OPTIONS", "/users/usr_x/profile", "GET, PUT", id="two routes below a user"),
        pytest.param("PUT", "/users/usr_x/seed/entries/seg_x", "DELETE, PATCH", id="two ids"),
        pytest.param("POST", "/livez", "GET", id="one route"),
        pytest.param("POST", "/openapi.json", "GET, HEAD", id="beside the document"),
    ],
)
async def test_allow(gateway: Gateway, method: str, path: str, allowed: str) -> None:
    """A 405 names every method of the path: the framework named those of its first route."""
    answer = await gateway.http.request(method, path)
    assert_problem(answer, 405, "method_not_allowed")
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed


@pytest.mark.parametrize("flag", [0, 1, "no", "true", None])
async def test_flags(gateway: Gateway, first: dict[str, Any], flag: Any) -> None:
    """A flag is true or false: 0 and "no" were taken for one."""
    user = f"/users/{first['user_id']}"
    entry = (await gateway.get(f"{user}/seed"))["entries"][-1]["id"]
    for method, path, body in (
        ("POST", "/conversations", {"identity": MARIA, "seed_message": flag}),
        ("POST", f"{user}/reset", {"forget": flag}),
        ("PATCH", f"{user}/seed/entries/{entry}", {"pinned": flag}),
        ("PATCH", f"{user}/seed/entries/{entry}", {"removed": flag}),
    ):
        assert_problem(await gateway.http.request(method, path, json=body), 422, "invalid_request")


@pytest.mark.parametrize("field", ["input_tokens", "cached_input_tokens", "output_tokens", "cost_usd"])
@pytest.mark.parametrize("value", ["5", True])
async def test_numbers(gateway: Gateway, first: dict[str, Any], field: str, value: Any) -> None:
    """A number is one in JSON: "5" and true were taken for one."""
    path = f"/conversations/{first['id']}/messages"
    for number, status in ((value, 422), (5, 201), (5.0, 201)):
        body = {"messages": [{**MESSAGE, "usage": {**USAGE, field: number}}]}
        assert (await gateway.http.post(path, json=body)).status_code == status


def test_updates_publish_no_defaults(app: FastAPI) -> None:
    """A field that an update leaves out stays as it is: the document said that it becomes "note", "open" or false."""
    shapes = app.openapi()["components"]["schemas"]
    for name in ("NoteUpdate", "SeedEntryUpdate", "ProfileUpdate"):
        assert [field for field in shapes[name]["properties"].values() if "default" in field] == []
    assert (shapes["NoteUpdate"]["minProperties"], shapes["SeedEntryUpdate"]["minProperties"]) == (1, 1)


@pytest.mark.parametrize("env", [{"max_message_chars": 42}])
def test_limits_are_published(app: FastAPI) -> None:
    """The document has the limits of this installation, and the domain's limit of an identity."""
    shapes = app.openapi()["components"]["schemas"]
    for name in ("InboundMessage", "AppendedMessage"):
        assert shapes[name]["properties"]["text"]["maxLength"] == 42
    assert shapes["GetOrCreate"]["properties"]["identity"]["maxLength"] == 128
