"""Reading: lists with filters in pages by key, threads, chains, users, profiles."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from tests.conftest import MONDAY, Clock
from tests.gateway import Gateway, assert_problem

PHONES = [f"+3933300000{number:02}" for number in range(4)]
FIRST, SECOND = {0, 1, 2, 3}, {4, 5, 6, 7}  # the closed and the active conversations of `history`


@pytest.fixture
async def history(gateway: Gateway, clock: Clock) -> list[dict[str, Any]]:
    """Four users with two conversations each, and what they were answered."""
    made = [(await gateway.say("prima", identity=phone))["conversation"] for phone in PHONES]
    clock.advance(days=3)
    made += [(await gateway.say("dopo", identity=phone))["conversation"] for phone in PHONES]
    return made


async def pages(gateway: Gateway, path: str, **params: Any) -> list[list[str]]:
    """All pages of a list, by `after`."""
    found: list[list[str]] = []
    page = await gateway.get(path, **params)
    found.append([row["id"] for row in page["data"]])
    while page["has_more"]:
        assert (page["first_id"], page["last_id"]) == (found[-1][0], found[-1][-1])
        page = await gateway.get(path, after=page["last_id"], **params)
        found.append([row["id"] for row in page["data"]])
    return found


@pytest.mark.parametrize("limit", [1, 3, 8, 100])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("path", ["/conversations", "/users"])
async def test_pages(gateway: Gateway, history: list[dict[str, Any]], path: str, order: str, limit: int) -> None:
    """Pages of any size, in either order, hold every row once, in the order of one whole page."""
    whole = [row["id"] for row in await gateway.listed(path, limit=100, order=order)]
    found = await pages(gateway, path, limit=limit, order=order)
    assert [one for page in found for one in page] == whole
    assert len(whole) == len(PHONES) * (2 if path == "/conversations" else 1)
    assert all(len(page) == limit for page in found[:-1])


async def test_backwards(gateway: Gateway, history: list[dict[str, Any]]) -> None:
    """`before` gives the page in front of an id, in the order of the list."""
    whole = [row["id"] for row in await gateway.listed("/conversations", limit=100)]
    page = await gateway.get("/conversations", before=whole[6], limit=4)
    assert [row["id"] for row in page["data"]] == whole[2:6]
    assert page["has_more"] is True
    first = await gateway.get("/conversations", before=whole[2], limit=4)
    assert ([row["id"] for row in first["data"]], first["has_more"]) == (whole[:2], False)
    between = await gateway.listed("/conversations", after=whole[2], before=whole[6])
    assert [row["id"] for row in between] == whole[3:6]


async def test_an_empty_list(gateway: Gateway) -> None:
    """An empty list is a list."""
    assert await gateway.get("/conversations") == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param({"is_active": "true"}, SECOND, id="active"),
        pytest.param({"is_active": "false"}, FIRST, id="closed"),
        pytest.param({"created_reason": "idle_timeout"}, SECOND, id="reason"),
        pytest.param({"topic": "general", "is_active": "false"}, FIRST, id="two filters"),
        pytest.param({"topic": "ordini"}, set(), id="another topic"),
        pytest.param({"template": "vip"}, set(), id="a template"),
        pytest.param({"created_after": MONDAY.isoformat()}, SECOND, id="after is exclusive"),
        pytest.param({"created_before": (MONDAY + timedelta(days=3)).isoformat()}, FIRST, id="so is before"),
        pytest.param({"last_message_after": "2026-03-05T08:00:00Z"}, SECOND, id="activity after"),
        pytest.param({"last_message_before": "2026-03-05T08:00:00Z"}, FIRST, id="activity before"),
        pytest.param({"user_id": "usr_nobody"}, set(), id="an unknown user has none"),
    ],
)
async def test_filters(
    gateway: Gateway, history: list[dict[str, Any]], params: dict[str, str], expected: set[int]
) -> None:
    """Each filter narrows the list."""
    found = {row["id"] for row in await gateway.listed("/conversations", limit=100, **params)}
    assert found == {history[number]["id"] for number in expected}


async def test_a_cursor_outlives_its_filter(gateway: Gateway, history: list[dict[str, Any]]) -> None:
    """A row that stops to match a filter between two pages is still a cursor: nothing is skipped, nothing breaks."""
    whole = [row["id"] for row in await gateway.listed("/conversations", is_active="true")]
    page = await gateway.get("/conversations", is_active="true", limit=2)
    await gateway.http.post(f"/conversations/{page['last_id']}/close")
    rest = await gateway.listed("/conversations", is_active="true", after=page["last_id"])
    assert [row["id"] for row in rest] == whole[2:]


async def test_a_users_history(gateway: Gateway, history: list[dict[str, Any]]) -> None:
    """A user's conversations, the thread across them, and the chain from either end."""
    first, second = history[0], history[len(PHONES)]
    user_id = first["user_id"]
    mine = await gateway.listed("/conversations", user_id=user_id)
    assert [row["id"] for row in mine] == [second["id"], first["id"]]
    thread = await gateway.listed(f"/users/{user_id}/messages")
    assert [(row["text"], row["conversation_id"]) for row in thread] == [("prima", first["id"]), ("dopo", second["id"])]
    for start in (first, second):
        chain = await gateway.listed(f"/conversations/{start['id']}/chain")
        assert [row["id"] for row in chain] == [first["id"], second["id"]]


