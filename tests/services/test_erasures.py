"""Erasing people: nothing is left, here or at OpenAI, and nothing brings them back."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from convo_service.db.engine import Database
from convo_service.db.models import Base, Erasure, RemoteGarbage, RemoteId, Tombstone, User
from convo_service.db.statements import table_of
from convo_service.llm.emulator import Emulator
from convo_service.services import erasing
from convo_service.services.erasures import Erasures
from convo_service.services.patience import settle
from convo_service.services.sweep import Sweep
from convo_service.services.tallying import Tallying
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.services.test_upkeep import everything_rested

LUCA = "+393339999999"
BSUID = "IT.13491208655302741918"
WORDS = ("quarzovix", "brambillozzi", "fattorenza", "notabilux", "pinnatox")
env_with_a_model = pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini", "summary_min_tokens": 0}])


async def fill(gateway: Gateway, clock: Clock, emulator: Emulator, identity: str = MARIA) -> str:
    """A user with a row in every table that people have rows in."""
    emulator.reply_next(f"Certo, {WORDS[2]}")
    first = await gateway.ask(f"Vorrei il {WORDS[0]}", id="w1", identity=identity, aliases=[BSUID])
    user: str = first["conversation"]["user_id"]
    path = f"/users/{user}"
    await gateway.http.put(f"{path}/profile", json={"name": "Maria", "ragione_sociale": WORDS[1]})
    await gateway.http.post(f"{path}/notes", json={"kind": "issue", "text": WORDS[3]})
    clock.advance(hours=49)
    await gateway.say(f"Sono tornata per il {WORDS[0]}", id="w2", identity=identity)
    seed = (await gateway.http.post(f"{path}/seed/regenerate")).json()
    entry = next(one["id"] for one in seed["entries"] if one["section"] == "history")
    edited = await gateway.http.patch(f"{path}/seed/entries/{entry}", json={"text": WORDS[4], "pinned": True})
    assert edited.status_code == 200, edited.text
    clock.advance(hours=49)
    emulator.fail_next("conversations.create", status=503)
    await gateway.say("Ancora io", id="w3", identity=identity)  # an opening that is owed
    return user


async def erase(gateway: Gateway, user: str) -> dict[str, Any]:
    """Ask for it, and let what goes on in the background come to its end."""
    answer = await gateway.http.delete(f"/users/{user}")
    assert answer.status_code == 202, answer.text
    await settle(10)
    return dict(answer.json())


def _tomorrow() -> datetime:
    """When all that was said has been there for long; ids have the time at which they were made, whatever the clock."""
    return datetime.now(UTC) + timedelta(days=1)


async def rows_of(database: Database, user: str) -> dict[str, int]:
    """How many rows each table has of a user."""
    tables = [table for table in Base.metadata.sorted_tables if "user_id" in table.c]
    async with database.read.begin() as tx:
        return {
            table.name: await tx.scalar(sa.select(sa.func.count()).where(table.c.user_id == user)) or 0
            for table in tables
        }


@env_with_a_model
async def test_nothing_is_left(
    gateway: Gateway, clock: Clock, emulator: Emulator, database: Database, sweep: Sweep
) -> None:
    """Every table with a user is emptied, and at OpenAI items, conversations and responses; the receipt counts them."""
    user = await fill(gateway, clock, emulator)
    await Tallying(database, _tomorrow, "Europe/Rome").run_once()
    ids = [one["id"] for one in await gateway.listed("/conversations", user_id=user)]
    before = await rows_of(database, user)
    assert {name for name, count in before.items() if not count} == {"erasures", "merges"}
    items = sum(len(emulator.items(one)) for one in ids)
    asked = await erase(gateway, user)
    assert (asked["state"], asked["remotes_left"]) == ("in_progress", 0)
    assert not any((await rows_of(database, user)).values())
    assert_problem(await gateway.http.get(f"/users/{user}"), 404, "user_not_found")
    receipt = await gateway.get(f"/erasures/{asked['id']}")
    assert (receipt["rows_left"], receipt["remotes_left"]) == (False, 3)
    assert receipt["rows"] == {**{name: count for name, count in before.items() if count}, "users": 1}
    assert emulator.calls["conversations.delete"] == 0
    await everything_rested(database)
    await sweep.run_once()
    receipt = await gateway.get(f"/erasures/{asked['id']}")
    assert (receipt["state"], receipt["remotes_left"]) == ("completed", 0)
    assert (receipt["remote_conversations"], receipt["remote_items"], receipt["stored_responses"]) == (2, items, 1)
    assert all(emulator.conversations()[one]["deleted"] and not emulator.items(one) for one in ids)
    assert emulator.calls["responses.delete"] == 1
    async with database.read.begin() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(RemoteId)) == 0
    assert user not in str(receipt)


@env_with_a_model
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_byte_is_left(
    gateway: Gateway, clock: Clock, emulator: Emulator, settings: Settings, sweep: Sweep, database: Database
) -> None:
    """Neither the file nor its log holds what she wrote, what was written of her, or a number of hers."""
    await gateway.say("Avete la farina?", identity=LUCA, id="l1")
    user = await fill(gateway, clock, emulator)
    for number in range(60):
        await gateway.say(f"Messaggio {number} sul {WORDS[0]}")
    file = settings.sqlite_file
    assert file is not None
    wanted = [*WORDS, MARIA, MARIA[1:], BSUID, user]
    assert [word for word in wanted if word not in _bytes(file)] == []
    await erase(gateway, user)
    assert [word for word in wanted if word in _bytes(file)] == []
    assert "farina" in _bytes(file)
    assert [row["text"] for row in await gateway.listed("/messages", q="farina")] == ["Avete la farina?"]
    await everything_rested(database)
    await sweep.run_once()
    assert [word for word in wanted if word in _bytes(file)] == []


def _bytes(file: Path) -> str:
    """All that lies in the file and in its log."""
    parts = [one.read_bytes() for one in (file, file.with_name(f"{file.name}-wal")) if one.exists()]
    return b"".join(parts).decode("latin-1")


async def test_a_repeated_webhook(gateway: Gateway, clock: Clock, database: Database) -> None:
    """What was erased does not come back for eight days, under whatever name; what is new is somebody new."""
    user = (await gateway.say("Vorrei la farina", id="w1", aliases=[BSUID]))["conversation"]["user_id"]
    await erase(gateway, user)
    assert_problem(await gateway.post("Vorrei la farina", id="w1"), 410, "message_erased")
    assert_problem(await gateway.post("Vorrei la farina", id="w1", identity=BSUID), 410, "message_erased")
    async with database.read.begin() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(User)) == 0
    clock.advance(days=1)
    new = await gateway.say("Buongiorno", id="w2")
    assert new["conversation"]["user_id"] != user
    assert new["conversation"]["created_reason"] == "first_contact"
    assert_problem(await gateway.post("Vorrei la farina", id="w1"), 410, "message_erased")
    assert (await gateway.say("Buongiorno", id="w2"))["duplicate"] is True
    assert len(await gateway.listed(f"/users/{new['conversation']['user_id']}/messages")) == 1


async def test_a_name_that_comes_later(gateway: Gateway, clock: Clock) -> None:
    """Whoever is given a name of somebody erased is looked at, too."""
    user = (await gateway.say("Vorrei la farina", id="w1"))["conversation"]["user_id"]
    await erase(gateway, user)
    other = (await gateway.say("Salve", identity=BSUID, id="b1"))["conversation"]["user_id"]
    linked = await gateway.http.post(f"/users/{other}/identities", json={"identity": MARIA})
    assert linked.status_code == 201
    assert_problem(await gateway.post("Vorrei la farina", id="w1"), 410, "message_erased")
    assert (await gateway.say("Eccomi", id="w2"))["conversation"]["user_id"] == other


async def test_tombstones_go(gateway: Gateway, clock: Clock, database: Database, sweep: Sweep) -> None:
    """After eight days the tombstone of a message is gone, and the user is served on the quick way again."""
    user = (await gateway.say("Vorrei la farina", id="w1"))["conversation"]["user_id"]
    await erase(gateway, user)
    await gateway.say("Buongiorno", id="w2")
    clock.advance(days=8)
    done = await sweep.run_once()
    assert done["tombstones_cleared"] == 1
    for number in range(2):
        await gateway.say("Eccomi", id=f"n{number}")
    async with database.read.begin() as tx:
        found = (await tx.scalars(sa.select(User))).one()
        assert (found.repeats_until, bool(found.rollout)) == (None, True)
        assert len((await tx.scalars(sa.select(Tombstone))).all()) == 1


async def test_nothing_half_erased_is_served(
    app: FastAPI, gateway: Gateway, database: Database, emulator: Emulator, clock: Clock
) -> None:
    """Between the first transaction and the last nobody finds the user, and who writes is somebody new."""
    got = await gateway.say("Vorrei la farina", id="w1")
    user, conversation = got["conversation"]["user_id"], got["conversation"]["id"]
    note = (await gateway.http.post(f"/users/{user}/notes", json={"kind": "note", "text": "x"})).json()
    erasures: Erasures = app.state.services.erasures
    erasure = await erasures.lock_out(user)
    http = gateway.http
    for path in ("", "/messages", "/profile", "/notes", "/seed", "/summaries", "/export"):
        assert_problem(await http.get(f"/users/{user}{path}"), 404, "user_not_found")
    for path in ("", "/messages", "/chain"):
        assert_problem(await http.get(f"/conversations/{conversation}{path}"), 404, "conversation_not_found")
    assert_problem(await http.patch(f"/notes/{note['id']}", json={"text": "y"}), 404, "note_not_found")
    assert_problem(await http.post(f"/users/{user}/reset"), 404, "user_not_found")
    assert_problem(await gateway.post("ciao", identity=user), 404, "user_not_found")
    body = {"messages": [{"direction": "outbound", "text": "Certo"}]}
    assert_problem(await http.post(f"/conversations/{conversation}/messages", json=body), 404, "conversation_not_found")
    assert await gateway.listed("/users") == []
    assert (await gateway.say("Buongiorno", id="w2"))["conversation"]["user_id"] != user
    assert (await erasures.lock_out(user)).id == erasure.id
    await erasures.carry_out(erasure.id)
    assert not any((await rows_of(database, user)).values())
    assert_problem(await http.delete(f"/users/{user}"), 404, "user_not_found")


@env_with_a_model
async def test_a_turn_in_the_middle(
    gateway: Gateway, database: Database, emulator: Emulator, clock: Clock, sweep: Sweep
) -> None:
    """A reply that comes when its user is erased is kept nowhere, and OpenAI's copy of it goes, too."""
    user = (await gateway.ask("Vorrei la farina", id="w1"))["conversation"]["user_id"]
    emulator.fail_next("responses.create", delay=2.0)
    asking = asyncio.create_task(gateway.turn("E il lievito?", id="w2"))
    async with asyncio.timeout(10):
        while emulator.calls["responses.create"] < 2:  # noqa: ASYNC110 - the emulator counts, it does not call back
            await asyncio.sleep(0.01)
    await erase(gateway, user)
    assert_problem(await asking, 404, "turn_not_found")
    assert_problem(await gateway.turn("E il lievito?", id="w2"), 410, "message_erased")
    assert not any((await rows_of(database, user)).values())
    await everything_rested(database)
    await sweep.run_once()
    assert emulator.calls["responses.delete"] == 2


