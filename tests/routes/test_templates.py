"""Templates over HTTP: made, changed by one admin at a time, listed, deleted, and remembered in every version."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway import Gateway, assert_problem

SALES: dict[str, Any] = {
    "instructions": "Sei il commerciale del Molino Brambilla.",
    "model": "gpt-5-mini",
    "timeout_hours": 24,
    "max_messages": 30,
    "seed_sections": ["profile", "history"],
    "language": "en",
    "command_reply": "Si ricomincia.",
}
NOTHING: dict[str, Any] = dict.fromkeys(SALES)


async def put(gateway: Gateway, body: dict[str, Any], name: str = "sales", **conditions: str) -> httpx.Response:
    """Write a template."""
    headers = {key.replace("_", "-"): value for key, value in conditions.items()}
    return await gateway.http.put(f"/templates/{name}", json=body, headers=headers)


async def test_a_template(gateway: Gateway) -> None:
    """What is written is read again, with its version as ETag; what is not given is the installation's."""
    made = await put(gateway, SALES)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert made.json() == {
        "object": "template", "name": "sales", "version": 1, **SALES, "created_at": "2026-03-02T09:00:00Z",
    }  # fmt: skip
    read = await gateway.http.get("/templates/sales")
    assert (read.json(), read.headers["etag"]) == (made.json(), '"1"')
    changed = await put(gateway, {"instructions": "In rima."}, if_match='"1"')
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json() == {**made.json(), **NOTHING, "version": 2, "instructions": "In rima."}
    assert await gateway.get("/templates/sales", version=1) == made.json()
    assert_problem(await gateway.http.get("/templates/sales", params={"version": 3}), 404, "template_not_found")


async def test_nothing_changed(gateway: Gateway) -> None:
    """What changes nothing makes no version and needs no condition, so that a script may run twice."""
    await put(gateway, SALES)
    again = await put(gateway, {**SALES, "seed_sections": ["profile", "history", "profile"]})
    assert (again.status_code, again.json()["version"]) == (200, 1)