async def test_threads(gateway: Gateway, clock: Clock) -> None:
    """A thread is oldest first, in pages, and holds both sides; another thread's message is no cursor of it."""
    conversation = (await gateway.say("uno"))["conversation"]
    await gateway.reply(conversation["id"], "due", sent_at=clock.advance(seconds=1).isoformat())
    await gateway.say("tre", at=clock.advance(seconds=1))
    path = f"/conversations/{conversation['id']}/messages"
    texts = [(row["text"], row["direction"]) for row in await gateway.listed(path)]
    assert texts == [("uno", "inbound"), ("due", "outbound"), ("tre", "inbound")]
    assert [len(page) for page in await pages(gateway, path, limit=2)] == [2, 1]
    assert [row["text"] for row in await gateway.listed(path, order="desc", limit=1)] == ["tre"]
    stranger = await gateway.say("altro", identity="+393339999999")
    assert_problem(await gateway.http.get(path, params={"after": stranger["message"]["id"]}), 422, "invalid_cursor")


async def test_usage_is_kept_with_a_reply(gateway: Gateway) -> None:
    """A gateway that calls OpenAI itself reports what that used."""
    conversation = (await gateway.say("ciao"))["conversation"]
    usage = {"model": "gpt-x", "input_tokens": 120, "cached_input_tokens": 0, "output_tokens": 9}
    assert (await gateway.reply(conversation["id"], "Buongiorno", usage=usage))["text"] == "Buongiorno"


async def test_users(gateway: Gateway, clock: Clock) -> None:
    """A user has identities, a name when it is known, counts, and the active conversation."""
    answer = await gateway.say("ciao", aliases=["IT.134912086553", "crm-77"])
    user_id = answer["conversation"]["user_id"]
    clock.advance(days=3)
    latest = (await gateway.say("/new", identity="crm-77"))["conversation"]
    user = await gateway.get(f"/users/{user_id}")
    assert sorted(user["identities"]) == ["+393331234567", "IT.134912086553", "crm-77"]
    assert (user["display_name"], user["cohort"]) == (None, "window")
    assert (user["conversation_count"], user["message_count"]) == (2, 1)
    assert (user["first_seen_at"], user["last_seen_at"]) == ("2026-03-02T09:00:00Z", "2026-03-05T09:00:00Z")
    assert [row["id"] for row in user["active_conversations"]] == [latest["id"]]
    for identity in ("0039 333 1234567", "IT.134912086553", "crm-77", user_id):
        found = await gateway.http.post("/users/lookup", json={"identity": identity})
        assert found.json() == user