async def test_a_message_in_the_same_moment(app: FastAPI, gateway: Gateway, database: Database, clock: Clock) -> None:
    """Whoever found the user a moment before looks again, and is somebody new: a message is no 404 for its identity."""
    user = (await gateway.say("Vorrei la farina", id="w1"))["conversation"]["user_id"]
    marker = Marker(await app.state.services.erasures.pepper.read())
    async with database.write.begin() as tx:
        await erasing.lock_out(tx, user, [], marker, clock(), rest=0)
        asking = [asyncio.create_task(gateway.post(text, id=text)) for text in ("/new", "Eccomi")]
        await asyncio.sleep(0.5)  # on PostgreSQL both wait for the user's row
    answers = [await one for one in asking]
    assert {one.status_code for one in answers} <= {200, 201}, [one.text for one in answers]
    assert len({one.json()["conversation"]["user_id"] for one in answers} - {user}) == 1
    assert_problem(await gateway.post("Vorrei la farina", id="w1"), 410, "message_erased")


async def test_an_opening_in_the_middle(gateway: Gateway, database: Database, emulator: Emulator, sweep: Sweep) -> None:
    """A conversation that is being opened is never finished, and does not stay at OpenAI."""
    emulator.fail_next("conversations.create", delay=2.0)
    asking = asyncio.create_task(gateway.post("Vorrei la farina", id="w1"))
    async with asyncio.timeout(10):
        while not emulator.calls["conversations.create"]:  # noqa: ASYNC110 - the emulator counts, it does not call back
            await asyncio.sleep(0.01)
    async with database.read.begin() as tx:
        user = (await tx.scalars(sa.select(User.id))).one()
    await erase(gateway, user)
    assert_problem(await asking, 410, "message_erased")
    await settle(3)
    await everything_rested(database)
    await sweep.run_once()
    assert [one["deleted"] for one in emulator.conversations().values()] == [True]


