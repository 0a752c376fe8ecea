"""Merging two users who are one person, and telling two who share a number apart."""

from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Base, Conversation, User
from convo_service.llm.emulator import Emulator
from convo_service.services.merging import MOVED
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.services.test_erasures import fill, rows_of
from tests.services.test_upkeep import everything_rested

LUCA = "+393339999999"
ONE, OTHER = "IT.13491208655302741918", "IT.99991208655302741918"
env_with_a_model = pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini", "summary_min_tokens": 0}])


async def merge(gateway: Gateway, user: str, into: str) -> dict[str, Any]:
    """Merge; it has to succeed."""
    answer = await gateway.http.post(f"/users/{user}/merge", json={"into": into})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@env_with_a_model
async def test_all_rows_move(gateway: Gateway, clock: Clock, emulator: Emulator, database: Database) -> None:
    """Every row of the one is the other's afterwards, in every table; nothing is lost, and an audit row says so."""
    user = await fill(gateway, clock, emulator)
    stays = (await gateway.say("Salve", identity=LUCA, id="l1"))["conversation"]["user_id"]
    before, there = await rows_of(database, user), await rows_of(database, stays)
    merged = await merge(gateway, user, stays)
    assert merged["id"] == stays
    assert set(merged["identities"]) == {MARIA, LUCA, "IT.13491208655302741918"}
    assert not any((await rows_of(database, user)).values())
    wanted = {name: before[name] + there[name] for name in before}
    wanted |= {"openings": 0, "profiles": 1, "merges": 1}  # a rollover that is owed is judged anew
    assert await rows_of(database, stays) == wanted
    assert_problem(await gateway.http.get(f"/users/{user}"), 404, "user_not_found")
    (audit,) = (await gateway.get(f"/users/{stays}/export"))["merges"]
    assert audit["merged_user_id"] == user
    assert audit["rows"]["messages"] == before["messages"]


async def test_the_newer_one_stays_active(gateway: Gateway, clock: Clock, database: Database) -> None:
    """Of two active conversations the one in which she wrote last goes on; counts and order are the sum."""
    old = (await gateway.say("Prima", id="m1"))["conversation"]
    clock.advance(hours=1)
    new = (await gateway.say("Dopo", identity=LUCA, id="l1"))["conversation"]
    clock.advance(hours=1)
    merged = await merge(gateway, new["user_id"], old["user_id"])
    assert [one["id"] for one in merged["active_conversations"]] == [new["id"]]
    assert (merged["conversation_count"], merged["message_count"]) == (2, 2)
    closed = await gateway.get(f"/conversations/{old['id']}")
    assert (closed["is_active"], closed["closed_reason"]) == (False, "operator")
    for identity in (MARIA, LUCA):
        assert (await gateway.say("Eccomi", identity=identity))["conversation"]["id"] == new["id"]
    async with database.read.begin() as tx:
        rows = (await tx.scalars(sa.select(Conversation).order_by(Conversation.number))).all()
        assert [(row.number, row.id) for row in rows] == [(1, old["id"]), (2, new["id"])]
    found = await gateway.listed("/messages", q="prima")
    assert [row["user_id"] for row in found] == [old["user_id"]]


async def test_a_message_of_both(gateway: Gateway) -> None:
    """The same message id of both is the one's who stays; the repeat is a duplicate."""
    user = (await gateway.say("Ciao", id="1"))["conversation"]["user_id"]
    stays = (await gateway.say("Salve", identity=LUCA, id="1"))["conversation"]["user_id"]
    await merge(gateway, user, stays)
    assert (await gateway.say("Salve", identity=LUCA, id="1"))["duplicate"] is True
    assert len(await gateway.listed(f"/users/{stays}/messages")) == 2


async def test_profiles(gateway: Gateway) -> None:
    """What the one who stays leaves open is filled, and no more."""
    user = (await gateway.say("Ciao"))["conversation"]["user_id"]
    stays = (await gateway.say("Salve", identity=LUCA))["conversation"]["user_id"]
    await gateway.http.put(f"/users/{user}/profile", json={"name": "Maria", "email": "m@rossi.example"})
    await gateway.http.put(f"/users/{stays}/profile", json={"name": "Mariella", "last_name": "Rossi"})
    merged = await merge(gateway, user, stays)
    profile = await gateway.get(f"/users/{stays}/profile")
    assert (profile["name"], profile["last_name"], profile["email"]) == ("Mariella", "Rossi", "m@rossi.example")
    assert [one["id"] for one in await gateway.listed("/users", q="rossi")] == [merged["id"]]


