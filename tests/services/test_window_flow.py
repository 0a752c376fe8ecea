"""The main job through HTTP: one conversation per window, what carries over, and what is kept."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from convo_service.domain.record import PREAMBLE
from convo_service.llm.emulator import Emulator
from tests.conftest import MONDAY, Clock
from tests.gateway import MARIA, Gateway, assert_problem


def items_of(emulator: Emulator, conversation_id: str) -> list[tuple[str, str]]:
    """What OpenAI holds: role and text of each item."""
    return [(item["role"], item["content"][0]["text"]) for item in emulator.items(conversation_id)]


async def test_first_contact(gateway: Gateway, emulator: Emulator) -> None:
    """The first message of a person opens an empty conversation at OpenAI, without parent and without seed."""
    answer = await gateway.say("Buongiorno, avete farina 00?")
    conversation = answer["conversation"]
    assert answer["created"] is True
    assert conversation["created_reason"] == "first_contact"
    assert conversation["parent_conversation_id"] is None
    assert conversation["seed"] is None
    assert conversation["message_count"] == 1
    assert conversation["identity"] == MARIA
    assert answer["message"]["conversation_id"] == conversation["id"]
    assert answer["input"] == "Buongiorno, avete farina 00?"
    assert items_of(emulator, conversation["id"]) == []
    assert emulator.conversations()[conversation["id"]]["metadata"].keys() == {"service", "attempt"}


async def test_expiry(gateway: Gateway, clock: Clock) -> None:
    """Exactly 48 hours after the last inbound message the next one opens a new conversation; the old one is kept."""
    first = (await gateway.say("Vorrei 20 sacchi di farina"))["conversation"]
    clock.advance(hours=48)
    second = (await gateway.say("Eccomi di nuovo"))["conversation"]
    assert second["id"] != first["id"]
    assert second["created_reason"] == "idle_timeout"
    assert second["parent_conversation_id"] == first["id"]
    old = await gateway.get(f"/conversations/{first['id']}")
    assert (old["is_active"], old["closed_reason"], old["expires_at"]) == (False, "idle_timeout", None)
    assert old["closed_at"] == "2026-03-04T09:00:00Z"


async def test_continuity_within_the_window(gateway: Gateway, clock: Clock) -> None:
    """To the last second of the window every message gets the same conversation."""
    first = await gateway.say("Vorrei 20 sacchi di farina")
    clock.advance(hours=47, minutes=59, seconds=59)
    second = await gateway.say("Anzi 25")
    assert second["created"] is False
    assert second["conversation"]["id"] == first["conversation"]["id"]
    assert second["conversation"]["message_count"] == 2
    assert second["conversation"]["expires_at"] == "2026-03-06T08:59:59Z"


async def test_the_bot_does_not_keep_a_window_alive(gateway: Gateway, clock: Clock) -> None:
    """The window counts the user's messages: a campaign of the bot moves last_message_at and nothing else."""
    first = (await gateway.say("Grazie"))["conversation"]
    clock.advance(hours=40)
    await gateway.reply(first["id"], "Offerta di marzo!")
    old = await gateway.get(f"/conversations/{first['id']}")
    assert (old["last_message_at"], old["expires_at"]) == ("2026-03-04T01:00:00Z", "2026-03-04T09:00:00Z")
    clock.advance(hours=8)
    assert (await gateway.say("Mi interessa"))["conversation"]["created_reason"] == "idle_timeout"