@pytest.mark.parametrize("is_merged", [False, True], ids=["hers", "of somebody merged into her"])
async def test_what_was_never_used(
    gateway: Gateway, database: Database, emulator: Emulator, clock: Clock, sweep: Sweep, is_merged: bool
) -> None:
    """A seed whose answer got lost lies in a conversation that no row has: an erasure ends when that is gone, too."""
    user = (await gateway.say(f"Vorrei il {WORDS[0]}", id="w1"))["conversation"]["user_id"]
    clock.advance(hours=49)
    emulator.fail_next("items.create", after=True)
    await gateway.say("Buongiorno", id="w2")  # the old conversation, as the new one may hold a seed or not
    if is_merged:
        into = (await gateway.say("Salve", identity=LUCA, id="l1"))["conversation"]["user_id"]
        assert (await gateway.http.post(f"/users/{user}/merge", json={"into": into})).status_code == 200
        user = into
    erasure = (await erase(gateway, user))["id"]
    seeded = [id_ for id_ in emulator.conversations() if WORDS[0] in str(emulator.items(id_))]
    assert len(seeded) == 1
    emulator.fail_next("items.delete", status=500, times=1)
    for state in ("in_progress", "completed"):
        await everything_rested(database)
        await sweep.run_once()
        receipt = await gateway.get(f"/erasures/{erasure}")
        assert receipt["state"] == state, receipt
    assert all(one["deleted"] for one in emulator.conversations().values())
    assert receipt["remote_conversations"] == len(emulator.conversations())