async def test_a_reader_who_knows(gateway: Gateway) -> None:
    """Who has this version already is told so, and gets no body."""
    await put(gateway, SALES)
    known = await gateway.http.get("/templates/sales", headers={"if-none-match": 'W/"1"'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", '"1"')
    assert (await gateway.http.get("/templates/sales", headers={"if-none-match": '"7"'})).status_code == 200


@pytest.mark.parametrize(
    ("conditions", "status", "code"),
    [
        pytest.param({}, 428, "precondition_required", id="who has read nothing"),
        pytest.param({"if_none_match": '"1"'}, 428, "precondition_required", id="who only says what it is not"),
        pytest.param({"if_match": '"1"'}, 412, "precondition_failed", id="who has read the version before"),
        pytest.param({"if_match": '"3"'}, 412, "precondition_failed", id="who made a version up"),
        pytest.param({"if_match": ""}, 412, "precondition_failed", id="who has read nothing, and says so"),
        pytest.param({"if_none_match": "*"}, 412, "precondition_failed", id="who wants to make it"),
        pytest.param({"if_match": '"2"'}, 200, "", id="who has read it"),
        pytest.param({"if_match": '"1", W/"2"'}, 200, "", id="who has read one of these"),
        pytest.param({"if_match": "2"}, 200, "", id="without the quotes"),
        pytest.param({"if_match": "*"}, 200, "", id="who does not mind"),
    ],
)
async def test_conditions(gateway: Gateway, conditions: dict[str, str], status: int, code: str) -> None:
    """A template is changed by those alone who say what they have read of it."""
    await put(gateway, SALES)
    await put(gateway, {**SALES, "language": "it"}, if_match='"1"')
    answer = await put(gateway, NOTHING, **conditions)
    assert answer.status_code == status
    if code:
        assert_problem(answer, status, code)
        assert (await gateway.get("/templates/sales"))["language"] == "it"


async def test_the_first_one(gateway: Gateway) -> None:
    """One that is not there is made without a condition, or with the one that it is not there."""
    assert (await put(gateway, SALES, name="one")).status_code == 201
    assert (await put(gateway, SALES, name="two", if_none_match="*")).status_code == 201
    assert_problem(await put(gateway, SALES, name="three", if_match="*"), 412, "precondition_failed")


async def test_two_admins_at_once(gateway: Gateway) -> None:
    """Of many who change the same version in one moment one is first, and the others are told."""
    await put(gateway, NOTHING)
    bodies = [{"instructions": f"Versione di {number}"} for number in range(6)]
    answers = await asyncio.gather(*(put(gateway, body, if_match='"1"') for body in bodies))
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412, 412, 412]
    assert (await gateway.get("/templates/sales"))["version"] == 2


async def test_the_first_one_at_once(gateway: Gateway) -> None:
    """Of many who make it in one moment one does; nobody's is lost without a word."""
    bodies = [{"instructions": f"Versione di {number}"} for number in range(6)]
    answers = await asyncio.gather(*(put(gateway, body) for body in bodies))
    assert sorted(one.status_code for one in answers)[0] == 201
    assert {one.status_code for one in answers[1:]} | {answers[0].status_code} <= {201, 412, 428}
    assert [one.status_code for one in answers].count(201) == 1


async def test_deleted(gateway: Gateway) -> None:
    """What is deleted cannot be chosen, its versions can be read, and made anew it goes on counting."""
    await put(gateway, SALES)
    assert_problem(await gateway.http.delete("/templates/none"), 404, "template_not_found")
    stale = await gateway.http.delete("/templates/sales", headers={"if-match": '"7"'})
    assert_problem(stale, 412, "precondition_failed")
    gone = await gateway.http.delete("/templates/sales", headers={"if-match": '"1"'})
    assert (gone.status_code, gone.content) == (204, b"")
    assert_problem(await gateway.http.get("/templates/sales"), 404, "template_not_found")
    assert_problem(await gateway.post("ciao", template="sales"), 404, "template_not_found")
    assert (await gateway.get("/templates/sales", version=1))["language"] == "en"
    again = await put(gateway, SALES)
    assert (again.status_code, again.json()["version"]) == (201, 2)


async def test_the_list(gateway: Gateway, clock: Any) -> None:
    """The current versions, what was changed last first, in pages by name."""
    for name in ("a", "b", "c", "d"):
        await put(gateway, SALES, name=name)
        clock.advance(minutes=1)
    await put(gateway, NOTHING, name="a", if_match='"1"')
    await gateway.http.delete("/templates/c")
    page = await gateway.get("/templates", limit=2)
    assert ([one["name"] for one in page["data"]], page["has_more"]) == (["a", "d"], True)
    assert (page["first_id"], page["last_id"]) == ("a", "d")
    rest = await gateway.get("/templates", limit=2, after="d")
    assert ([one["name"] for one in rest["data"]], rest["has_more"]) == (["b"], False)
    assert [one["name"] for one in await gateway.listed("/templates", order="asc")] == ["b", "d", "a"]
    answer = await gateway.http.get("/templates", params={"after": "c"})
    assert_problem(answer, 422, "invalid_cursor")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("Sales", {}, id="a capital"),
        pytest.param("-sales", {}, id="a name that begins with a dash"),
        pytest.param("a" * 65, {}, id="a long name"),
        pytest.param("sales", [], id="no object"),
        pytest.param("sales", {"timeout": 3}, id="an unknown field"),
        pytest.param("sales", {"instructions": " "}, id="blank instructions"),
        pytest.param("sales", {"instructions": "x" * 50_001}, id="long instructions"),
        pytest.param("sales", {"instructions": "a\x00b"}, id="NUL"),
        pytest.param("sales", {"command_reply": "\u200b\x19"}, id="a reply that nobody sees"),
        pytest.param("sales", {"model": ""}, id="no model"),
        pytest.param("sales", {"model": " "}, id="a blank model"),
        pytest.param("sales", {"model": "gpt\n5"}, id="a model on two lines"),
        pytest.param("sales", {"timeout_hours": 0}, id="no window"),
        pytest.param("sales", {"timeout_hours": 8761}, id="a window of more than a year"),
        pytest.param("sales", {"timeout_hours": "24"}, id="a window in words"),
        pytest.param("sales", {"max_messages": 0}, id="no messages"),
        pytest.param("sales", {"max_messages": 2.5}, id="half a message"),
        pytest.param("sales", {"max_messages": True}, id="a cap that is true"),
        pytest.param("sales", {"seed_sections": ["profilo"]}, id="an unknown section"),
        pytest.param("sales", {"seed_sections": "profile"}, id="sections that are no list"),
        pytest.param("sales", {"language": "fr"}, id="an unknown language"),
        pytest.param("sales", {"command_reply": ""}, id="an empty reply"),
    ],
)
async def test_bad_input(gateway: Gateway, name: str, body: Any) -> None:
    """What makes no sense is refused before anything is stored."""
    assert_problem(await gateway.http.put(f"/templates/{name}", json=body), 422, "invalid_request")
    assert await gateway.listed("/templates") == []
