"""Edits and revocations: whatever would tell a later conversation of a message tells its new form, or nothing."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Base, Conversation, Opening
from convo_service.llm.emulator import Emulator
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.model import Model

SECRET = "Il codice del portone è B472"
OTHER = "Vorrei 25 sacchi di farina Manitoba"
with_model = pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini", "summary_min_tokens": 0}])


async def edit(gateway: Gateway, id: str, text: str, **more: Any) -> dict[str, Any]:
    """Pass a webhook's edit on; it has to succeed."""
    body = {"identity": MARIA, "id": id, "text": text, **more}
    answer = await gateway.http.post("/messages/edits", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def revoke(gateway: Gateway, id: str, *, status: int = 200, identity: str = MARIA) -> dict[str, Any] | None:
    """Pass a webhook's revocation on."""
    answer = await gateway.http.post("/messages/revocations", json={"identity": identity, "id": id})
    assert answer.status_code == status, answer.text
    message: dict[str, Any] | None = answer.json()["message"]
    return message


async def stored(database: Database) -> str:
    """Everything that is in any table, as text."""
    async with database.read.begin() as tx:
        return str([(await tx.execute(sa.select(table))).all() for table in Base.metadata.sorted_tables])


async def found(gateway: Gateway, q: str) -> list[str]:
    """What the search finds."""
    return [one["id"] for one in await gateway.listed("/messages", q=q)]


async def test_an_edit(gateway: Gateway, database: Database, clock: Clock) -> None:
    """The new text stands in the thread, the search and the next seed; the old one nowhere."""
    got = await gateway.say(SECRET, id="wamid.A")
    clock.advance(minutes=1)
    edited = await edit(gateway, "wamid.A", "Il codice del portone è C999")
    assert edited["id"] == got["message"]["id"]
    assert (edited["text"], edited["edited_at"]) == ("Il codice del portone è C999", "2026-03-02T09:01:00Z")
    assert edited["revoked_at"] is None
    assert await gateway.listed(f"/conversations/{got['conversation']['id']}/messages") == [edited]
    assert (await found(gateway, "C999"), await found(gateway, "B472")) == ([edited["id"]], [])
    clock.advance(days=3)
    assert "C999" in (await gateway.say("Eccomi"))["conversation"]["seed"]["text"]
    assert "B472" not in await stored(database)


async def test_a_revocation(gateway: Gateway, database: Database, clock: Clock) -> None:
    """The row stays, and says when; its text is nowhere any more, and the counts are what they were."""
    got = await gateway.say(SECRET, id="wamid.A")
    await gateway.say(OTHER)
    revoked = await revoke(gateway, "wamid.A")
    assert revoked is not None
    assert (revoked["text"], revoked["revoked_at"]) == ("", "2026-03-02T09:00:00Z")
    assert await found(gateway, "portone") == []
    clock.advance(days=3)
    opened = (await gateway.say("Eccomi"))["conversation"]
    assert "Manitoba" in opened["seed"]["text"]
    assert "B472" not in await stored(database)
    assert (await gateway.get(f"/conversations/{got['conversation']['id']}"))["message_count"] == 2


async def test_the_first_form_once_more(gateway: Gateway) -> None:
    """A webhook that comes again after an edit or a revocation is the repeat that it is."""
    for id_, change in (("wamid.A", edit(gateway, "wamid.A", "Anzi, due")), ("wamid.B", revoke(gateway, "wamid.B"))):
        await gateway.say(SECRET, id=id_)
        await change
        again = await gateway.say(SECRET, id=id_)
        assert again["duplicate"] is True
        assert again["message"]["text"] in ("Anzi, due", "")
    assert again["input"] is None


async def test_twice_and_out_of_order(gateway: Gateway, clock: Clock) -> None:
    """The same again changes nothing; of two edits the later one stands, and a revocation is final."""
    await gateway.say(OTHER, id="wamid.A")
    clock.advance(minutes=10)
    first = await edit(gateway, "wamid.A", "Anzi, due", sent_at="2026-03-02T09:05:00Z")
    assert first["edited_at"] == "2026-03-02T09:05:00Z"
    assert await edit(gateway, "wamid.A", "Anzi, due", sent_at="2026-03-02T09:06:00Z") == first
    assert await edit(gateway, "wamid.A", "Anzi, tre", sent_at="2026-03-02T09:04:00Z") == first
    revoked = await revoke(gateway, "wamid.A")
    clock.advance(minutes=1)
    assert await revoke(gateway, "wamid.A") == revoked
    assert await edit(gateway, "wamid.A", "Anzi, quattro") == revoked


async def test_by_our_id(gateway: Gateway) -> None:
    """The same by the id of the history, for the bot's words as well."""
    got = await gateway.say(OTHER, id="wamid.A")
    said = await gateway.reply(got["conversation"]["id"], "Costa 30 euro")
    edited = (await gateway.http.patch(f"/messages/{said['id']}", json={"text": "Costa 20 euro"})).json()
    assert edited["text"] == "Costa 20 euro"
    gone = (await gateway.http.delete(f"/messages/{got['message']['id']}")).json()
    assert (gone["text"], gone["external_id"]) == ("", "wamid.A")
    thread = await gateway.listed(f"/conversations/{got['conversation']['id']}/messages")
    assert {one["id"]: one["text"] for one in thread} == {said["id"]: "Costa 20 euro", gone["id"]: ""}


@pytest.mark.parametrize("is_edit", [True, False])
async def test_an_earlier_seed(gateway: Gateway, clock: Clock, database: Database, is_edit: bool) -> None:
    """A piece that was carried on, long after its conversation was closed, goes with its message, or says the new."""
    await gateway.say(SECRET, id="wamid.A")
    for text in ("Eccomi", "Ancora io"):
        clock.advance(days=3)
        opened = (await gateway.say(text))["conversation"]
        assert "B472" in opened["seed"]["text"]
    if is_edit:
        await edit(gateway, "wamid.A", "Il codice del portone è C999")
    else:
        await revoke(gateway, "wamid.A")
    assert "B472" not in await stored(database)
    clock.advance(days=3)
    seed = (await gateway.say("Buongiorno"))["conversation"]["seed"]
    assert ("C999" in seed["text"]) is is_edit
    assert "B472" not in seed["text"]


@with_model
async def test_summaries_and_notes(
    gateway: Gateway, clock: Clock, sweep: Sweep, model: Model, database: Database
) -> None:
    """What a model made of it goes; what rests on other messages, too, and is true of those alone, stays."""
    model.summary = {
        "topics": [("codice portone", "B472")],
        "facts": [("Il codice del portone è B472", "B472"), ("Vorrei 25 sacchi di farina Manitoba", "")],
        "open_issues": [("Il portone ha il codice B472", "B472")],
        "preferences": [("25 sacchi di farina Manitoba", "Manitoba")],
    }
    first = await gateway.say(SECRET, id="wamid.A")
    await gateway.say(OTHER, id="wamid.B")
    user = first["conversation"]["user_id"]
    clock.advance(hours=2)
    await sweep.run_once()
    assert len(await gateway.listed(f"/users/{user}/notes")) == 2
    await revoke(gateway, "wamid.A")
    (note,) = await gateway.listed(f"/users/{user}/notes")
    assert note["text"] == "25 sacchi di farina Manitoba"
    (summary,) = await gateway.listed(f"/users/{user}/summaries")
    assert (summary["topics"], summary["facts"]) == ([], [])
    assert "B472" not in await stored(database)
    clock.advance(days=3)
    assert "B472" not in (await gateway.say("Eccomi"))["conversation"]["seed"]["text"]


@with_model
async def test_a_statement_of_two_messages(gateway: Gateway, clock: Clock, sweep: Sweep, model: Model) -> None:
    """It stands as long as what is left of its messages says it."""
    model.summary = {"facts": [("Vorrei 25 sacchi di farina Manitoba", "Manitoba")]}
    got = await gateway.say(OTHER, id="wamid.A")
    await gateway.say("Sì, la farina Manitoba", id="wamid.B")
    path = f"/users/{got['conversation']['user_id']}/summaries"
    clock.advance(hours=2)
    await sweep.run_once()
    assert len((await gateway.listed(path))[0]["facts"][0]["message_ids"]) == 2
    await revoke(gateway, "wamid.B")
    assert (await gateway.listed(path))[0]["facts"][0]["message_ids"] == [got["message"]["id"]]
    await edit(gateway, "wamid.A", "Vorrei 5 sacchi di farina Manitoba")
    assert (await gateway.listed(path))[0]["facts"] == []


@with_model
async def test_a_summary_that_is_being_made(
    gateway: Gateway, clock: Clock, sweep: Sweep, emulator: Emulator, model: Model, database: Database
) -> None:
    """What is revoked while the model reads it is not kept."""
    model.summary = {"facts": [("Il codice del portone è B472", "B472")]}
    await gateway.say(SECRET, id="wamid.A")
    clock.advance(hours=2)
    emulator.fail_next("responses.create", delay=0.5)
    sweeping = asyncio.create_task(sweep.run_once())
    async with asyncio.timeout(5):
        while not emulator.calls["responses.create"]:  # noqa: ASYNC110 - it does not call back
            await asyncio.sleep(0.01)
    await revoke(gateway, "wamid.A")
    await sweeping
    assert "B472" not in await stored(database)


async def test_an_operators_edit(gateway: Gateway, clock: Clock, database: Database) -> None:
    """A pinned piece of it, or another wording, goes with it."""
    got = await gateway.say(SECRET, id="wamid.A")
    await gateway.say(OTHER)
    user = got["conversation"]["user_id"]
    entries = (await gateway.get(f"/users/{user}/seed"))["entries"]
    entry = next(one for one in entries if "B472" in one["text"] and one["section"] == "history")
    await gateway.http.patch(
        f"/users/{user}/seed/entries/{entry['id']}", json={"text": "Portone B472!", "pinned": True}
    )
    await revoke(gateway, "wamid.A")
    seed = await gateway.get(f"/users/{user}/seed")
    assert "B472" not in str(seed)
    assert "B472" not in await stored(database)


@pytest.mark.parametrize("env", [{"max_conversation_messages": 4, "openai_model": "gpt-5-mini"}])
async def test_what_is_owed(
    gateway: Gateway, clock: Clock, emulator: Emulator, database: Database, sweep: Sweep
) -> None:
    """A seed and carried talk that travel with the first turn, and were not sent yet, are brought into line."""
    await gateway.ask("Il codice è B472", id="wamid.A")
    await gateway.ask("Il sacco è C111", id="wamid.B")
    emulator.fail_next("responses.create", status=500)
    assert_problem(await gateway.turn("Eccomi", id="wamid.C"), 503, "upstream_unavailable")
    assert "B472" in await stored(database)
    await revoke(gateway, "wamid.A")
    await edit(gateway, "wamid.B", "Il sacco è D222")
    async with database.read.begin() as tx:
        owed = (await tx.scalars(sa.select(Conversation.owed_items))).all()
    texts = [one["content"] for items in owed if items for one in items]
    assert not any("B472" in one or "C111" in one for one in texts)
    assert "Il sacco è D222" in texts
    await gateway.ask("Eccomi", id="wamid.C")
    sent = str(emulator.requests[-1].body["input"])
    assert "D222" in sent
    assert not any(word in sent for word in ("B472", "C111"))


async def test_an_opening_that_waits(gateway: Gateway, clock: Clock, emulator: Emulator, database: Database) -> None:
    """The seed of an opening that failed is made anew; one that is on its way is waited for."""
    await gateway.say(SECRET, id="wamid.A")
    clock.advance(days=3)
    emulator.fail_next("conversations.create", status=500, times=9)
    assert (await gateway.say("Eccomi"))["degraded"] == "stale_conversation"
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Opening).values(lease_until=1e12))
    body = {"identity": MARIA, "id": "wamid.A"}
    answer = await gateway.http.post("/messages/revocations", json=body)
    assert_problem(answer, 409, "opening_in_progress")
    assert answer.headers["retry-after"] == "1"
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Opening).values(lease_until=0))
    await revoke(gateway, "wamid.A")
    assert "B472" not in await stored(database)


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_in_a_pause(gateway: Gateway, emulator: Emulator) -> None:
    """What was revoked before the bot goes on is not told to it; what was edited is told as it is."""
    user = (await gateway.ask("Ciao"))["conversation"]["user_id"]
    await gateway.http.put(f"/users/{user}/pause")
    await gateway.ask(SECRET, id="wamid.A")
    await gateway.ask(OTHER, id="wamid.B")
    await revoke(gateway, "wamid.A")
    await edit(gateway, "wamid.B", "Anzi, 5 sacchi")
    await gateway.http.delete(f"/users/{user}/pause")
    await gateway.ask("Eccomi")
    assert [one["content"] for one in emulator.requests[-1].body["input"]][1:] == ["Anzi, 5 sacchi", "Eccomi"]


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_a_revocation_that_comes_first(
    gateway: Gateway, database: Database, clock: Clock, emulator: Emulator, is_known: bool
) -> None:
    """It is remembered, and nothing of the message is stored when it comes; nobody answers it, and others are."""
    if is_known:
        await gateway.ask("Ciao")
    assert await revoke(gateway, "wamid.A", status=202) is None
    assert await revoke(gateway, "wamid.A", status=202) is None
    clock.advance(days=1)
    emulator.reset()
    turn = await gateway.ask(SECRET, id="wamid.A")
    assert (turn["status"], turn["reply"], turn["paused"]) == ("completed", None, False)
    assert emulator.calls["responses.create"] == 0
    (message,) = [one for one in await gateway.listed(f"/users/{turn['user_id']}/messages") if one["revoked_at"]]
    assert (message["text"], message["external_id"]) == ("", "wamid.A")
    assert "B472" not in await stored(database)
    assert (await gateway.say(SECRET, id="wamid.A"))["duplicate"] is True
    assert (await gateway.say("E questo?", id="wamid.B"))["input"] == "E questo?"