async def test_the_version_moves(gateway: Gateway, database: Database) -> None:
    """Whoever decided by what he read before writes nothing."""
    user = (await gateway.say("Ciao"))["conversation"]["user_id"]
    stays = (await gateway.say("Salve", identity=LUCA))["conversation"]["user_id"]
    async with database.read.begin() as tx:
        before = (await tx.get_one(User, stays)).version
    await merge(gateway, user, stays)
    async with database.read.begin() as tx:
        assert (await tx.get_one(User, stays)).version > before


async def test_an_opening_of_the_one_who_goes(
    gateway: Gateway, emulator: Emulator, database: Database, sweep: Sweep, clock: Clock
) -> None:
    """What she was answered with stays; the rollover that is owed comes with her next message."""
    user = (await gateway.say("Ciao"))["conversation"]["user_id"]
    clock.advance(hours=49)
    emulator.fail_next("items.create", after=True)
    assert (await gateway.say("Eccomi"))["degraded"] == "stale_conversation"
    stays = (await gateway.say("Salve", identity=LUCA))["conversation"]
    await merge(gateway, user, stays["user_id"])
    assert (await gateway.say("Ancora io"))["conversation"]["id"] == stays["id"]
    await everything_rested(database)
    await sweep.run_once()
    assert sum(one["deleted"] for one in emulator.conversations().values()) == 1


async def test_no_merge(gateway: Gateway) -> None:
    """Unknown users are 404, one alone is 422."""
    user = (await gateway.say("Ciao"))["conversation"]["user_id"]
    http = gateway.http
    assert_problem(await http.post(f"/users/{user}/merge", json={"into": "usr_x"}), 404, "user_not_found")
    assert_problem(await http.post("/users/usr_x/merge", json={"into": user}), 404, "user_not_found")
    assert_problem(await http.post(f"/users/{user}/merge", json={"into": user}), 422, "invalid_request")


@pytest.mark.parametrize("names", [(MARIA, [OTHER]), (OTHER, [MARIA])], ids=["number first", "number as alias"])
@pytest.mark.parametrize("is_known", [False, True], ids=["a stranger", "known by the new id"])
async def test_a_recycled_number(gateway: Gateway, names: tuple[str, list[str]], is_known: bool) -> None:
    """The same number with another BSUID is another person: the number moves, the history stays."""
    old = (await gateway.say("Vorrei la farina", identity=MARIA, aliases=[ONE]))["conversation"]
    if is_known:
        known = (await gateway.say("Salve", identity=OTHER))["conversation"]["user_id"]
    identity, aliases = names
    new = (await gateway.say("Sono un altro", identity=identity, aliases=aliases))["conversation"]
    assert new["user_id"] != old["user_id"]
    assert not is_known or new["user_id"] == known
    assert (await gateway.say("Solo il numero", identity=MARIA))["conversation"]["user_id"] == new["user_id"]
    assert (await gateway.say("Sono io", identity=ONE))["conversation"]["user_id"] == old["user_id"]
    assert (await gateway.get(f"/users/{old['user_id']}"))["identities"] == [ONE]
    assert len(await gateway.listed(f"/users/{old['user_id']}/messages")) == 2
    assert set((await gateway.get(f"/users/{new['user_id']}"))["identities"]) == {MARIA, OTHER}


async def test_a_first_bsuid(gateway: Gateway) -> None:
    """A user without a BSUID takes the one that comes along; a number of hers goes with her."""
    user = (await gateway.say("Ciao"))["conversation"]["user_id"]
    assert (await gateway.say("Ciao", aliases=[ONE]))["conversation"]["user_id"] == user
    assert (await gateway.say("Ciao", identity=ONE))["conversation"]["user_id"] == user


def test_every_table_moves() -> None:
    """Each table with a user is moved, or has its own way."""
    own_way = {"identities", "profiles", "openings", "erasures"}
    tables = {table.name for table in Base.metadata.sorted_tables if "user_id" in table.c}
    assert tables == {model.__tablename__ for model in MOVED} | own_way