async def test_many_rows(app: FastAPI, gateway: Gateway, database: Database, emulator: Emulator) -> None:
    """More rows than one transaction takes go in several, and the receipt has them all, whoever goes on."""
    user = (await gateway.say("Messaggio"))["conversation"]["user_id"]
    for number in range(9):
        await gateway.say(f"Messaggio {number}")
    erasures: Erasures = app.state.services.erasures
    erasure = await erasures.lock_out(user)
    async with database.write.begin() as tx:
        assert await erasing.erase_some(tx, erasure.id, erasures.clock(), rest=0, most=3)
    assert (await rows_of(database, user))["messages"] == 7
    await asyncio.gather(*(erasures.carry_out(erasure.id) for _ in range(3)))
    receipt = await gateway.get(f"/erasures/{erasure.id}")
    assert receipt["rows"]["messages"] == 10
    assert not receipt["rows_left"]


async def test_openai_fails_in_the_middle(
    gateway: Gateway, database: Database, emulator: Emulator, sweep: Sweep
) -> None:
    """The receipt stays open until OpenAI has deleted everything, and counts each item once."""
    got = await gateway.say("Vorrei la farina")
    await gateway.http.post(f"/users/{got['conversation']['user_id']}/reset")
    asked = await erase(gateway, got["conversation"]["user_id"])
    emulator.fail_next("conversations.delete", status=500)
    await everything_rested(database)
    await sweep.run_once()
    receipt = await gateway.get(f"/erasures/{asked['id']}")
    assert (receipt["state"], receipt["remotes_left"]) == ("in_progress", 1)
    await everything_rested(database)
    assert (await sweep.run_once())["erased"] == 1
    receipt = await gateway.get(f"/erasures/{asked['id']}")
    assert (receipt["state"], receipt["remote_conversations"], receipt["remote_items"]) == ("completed", 2, 2)