async def test_content_of_the_seed(gateway: Gateway, clock: Clock, emulator: Emulator) -> None:
    """The new conversation starts with two items: our constant, and the record with profile, topics and digest."""
    answer = await gateway.say("Vorrei 25 sacchi di farina Manitoba per venerdì")
    user_id, first = answer["conversation"]["user_id"], answer["conversation"]["id"]
    await gateway.reply(first, "Certo, consegna venerdì alle 7:30 in via Roma 12")
    profile = {"name": "Maria", "last_name": "Bianchi", "ragione_sociale": "Molino Srl", "email": "m@molino.it"}
    assert (await gateway.http.put(f"/users/{user_id}/profile", json=profile)).status_code == 200
    clock.advance(days=3)
    preview = await gateway.get(f"/users/{user_id}/seed")
    second = (await gateway.say("Buongiorno"))["conversation"]
    text = second["seed"]["text"]
    assert text.splitlines()[0] == 'Cliente: "Maria Bianchi di Molino Srl (m@molino.it)"'
    for value in ("Argomenti recenti: [", "25", "Manitoba", "7:30", "via Roma 12", "2026-03-02"):
        assert value in text
    assert second["seed"]["covers"]["count"] == 2
    assert second["seed"]["tokens"] <= 300
    assert items_of(emulator, second["id"]) == [("developer", PREAMBLE), ("user", text)]
    assert preview["text"] == text
    thread = {message["id"]: message["text"] for message in await gateway.listed(f"/conversations/{first}/messages")}
    said = [entry for entry in preview["entries"] if entry["section"] == "history"]
    assert all(entry["message_ids"][0] in thread for entry in said)
    assert {entry["source"] for entry in preview["entries"]} == {"profile", "digest"}


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        pytest.param({"name": "Maria", "ragione_sociale": "Molino Srl"}, '"Maria di Molino Srl"', id="incomplete"),
        pytest.param(
            {"name": "Ada", "last_name": "Neri", "ragione_sociale": "Neri Spa", "email": "a@neri.it"},
            '"Ada Neri di Neri Spa (a@neri.it)"',
            id="complete",
        ),
    ],
)
async def test_complete_and_incomplete_profiles(
    gateway: Gateway, clock: Clock, profile: dict[str, str], shown: str
) -> None:
    """The profile line says what is known, and found_all_info is computed from it."""
    user_id = (await gateway.say("ciao"))["conversation"]["user_id"]
    saved = (await gateway.http.put(f"/users/{user_id}/profile", json=profile)).json()
    assert saved["found_all_info"] is (len(profile) == 4)
    clock.advance(days=3)
    seed = (await gateway.say("di nuovo io"))["conversation"]["seed"]
    assert f"Cliente: {shown}" in seed["text"]


async def test_old_facts_are_carried_on(gateway: Gateway, clock: Clock) -> None:
    """What was said two conversations ago is still in the seed, tied to the message in which it was said."""
    first = await gateway.say("Il codice del nostro portone è B472")
    clock.advance(days=3)
    await gateway.say("Tutto bene?")
    clock.advance(days=3)
    await gateway.say("Eccomi")
    preview = await gateway.get(f"/users/{first['conversation']['user_id']}/seed")
    kept = [entry for entry in preview["entries"] if "B472" in entry["text"] and entry["section"] == "history"]
    assert [entry["message_ids"] for entry in kept] == [[first["message"]["id"]]]