@pytest.mark.parametrize(
    ("q", "names"),
    [
        pytest.param("bianchi", {"Maria Bianchi", "Luca Ferri"}, id="a surname and a company"),
        pytest.param("NICOLÒ", {"Nicolò D'Angelo"}, id="accents and capitals"),
        pytest.param("maria bianchi", {"Maria Bianchi"}, id="two words"),
        pytest.param("100%", {"Sconti 100% Srl"}, id="a percent sign is no wildcard"),
        pytest.param("_", set(), id="nor is an underscore"),
        pytest.param("rossi", set(), id="nobody"),
    ],
)
async def test_search(gateway: Gateway, q: str, names: set[str]) -> None:
    """`q` finds users by name and company, whatever the capitals."""
    people = [
        {"name": "Maria", "last_name": "Bianchi", "ragione_sociale": "Molino Srl"},
        {"name": "Luca", "last_name": "Ferri", "ragione_sociale": "Bianchi & Figli Spa"},
        {"name": "Nicolò", "last_name": "D'Angelo"},
        {"ragione_sociale": "Sconti 100% Srl"},
    ]
    for number, profile in enumerate(people):
        user_id = (await gateway.say("ciao", identity=PHONES[number]))["conversation"]["user_id"]
        await gateway.http.put(f"/users/{user_id}/profile", json=profile)
    assert {row["display_name"] for row in await gateway.listed("/users", q=q)} == names


async def test_profiles_stay_partial(gateway: Gateway) -> None:
    """The given fields are replaced, the others stay; null or an empty text empties a field."""
    user_id = (await gateway.say("ciao"))["conversation"]["user_id"]
    path = f"/users/{user_id}/profile"
    empty = await gateway.get(path)
    assert (empty["name"], empty["found_all_info"], empty["updated_at"]) == (None, False, None)
    await gateway.http.put(path, json={"name": " Maria ", "email": "maria@bianchi.it"})
    await gateway.http.put(path, json={"last_name": "Bianchi", "email": ""})
    profile = await gateway.get(path)
    assert (profile["name"], profile["last_name"], profile["email"]) == ("Maria", "Bianchi", None)
    assert profile["updated_at"] == "2026-03-02T09:00:00Z"


async def test_aliases(gateway: Gateway) -> None:
    """An alias of somebody else is refused, and the message is stored all the same."""
    mine = (await gateway.say("ciao"))["conversation"]
    await gateway.say("ciao", identity="crm-1")
    answer = await gateway.post("ancora", aliases=["crm-1"], id="wamid.X")
    assert_problem(answer, 409, "identity_taken")
    thread = await gateway.listed(f"/users/{mine['user_id']}/messages")
    assert [(row["text"], row["conversation_id"] is None) for row in thread] == [("ciao", False), ("ancora", True)]
    again = await gateway.say("ancora", id="wamid.X")
    assert (again["conversation"]["id"], again["duplicate"]) == (mine["id"], False)


async def test_an_alias_finds_the_user(gateway: Gateway) -> None:
    """Somebody known by phone who first comes with a business-scoped id is the same person."""
    mine = (await gateway.say("ciao"))["conversation"]
    same = (await gateway.say("ancora", identity="IT.1349", aliases=["+393331234567"]))["conversation"]
    assert same["id"] == mine["id"]


async def test_identities(gateway: Gateway) -> None:
    """An operator links an identity; one of somebody else is refused; one that is linked already is no error."""
    user_id = (await gateway.say("ciao"))["conversation"]["user_id"]
    await gateway.say("ciao", identity="crm-1")
    path = f"/users/{user_id}/identities"
    for _ in range(2):
        linked = await gateway.http.post(path, json={"identity": "crm-2"})
        assert (linked.status_code, linked.json()["identities"]) == (201, ["+393331234567", "crm-2"])
    assert_problem(await gateway.http.post(path, json={"identity": "crm-1"}), 409, "identity_taken")


async def test_openapi_names_every_problem(gateway: Gateway) -> None:
    """The published document knows no error shape but the problem."""
    document = await gateway.get("/openapi.json")
    assert "HTTPValidationError" not in str(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {"4XX", "5XX"} <= operation["responses"].keys()
            assert operation["summary"]


async def test_health(gateway: Gateway) -> None:
    """Without a key: the process lives, and the database is of this version."""
    del gateway.http.headers["Authorization"]
    assert await gateway.get("/livez") == {"status": "ok"}
    assert await gateway.get("/readyz") == {"status": "ok"}


async def test_a_database_of_another_version(gateway: Gateway, database: Database) -> None:
    """Before the migrations have run the service lives, and is not ready."""
    for change in ("UPDATE alembic_version SET version_num = '0001'", "DROP TABLE alembic_version"):
        async with database.write.begin() as tx:
            await tx.execute(sa.text(change))
        assert_problem(await gateway.http.get("/readyz"), 503, "migrations_pending")
        assert (await gateway.http.get("/livez")).status_code == 200