async def test_an_id_that_openai_refuses(
    gateway: Gateway, database: Database, emulator: Emulator, sweep: Sweep
) -> None:
    """Where OpenAI says that an id is none there is nothing to delete."""
    user = (await gateway.say("Vorrei la farina"))["conversation"]["user_id"]
    asked = await erase(gateway, user)
    emulator.fail_next("items.list", status=400)
    await everything_rested(database)
    await sweep.run_once()
    receipt = await gateway.get(f"/erasures/{asked['id']}")
    assert (receipt["state"], receipt["remote_conversations"]) == ("completed", 0)


async def test_others_are_left_alone(gateway: Gateway, database: Database) -> None:
    """Only the one who was asked for goes."""
    other = (await gateway.say("Avete il lievito?", identity=LUCA, id="w1"))["conversation"]
    user = (await gateway.say("Vorrei la farina", id="w1"))["conversation"]["user_id"]
    before = await rows_of(database, other["user_id"])
    await erase(gateway, user)
    assert await rows_of(database, other["user_id"]) == before
    assert (await gateway.say("Avete il lievito?", identity=LUCA, id="w1"))["duplicate"] is True


async def test_the_bots_rows(gateway: Gateway, database: Database) -> None:
    """What an adopted bot had of her goes, however it wrote her number, and is in the export before."""
    phones = ("+39 333 123 4567", "393331234567", "+393339999999")

    statements = (
        "INSERT INTO legacy_conversations (phone_number, conversation_id) VALUES (:phone, 'conv_' || :phone)",
        "INSERT INTO legacy_messages (phone_number, sender, message) VALUES (:phone, 'user', 'Ciao')",
    )
    async with database.write.begin() as tx:
        for one in statements:
            await tx.execute(sa.text(one), [{"phone": phone} for phone in phones])
    user = (await gateway.say("Vorrei la farina"))["conversation"]["user_id"]
    imported = (await gateway.get(f"/users/{user}/export"))["imported"]
    assert [row["phone_number"] for row in imported["messages"]] == list(phones[:2])
    assert {row["conversation_id"] for row in imported["conversations"]} == {f"conv_{one}" for one in phones[:2]}
    asked = await erase(gateway, user)
    rows = (await gateway.get(f"/erasures/{asked['id']}"))["rows"]
    assert (rows["legacy_conversations"], rows["legacy_messages"]) == (2, 2)
    query = sa.text("SELECT phone_number FROM legacy_messages")
    async with database.read.begin() as tx:
        assert list(await tx.scalars(query)) == ["+393339999999"]


async def test_an_erasure_that_is_none(gateway: Gateway, http: httpx.AsyncClient) -> None:
    """Unknown ids are 404."""
    assert_problem(await http.get("/erasures/erasure_x"), 404, "erasure_not_found")
    assert_problem(await http.delete("/users/usr_x"), 404, "user_not_found")


async def test_the_receipt_knows_nobody(gateway: Gateway, database: Database) -> None:
    """The row that is kept has neither a name nor the id of a user."""
    user = (await gateway.say("Vorrei la farina"))["conversation"]["user_id"]
    await erase(gateway, user)
    async with database.read.begin() as tx:
        row = (await tx.execute(sa.select(table_of(Erasure)))).one()
        garbage = (await tx.execute(sa.select(table_of(RemoteGarbage)))).one()
    assert user not in str(row)
    assert MARIA not in str((row, garbage))