@pytest.mark.parametrize("env", [{"max_conversation_messages": 10}])
async def test_message_cap(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """At the cap the talk goes on in a new conversation that also holds the last six messages, with their roles."""
    for number in range(5):
        current = (await gateway.say(f"domanda {number}", at=clock.advance(minutes=1)))["conversation"]
        await gateway.reply(current["id"], f"risposta {number}", sent_at=clock.advance(seconds=5).isoformat())
    answer = await gateway.say("e adesso?", at=clock.advance(minutes=1))
    new = answer["conversation"]
    assert (new["created_reason"], new["message_count"], new["parent_conversation_id"]) == (
        "message_cap",
        1,
        current["id"],
    )
    carried = items_of(emulator, new["id"])[2:]
    assert carried == [
        ("user", "domanda 2"),
        ("assistant", "risposta 2"),
        ("user", "domanda 3"),
        ("assistant", "risposta 3"),
        ("user", "domanda 4"),
        ("assistant", "risposta 4"),
    ]


@pytest.mark.parametrize("env", [{"include_summary": False, "max_conversation_messages": 2}])
async def test_without_seed_the_last_messages_still_go_along(gateway: Gateway, emulator: Emulator) -> None:
    """INCLUDE_SUMMARY=false drops the seed, not the messages that a cap carries."""
    await gateway.say("uno")
    await gateway.say("due")
    new = (await gateway.say("tre"))["conversation"]
    assert new["seed"] is None
    assert items_of(emulator, new["id"]) == [("user", "uno"), ("user", "due")]


async def test_new_alone(gateway: Gateway, emulator: Emulator) -> None:
    """`/new` closes and opens, is kept in the history, not counted, never sent, and has a reply to send."""
    first = (await gateway.say("ciao"))["conversation"]
    answer = await gateway.say("/NEW")
    new = answer["conversation"]
    assert (answer["command"], answer["input"], answer["created"]) == ("new_conversation", None, True)
    assert answer["reply"].startswith("Va bene")
    assert (new["created_reason"], new["message_count"], new["parent_conversation_id"]) == (
        "user_reset",
        0,
        first["id"],
    )
    assert [row["text"] for row in await gateway.listed(f"/conversations/{new['id']}/messages")] == ["/NEW"]
    assert "/NEW" not in str(emulator.items(new["id"]))


async def test_new_with_text(gateway: Gateway, emulator: Emulator) -> None:
    """Text after `/new` is the first message of the new conversation."""
    await gateway.say("ciao")
    answer = await gateway.say("/nuova vorrei un preventivo", seed_message=True)
    assert (answer["command"], answer["reply"], answer["input"]) == ("new_conversation", None, "vorrei un preventivo")
    assert answer["conversation"]["message_count"] == 1
    assert items_of(emulator, answer["conversation"]["id"])[-1] == ("user", "vorrei un preventivo")


async def test_new_is_first_contact_for_a_stranger(gateway: Gateway) -> None:
    """`/new` as a user's very first message is first_contact."""
    answer = await gateway.say("/new")
    assert (answer["conversation"]["created_reason"], answer["command"]) == ("first_contact", "new_conversation")


async def test_late_new(gateway: Gateway, clock: Clock) -> None:
    """A late `/new` is stored and does nothing."""
    first = (await gateway.say("ciao"))["conversation"]
    answer = await gateway.say("/new", at=MONDAY - timedelta(hours=1))
    assert (answer["command"], answer["reply"], answer["created"]) == (None, None, False)
    assert (answer["conversation"]["id"], answer["message"]["late"]) == (first["id"], True)
    assert answer["conversation"]["message_count"] == 1
    await gateway.say("a", at=clock.advance(days=3))
    await gateway.say("/new", at=MONDAY + timedelta(hours=3))
    assert (await gateway.get(f"/conversations/{first['id']}"))["last_message_at"] == "2026-03-02T09:00:00Z"


async def test_late_message(gateway: Gateway, clock: Clock) -> None:
    """A late message belongs to the conversation that covers its time, and is answered with the active one."""
    first = (await gateway.say("uno"))["conversation"]
    clock.advance(days=3)
    second = (await gateway.say("due"))["conversation"]
    late = await gateway.say("in ritardo", at=MONDAY + timedelta(hours=1))
    assert late["conversation"]["id"] == second["id"]
    assert late["conversation"]["expires_at"] == second["expires_at"]
    assert (late["message"]["conversation_id"], late["message"]["late"]) == (first["id"], True)
    assert (await gateway.get(f"/conversations/{first['id']}"))["message_count"] == 2
    before_all = await gateway.say("prima di tutto", at=MONDAY - timedelta(days=9))
    assert before_all["message"]["conversation_id"] == first["id"]


async def test_late_between_two_conversations_of_one_second(gateway: Gateway, clock: Clock) -> None:
    """When two conversations were opened in the same second, a late message belongs to the second of them."""
    for number in range(6):
        phone = f"+39333000010{number}"
        await gateway.say("a", identity=phone, at=MONDAY - timedelta(hours=2))
        second = (await gateway.say("/new", identity=phone, at=MONDAY - timedelta(hours=2)))["conversation"]
        await gateway.say("b", identity=phone)
        late = await gateway.say("c", identity=phone, at=MONDAY - timedelta(hours=1))
        assert late["message"]["conversation_id"] == second["id"]
        chain = await gateway.listed(f"/conversations/{second['id']}/chain")
        assert [row["id"] for row in chain] == [second["parent_conversation_id"], second["id"]]


async def test_duplicate(gateway: Gateway, clock: Clock, emulator: Emulator) -> None:
    """The same message id again, even days later, gives the conversation of the first time and stores nothing."""
    first = await gateway.say("ciao", id="wamid.A")
    clock.advance(days=5)
    await gateway.say("un'altra conversazione")
    calls = dict(emulator.calls)
    again = await gateway.say("ciao", id="wamid.A")
    assert (again["duplicate"], again["created"]) == (True, False)
    assert again["conversation"]["id"] == first["conversation"]["id"]
    assert again["message"] == first["message"]
    assert dict(emulator.calls) == calls
    assert len(await gateway.listed(f"/users/{first['conversation']['user_id']}/messages")) == 2


async def test_duplicate_command_gets_its_reply_again(gateway: Gateway) -> None:
    """A repeated `/new` opens nothing a second time and answers with the same reply."""
    await gateway.say("ciao")
    first = await gateway.say("/new", id="wamid.N")
    again = await gateway.say("/new", id="wamid.N")
    assert (again["duplicate"], again["command"], again["reply"]) == (True, "new_conversation", first["reply"])
    assert again["conversation"]["id"] == first["conversation"]["id"]


async def test_message_id_reused(gateway: Gateway) -> None:
    """The same id with another text is refused; the first one stands."""
    first = await gateway.say("ciao", id="wamid.A")
    assert_problem(await gateway.post("addio", id="wamid.A"), 422, "message_id_reused")
    thread = await gateway.listed(f"/users/{first['conversation']['user_id']}/messages")
    assert [message["text"] for message in thread] == ["ciao"]


async def test_burst_after_expiry(gateway: Gateway, clock: Clock, emulator: Emulator) -> None:
    """Five messages at once after a pause make one rollover and get the same conversation."""
    await gateway.say("ciao")
    clock.advance(days=3)
    before = emulator.calls["conversations.create"]
    emulator.fail_next("conversations.create", delay=0.3)
    answers: list[dict[str, Any]] = await asyncio.gather(*(gateway.say(f"messaggio {n}") for n in range(5)))
    assert len({answer["conversation"]["id"] for answer in answers}) == 1
    assert sum(answer["created"] for answer in answers) == 1
    assert emulator.calls["conversations.create"] - before == 1
    final = await gateway.get(f"/conversations/{answers[0]['conversation']['id']}")
    assert final["message_count"] == 5


async def test_same_message_ten_times_at_once(gateway: Gateway) -> None:
    """The same message id ten times in parallel: one message, one conversation, the same answer."""
    answers = await asyncio.gather(*(gateway.say("ciao", id="wamid.A") for _ in range(10)))
    assert len({(answer["conversation"]["id"], answer["message"]["id"]) for answer in answers}) == 1
    assert sum(not answer["duplicate"] for answer in answers) == 1
    assert len(await gateway.listed("/conversations")) == 1


async def test_without_a_message(gateway: Gateway, clock: Clock) -> None:
    """Without a message the conversation of now is returned; a new one starts its window at its creation."""
    body = {"identity": MARIA}
    first = await gateway.http.post("/conversations", json=body)
    assert (first.status_code, first.json()["message"], first.json()["input"]) == (201, None, None)
    clock.advance(hours=47)
    assert (await gateway.http.post("/conversations", json=body)).json()["created"] is False
    clock.advance(hours=1)
    assert (await gateway.http.post("/conversations", json=body)).json()["created"] is True


async def test_reset_by_the_operator(gateway: Gateway, emulator: Emulator) -> None:
    """The operator's `/new` closes and opens with the reason operator; `forget` seeds with the profile alone."""
    answer = await gateway.say("Il mio codice è B472")
    user_id = answer["conversation"]["user_id"]
    await gateway.http.put(f"/users/{user_id}/profile", json={"name": "Maria"})
    kept = await gateway.http.post(f"/users/{user_id}/reset")
    assert (kept.status_code, kept.json()["created_reason"]) == (201, "operator")
    assert "B472" in kept.json()["seed"]["text"]
    forgotten = (await gateway.http.post(f"/users/{user_id}/reset", json={"forget": True})).json()
    assert forgotten["seed"]["text"] == 'Cliente: "Maria"'
    assert forgotten["parent_conversation_id"] == kept.json()["id"]
    assert forgotten["message_count"] == 0


async def test_close_by_the_operator(gateway: Gateway, clock: Clock) -> None:
    """A conversation closed by hand stays closed; the next message opens one whose reason is operator."""
    first = (await gateway.say("ciao"))["conversation"]
    closed = (await gateway.http.post(f"/conversations/{first['id']}/close")).json()
    assert (closed["is_active"], closed["closed_reason"]) == (False, "operator")
    clock.advance(hours=1)
    again = (await gateway.http.post(f"/conversations/{first['id']}/close")).json()
    assert again == closed
    second = (await gateway.say("eccomi"))["conversation"]
    assert (second["created_reason"], second["parent_conversation_id"]) == ("operator", first["id"])


async def test_append_to_a_closed_conversation(gateway: Gateway) -> None:
    """A closed conversation still takes messages, as late ones; an id that was seen is returned as it stands."""
    first = (await gateway.say("ciao"))["conversation"]
    await gateway.http.post(f"/conversations/{first['id']}/close")
    reply = await gateway.reply(first["id"], "Buongiorno!", id="out.1")
    assert (reply["late"], reply["conversation_id"]) == (True, first["id"])
    assert await gateway.reply(first["id"], "Buongiorno!", id="out.1") == reply
    assert (await gateway.get(f"/conversations/{first['id']}"))["message_count"] == 2


async def test_appended_inbound_moves_the_window(gateway: Gateway, clock: Clock) -> None:
    """A user's message that is appended counts for the window like any other."""
    first = (await gateway.say("ciao"))["conversation"]
    later = clock.advance(hours=47)
    body = {"messages": [{"direction": "inbound", "text": "ancora io", "sent_at": later.isoformat()}]}
    assert (await gateway.http.post(f"/conversations/{first['id']}/messages", json=body)).status_code == 201
    clock.advance(hours=47)
    assert (await gateway.say("e ancora"))["conversation"]["id"] == first["id"]


@pytest.mark.parametrize("text", ["ancora io", "/new"])
async def test_appending_does_not_revive_a_window(gateway: Gateway, clock: Clock, text: str) -> None:
    """What is appended after the window's end is stored, and the next message opens a new conversation all the same."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(days=10)
    body = {"messages": [{"direction": "inbound", "text": text}]}
    assert (await gateway.http.post(f"/conversations/{first['id']}/messages", json=body)).status_code == 201
    assert (await gateway.say("eccomi"))["conversation"]["created_reason"] == "idle_timeout"


@pytest.mark.parametrize("env", [{"rollout_percent": 0, "rollout_users": "+39 333 000 0001"}])
async def test_holdout(gateway: Gateway, clock: Clock) -> None:
    """Outside the rollout one conversation goes on for ever; who is named is inside."""
    first = (await gateway.say("ciao"))["conversation"]
    assert (first["cohort"], first["expires_at"]) == ("holdout", None)
    await gateway.say("ciao", identity="+393330000001")
    clock.advance(days=90)
    assert (await gateway.say("ancora"))["conversation"]["id"] == first["id"]
    assert (await gateway.say("/new"))["conversation"]["created_reason"] == "user_reset"
    assert (await gateway.say("ciao", identity="+393330000001"))["conversation"]["created_reason"] == "idle_timeout"


@pytest.mark.parametrize("env", [{"topics": "explicit"}])
async def test_topics(gateway: Gateway) -> None:
    """Each topic has an active conversation of its own."""
    general = (await gateway.say("ciao"))["conversation"]
    orders = (await gateway.say("un ordine", topic="ordini"))["conversation"]
    assert (orders["created_reason"], orders["parent_conversation_id"]) == ("topic_change", None)
    assert (await gateway.say("ancora"))["conversation"]["id"] == general["id"]
    assert (await gateway.say("ancora", topic="ordini"))["conversation"]["id"] == orders["id"]


async def test_a_changed_timeout_holds_for_new_conversations(gateway: Gateway) -> None:
    """Each conversation keeps the timeout that it was opened with."""
    first = (await gateway.say("ciao"))["conversation"]
    assert first["expires_at"] == "2026-03-04T09:00:00Z"


@pytest.mark.parametrize("env", [{"include_client_summary": False}])
async def test_without_the_profile_line(gateway: Gateway, clock: Clock) -> None:
    """INCLUDE_CLIENT_SUMMARY=false leaves the profile out, and nothing else."""
    user_id = (await gateway.say("Vorrei 25 sacchi"))["conversation"]["user_id"]
    await gateway.http.put(f"/users/{user_id}/profile", json={"name": "Maria"})
    clock.advance(days=3)
    text = (await gateway.say("eccomi"))["conversation"]["seed"]["text"]
    assert ("Maria" in text, "25" in text) == (False, True)


@pytest.mark.parametrize("env", [{"max_conversation_messages": 1000, "summary_language": "en"}])
async def test_a_long_conversation(gateway: Gateway, clock: Clock) -> None:
    """The seed of a long conversation keeps its budget and covers all of it; its words follow the language."""
    current = (await gateway.say("The gate code is B472"))["conversation"]
    for batch in range(12):
        said = [{"direction": "inbound", "text": f"Item {batch * 20 + n} of the list"} for n in range(20)]
        answer = await gateway.http.post(f"/conversations/{current['id']}/messages", json={"messages": said})
        assert answer.status_code == 201
    clock.advance(days=3)
    seed = (await gateway.say("/new"))["conversation"]["seed"]
    assert seed["covers"]["count"] == 241
    assert seed["tokens"] <= 300
    assert "Said earlier:" in seed["text"]
