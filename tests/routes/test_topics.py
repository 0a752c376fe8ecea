"""Topics over HTTP: described by one admin at a time, listed, and deleted."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.conftest import Clock
from tests.gateway import Gateway, assert_problem

ORDERS = {"description": "Ordini, riordini, sacchi", "template": None}


async def put(gateway: Gateway, body: Any, name: str = "ordini", **headers: str) -> httpx.Response:
    """Describe a topic."""
    return await gateway.http.put(
        f"/topics/{name}", json=body, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )


async def test_a_topic(gateway: Gateway, clock: Clock) -> None:
    """What is written is read again, with an ETag that changes when it does."""
    made = await put(gateway, ORDERS)
    assert made.status_code == 201
    assert made.json() == {"object": "topic", "name": "ordini", **ORDERS, "updated_at": "2026-03-02T09:00:00Z"}
    read = await gateway.http.get("/topics/ordini")
    assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
    known = await gateway.http.get("/topics/ordini", headers={"if-none-match": read.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    clock.advance(hours=1)
    assert (await put(gateway, ORDERS)).json() == made.json()
    await gateway.http.put("/templates/sales", json={})
    changed = await put(gateway, {**ORDERS, "template": "sales"}, if_match=read.headers["etag"])
    assert changed.status_code == 200
    assert (changed.json()["template"], changed.json()["updated_at"]) == ("sales", "2026-03-02T10:00:00Z")
    assert changed.headers["etag"] != read.headers["etag"]


async def test_conditions(gateway: Gateway) -> None:
    """A topic is changed by those alone who say what they have read of it, and deleted by who has not read old news."""
    stale = (await put(gateway, ORDERS)).headers["etag"]
    assert_problem(await put(gateway, {}), 428, "precondition_required")
    assert (await put(gateway, {"description": "Altro"}, if_match=stale)).status_code == 200
    assert_problem(await put(gateway, {}, if_match=stale), 412, "precondition_failed")
    assert_problem(await put(gateway, {}, if_none_match="*"), 412, "precondition_failed")
    gone = await gateway.http.delete("/topics/ordini", headers={"if-match": stale})
    assert_problem(gone, 412, "precondition_failed")
    assert (await gateway.http.delete("/topics/ordini")).status_code == 204
    assert_problem(await gateway.http.delete("/topics/ordini"), 404, "topic_not_found")
    assert_problem(await gateway.http.get("/topics/ordini"), 404, "topic_not_found")


async def test_at_once(gateway: Gateway) -> None:
    """Of many who change or make it in one moment one does, and the others are told."""
    made = await asyncio.gather(*(put(gateway, {"description": f"di {number}"}) for number in range(5)))
    assert [one.status_code for one in made].count(201) == 1
    assert {one.status_code for one in made} <= {201, 412, 428}
    tag = (await gateway.http.get("/topics/ordini")).headers["etag"]
    changed = await asyncio.gather(
        *(put(gateway, {"description": f"Ancora {number}"}, if_match=tag) for number in range(5))
    )
    assert sorted(one.status_code for one in changed) == [200, 412, 412, 412, 412]


async def test_the_list(gateway: Gateway, clock: Clock) -> None:
    """What was changed last comes first, in pages by name."""
    for name in ("a", "b", "c"):
        await put(gateway, ORDERS, name=name)
        clock.advance(minutes=1)
    page = await gateway.get("/topics", limit=2)
    assert ([one["name"] for one in page["data"]], page["last_id"], page["has_more"]) == (["c", "b"], "b", True)
    assert [one["name"] for one in await gateway.listed("/topics", after="b")] == ["a"]
    assert_problem(await gateway.http.get("/topics", params={"after": "z"}), 422, "invalid_cursor")


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        pytest.param("Ordini", {}, 422, "invalid_request", id="a capital"),
        pytest.param("ordini", {"name": "ordini"}, 422, "invalid_request", id="an unknown field"),
        pytest.param("ordini", {"description": " "}, 422, "invalid_request", id="a blank description"),
        pytest.param("ordini", {"description": "x" * 2001}, 422, "invalid_request", id="a long description"),
        pytest.param("ordini", {"description": "a\x00"}, 422, "invalid_request", id="NUL"),
        pytest.param("ordini", {"description": "\x19"}, 422, "invalid_request", id="a description that nobody sees"),
        pytest.param("ordini", {"template": "A B"}, 422, "invalid_request", id="no name of a template"),
        pytest.param("ordini", {"template": "vip"}, 404, "template_not_found", id="a template that is not there"),
    ],
)
async def test_bad_input(gateway: Gateway, name: str, body: Any, status: int, code: str) -> None:
    """What makes no sense is refused before anything is stored."""
    assert_problem(await put(gateway, body, name=name), status, code)
    assert await gateway.listed("/topics") == []