async def test_one_that_is_appended_later(gateway: Gateway, database: Database) -> None:
    """The same for what is said elsewhere."""
    got = await gateway.say("Ciao")
    await revoke(gateway, "wamid.A", status=202)
    said = await gateway.reply(got["conversation"]["id"], SECRET, id="wamid.A")
    assert (said["text"], said["revoked_at"]) == ("", "2026-03-02T09:00:00Z")
    assert "B472" not in await stored(database)


async def test_how_long_it_is_remembered(gateway: Gateway, clock: Clock, sweep: Sweep) -> None:
    """For eight days: no webhook comes later."""
    await gateway.say("Ciao")
    await revoke(gateway, "wamid.A", status=202)
    clock.advance(days=8)
    await sweep.run_once()
    assert (await gateway.say("Eccomi", id="wamid.A"))["input"] == "Eccomi"


async def test_what_is_not_there(gateway: Gateway) -> None:
    """An edit of an unknown message, or of nobody's, is a 404; a gateway may repeat it when the message has come."""
    body = {"identity": MARIA, "id": "wamid.A", "text": "Anzi, due"}
    assert_problem(await gateway.http.post("/messages/edits", json=body), 404, "user_not_found")
    await gateway.say("Ciao")
    assert_problem(await gateway.http.post("/messages/edits", json=body), 404, "message_not_found")
    assert_problem(await gateway.http.delete("/messages/msg_nobody"), 404, "message_not_found")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("edits", {"identity": MARIA, "id": "wamid.A"}, id="no text"),
        pytest.param("edits", {"identity": MARIA, "id": "wamid.A", "text": ""}, id="an empty text"),
        pytest.param("edits", {"identity": MARIA, "id": "wamid.A", "text": "\u200b"}, id="a text that nobody can see"),
        pytest.param("edits", {"identity": MARIA, "id": "wamid.A", "text": "x" * 8001}, id="a text that is too long"),
        pytest.param("edits", {"identity": MARIA, "id": "", "text": "due"}, id="an empty id"),
        pytest.param("edits", {"identity": "", "id": "wamid.A", "text": "due"}, id="no identity"),
        pytest.param("edits", {"identity": MARIA, "id": "w", "text": "due", "sent_at": "ieri"}, id="no time"),
        pytest.param("revocations", {"identity": MARIA}, id="no id"),
        pytest.param("revocations", {"identity": MARIA, "id": 7}, id="an id that is a number"),
        pytest.param("revocations", {"identity": MARIA, "id": "wamid.A", "text": "due"}, id="an unknown field"),
        pytest.param("revocations", {"identity": "x" * 129, "id": "wamid.A"}, id="a long identity"),
    ],
)
async def test_bad_input(gateway: Gateway, database: Database, path: str, body: Any) -> None:
    """It is a 422, and nothing is changed."""
    await gateway.say(OTHER, id="wamid.A")
    before = await stored(database)
    answer = await gateway.http.post(f"/messages/{path}", json=body)
    assert_problem(answer, 422, answer.json()["code"])
    assert await stored(database) == before


async def test_of_the_future(gateway: Gateway) -> None:
    """An edit of the future would keep every later one out."""
    await gateway.say(OTHER, id="wamid.A")
    body = {"identity": MARIA, "id": "wamid.A", "text": "due", "sent_at": "2026-03-02T09:06:00Z"}
    assert_problem(await gateway.http.post("/messages/edits", json=body), 422, "sent_at_in_future")
