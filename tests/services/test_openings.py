"""The opening protocol under faults of OpenAI: nothing is lost, nothing is doubled, nothing is stuck."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Conversation, Message, Opening, RemoteGarbage
from convo_service.llm.emulator import Emulator
from tests.conftest import Clock
from tests.gateway import Gateway, assert_problem

FAULTS: list[Any] = [
    pytest.param({"status": 503}, id="503"),
    pytest.param({"status": 429, "headers": {"Retry-After": "100"}}, id="429 with Retry-After 100"),
    pytest.param({"status": 401, "code": "invalid_api_key"}, id="a wrong key"),
    pytest.param({"status": 200, "body": "<html>proxy</html>"}, id="HTML"),
    pytest.param({"status": 200, "body": "{}"}, id="an empty object"),
    pytest.param({"after": True}, id="the answer is lost"),
]
NO_ID = pytest.param({"status": 200, "body": '{"id":"42","object":"conversation"}'}, id="an id that is none")


async def rows(database: Database, table: Any) -> list[Any]:
    """All rows of a table."""
    async with database.read.begin() as tx:
        return list((await tx.scalars(sa.select(table))).all())


@pytest.mark.parametrize("fault", [*FAULTS, NO_ID])
async def test_first_contact_without_openai(
    gateway: Gateway, emulator: Emulator, database: Database, clock: Clock, fault: dict[str, Any]
) -> None:
    """Without OpenAI a stranger gets 503 with Retry-After, the message is kept, and the repeat succeeds."""
    emulator.fail_next("conversations.create", **fault)
    answer = await gateway.post("ciao", id="wamid.A")
    assert_problem(answer, 503, "upstream_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert await rows(database, Conversation) == []
    clock.advance(minutes=1)  # a wrong key opens the circuit for some seconds
    again = await gateway.say("ciao", id="wamid.A")
    assert (again["created"], again["duplicate"]) == (True, False)
    assert again["conversation"]["created_reason"] == "first_contact"
    assert again["conversation"]["message_count"] == 1
    assert await rows(database, Opening) == []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", ["conversations.create", "items.create"])
async def test_degraded(
    gateway: Gateway, emulator: Emulator, clock: Clock, fault: dict[str, Any], operation: str
) -> None:
    """When a timeout rollover fails, the old conversation answers, and the next message makes up for it."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(days=3)
    emulator.fail_next(operation, **fault)
    stale = await gateway.say("eccomi")
    assert (stale["degraded"], stale["created"]) == ("stale_conversation", False)
    assert stale["conversation"]["id"] == first["id"]
    assert stale["conversation"]["expires_at"] == first["expires_at"]
    clock.advance(minutes=1)
    new = await gateway.say("e adesso?")
    assert (new["degraded"], new["created"]) == (None, True)
    assert (new["conversation"]["created_reason"], new["conversation"]["parent_conversation_id"]) == (
        "idle_timeout",
        first["id"],
    )
    assert new["conversation"]["message_count"] == 1
    assert "eccomi" in new["conversation"]["seed"]["text"].lower()


async def test_a_failed_reset_is_owed(gateway: Gateway, emulator: Emulator) -> None:
    """`/new` that failed is 503; what comes next opens the conversation it asked for, and the repeat finds it."""
    first = (await gateway.say("ciao"))["conversation"]
    emulator.fail_next("conversations.create", status=500)
    assert_problem(await gateway.post("/new", id="wamid.N"), 503, "upstream_unavailable")
    following = (await gateway.say("vorrei altro"))["conversation"]
    assert (following["created_reason"], following["parent_conversation_id"]) == ("user_reset", first["id"])
    again = await gateway.say("/new", id="wamid.N")
    assert (again["duplicate"], again["conversation"]["id"]) == (False, following["id"])
    assert (again["command"], again["created"]) == ("new_conversation", False)
    assert (await gateway.say("/new", id="wamid.N"))["duplicate"] is True


async def test_seed_is_sent_once_and_never_again(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """When the answer to the seed is lost, that conversation is garbage: a new one is made and seeded once."""
    await gateway.say("Il codice è B472")
    clock.advance(days=3)
    emulator.fail_next("items.create", after=True)
    assert (await gateway.say("eccomi"))["degraded"] == "stale_conversation"
    new = (await gateway.say("e adesso?"))["conversation"]
    assert [item["role"] for item in emulator.items(new["id"])] == ["developer", "user"]
    garbage = [row.remote_id for row in await rows(database, RemoteGarbage)]
    assert len(garbage) == 1
    assert new["id"] not in garbage
    assert [item["role"] for item in emulator.items(garbage[0])] == ["developer", "user"]


async def _age(database: Database) -> None:
    """Let every lease be over, as if the process that held it had died."""
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Opening).values(lease_until=0))


async def _until_called(emulator: Emulator, operation: str, times: int) -> None:
    """Wait until OpenAI has been asked."""
    async with asyncio.timeout(5):
        while emulator.calls[operation] < times:  # noqa: ASYNC110 - the emulator counts, it does not call back
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("operation", ["conversations.create", "items.create"])
async def test_takeover(gateway: Gateway, emulator: Emulator, clock: Clock, database: Database, operation: str) -> None:
    """An opening whose holder vanished is taken over; the one who comes back late is fenced off."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(days=3)
    emulator.fail_next(operation, delay=1.0)
    slow = asyncio.create_task(gateway.say("uno"))
    await _until_called(emulator, operation, 2 if operation == "conversations.create" else 1)
    await _age(database)
    fast = await gateway.say("due")
    late = await slow
    assert fast["conversation"]["id"] == late["conversation"]["id"] != first["id"]
    active = [row for row in await rows(database, Conversation) if row.is_active]
    assert [row.id for row in active] == [fast["conversation"]["id"]]
    assert len(await rows(database, RemoteGarbage)) == 1
    assert await rows(database, Opening) == []
    thread = await gateway.listed(f"/conversations/{active[0].id}/messages")
    assert sorted(message["text"] for message in thread) == ["due", "uno"]


async def test_waiting_has_an_end(gateway: Gateway, emulator: Emulator) -> None:
    """Who waits for somebody else's opening for five seconds gets 409 with Retry-After; the message is kept."""
    emulator.fail_next("conversations.create", delay=6.5)
    slow = asyncio.create_task(gateway.say("uno"))
    await _until_called(emulator, "conversations.create", 1)
    answer = await gateway.post("due", id="wamid.B")
    assert_problem(answer, 409, "opening_in_progress")
    assert answer.headers["retry-after"] == "1"
    first = await slow
    again = await gateway.say("due", id="wamid.B")
    assert again["conversation"]["id"] == first["conversation"]["id"]


async def test_hanging_openai(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """When OpenAI never answers, the old conversation does, within ten seconds."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(days=3)
    emulator.fail_next("conversations.create", hang=True)
    async with asyncio.timeout(10):
        stale = await gateway.say("eccomi")
    assert (stale["degraded"], stale["conversation"]["id"]) == ("stale_conversation", first["id"])


async def test_the_database_forbids_a_second_active_conversation(gateway: Gateway, database: Database) -> None:
    """At most one active conversation per (user, topic): the index says so, not only the code."""
    first = (await gateway.say("ciao"))["conversation"]
    copy = {column.name: column for column in Conversation.__table__.columns}
    copy |= {"id": sa.literal("conv_second"), "number": sa.literal(2)}
    row = sa.select(*copy.values()).where(Conversation.id == first["id"])
    with pytest.raises(sa.exc.IntegrityError):
        async with database.write.begin() as tx:
            await tx.execute(sa.insert(Conversation).from_select([*copy], row))


async def test_a_known_id_is_no_answer(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """When OpenAI gives an id that we have already, it is not used a second time."""
    first = (await gateway.say("ciao"))["conversation"]
    body = json.dumps({"id": first["id"], "object": "conversation", "created_at": 1, "metadata": {}})
    emulator.fail_next("conversations.create", status=200, body=body)
    assert_problem(await gateway.post("ciao", identity="+393339999999"), 503, "upstream_unavailable")
    clock.advance(minutes=1)
    other = (await gateway.say("ciao", identity="+393339999999"))["conversation"]
    assert other["id"] != first["id"]


async def test_a_reset_that_came_too_late_after_all(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """A `/new` that failed, and whose repeat is late by then, is stored and counted once, in one conversation."""
    first = (await gateway.say("ciao"))["conversation"]
    pressed = clock.advance(minutes=1)
    emulator.fail_next("conversations.create", status=500)
    assert_problem(await gateway.post("/new davvero", id="wamid.N", at=pressed), 503, "upstream_unavailable")
    later = clock.advance(minutes=1).isoformat()
    body = {"messages": [{"direction": "inbound", "text": "altro", "sent_at": later}]}
    assert (await gateway.http.post(f"/conversations/{first['id']}/messages", json=body)).status_code == 201
    again = await gateway.say("/new davvero", id="wamid.N", at=pressed)
    assert (again["command"], again["message"]["late"]) == (None, True)
    following = (await gateway.say("e poi", at=clock.advance(minutes=1)))["conversation"]
    assert [row["text"] for row in await gateway.listed(f"/conversations/{following['id']}/messages")] == ["e poi"]
    assert following["message_count"] == 1
    assert (await gateway.get(f"/conversations/{first['id']}"))["message_count"] == 3


async def test_what_was_answered_503_is_no_duplicate(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """A message that got 503 and was carried into the conversation by the next one is answered anew when it repeats."""
    emulator.fail_next("conversations.create", status=500)
    assert_problem(await gateway.post("Ordine urgente", id="wamid.A"), 503, "upstream_unavailable")
    clock.advance(seconds=1)
    following = await gateway.say("Ci siete?", id="wamid.B")
    again = await gateway.say("Ordine urgente", id="wamid.A")
    assert (again["duplicate"], again["input"]) == (False, "Ordine urgente")
    assert again["conversation"]["id"] == following["conversation"]["id"]
    assert again["conversation"]["message_count"] == 2
    assert (await gateway.say("Ordine urgente", id="wamid.A"))["duplicate"] is True


async def test_a_slow_request_is_told_the_truth(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """Whose opening was taken over is answered as the first time: nothing was created by it, and it is no duplicate."""
    emulator.fail_next("conversations.create", delay=1.0)
    slow = asyncio.create_task(gateway.say("uno"))
    await _until_called(emulator, "conversations.create", 1)
    await _age(database)
    fast = await gateway.say("due")
    late = await slow
    assert (fast["created"], fast["duplicate"]) == (True, False)
    assert (late["created"], late["duplicate"], late["input"]) == (False, False, "uno")
    assert late["conversation"]["id"] == fast["conversation"]["id"]


@pytest.mark.parametrize("still_at_work", [True, False])
async def test_who_lost_the_lease_writes_nothing(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database, still_at_work: bool
) -> None:
    """A holder that fails after it was taken over frees nobody's lease, discards nothing, and counts nothing twice."""
    await gateway.say("ciao")
    clock.advance(days=3)
    emulator.fail_next("conversations.create", delay=0.6, status=500, after=True)
    if still_at_work:
        emulator.fail_next("items.create", delay=1.5)
    slow = asyncio.create_task(gateway.say("uno"))
    await _until_called(emulator, "conversations.create", 2)
    await _age(database)
    fast = await gateway.say("due")
    late = await slow
    assert late["conversation"]["id"] == fast["conversation"]["id"]
    assert late["degraded"] is None
    found = await rows(database, Conversation)
    active = {row.id for row in found if row.is_active}
    assert len(active) == 1
    assert active.isdisjoint(row.remote_id for row in await rows(database, RemoteGarbage))
    stored = await rows(database, Message)
    for row in found:
        assert row.message_count == sum(message.conversation_id == row.id for message in stored)


async def test_counts_hold_while_an_answer_is_degraded(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """What is appended while OpenAI fails is counted together with the message that is served with the old one."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(days=3)
    emulator.fail_next("conversations.create", delay=0.2, status=500)
    batch = {"messages": [{"direction": "outbound", "text": f"riga {n}"} for n in range(5)]}
    path = f"/conversations/{first['id']}/messages"
    stale, *_ = await asyncio.gather(gateway.say("eccomi"), *(gateway.http.post(path, json=batch) for _ in range(4)))
    assert stale["degraded"] == "stale_conversation"
    assert (await gateway.get(f"/conversations/{first['id']}"))["message_count"] == 22
    assert len(await rows(database, Message)) == 22


async def test_new_is_never_served_with_the_old_conversation(
    gateway: Gateway, emulator: Emulator, clock: Clock
) -> None:
    """`/new` that takes over an idle rollover and fails is 503 like any other, and not forgotten."""
    await gateway.say("ciao")
    clock.advance(days=3)
    emulator.fail_next("conversations.create", status=500)
    assert (await gateway.say("uno"))["degraded"] == "stale_conversation"
    emulator.fail_next("conversations.create", status=500)
    assert_problem(await gateway.post("/new", id="wamid.N"), 503, "upstream_unavailable")
    again = await gateway.say("/new", id="wamid.N")
    assert (again["created"], again["conversation"]["created_reason"]) == (True, "user_reset")
    assert again["reply"]


async def test_one_id_for_two_users(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """When OpenAI, or a proxy, answers two users with the same new id, only one of them gets it."""
    body = json.dumps({"id": "conv_" + "5" * 48, "object": "conversation", "created_at": 1, "metadata": {}})
    emulator.fail_next("conversations.create", status=200, body=body, times=2, delay=0.2)
    answers = await asyncio.gather(gateway.post("ciao"), gateway.post("ciao", identity="+393339999999"))
    assert sorted(answer.status_code for answer in answers) == [201, 503]
    assert len(await rows(database, Conversation)) == 1


async def test_forget_is_not_forgotten(gateway: Gateway, emulator: Emulator) -> None:
    """A reset with `forget` that failed is carried out with it, whoever carries it out."""
    user_id = (await gateway.say("Il mio codice è B472"))["conversation"]["user_id"]
    emulator.fail_next("conversations.create", status=500)
    answer = await gateway.http.post(f"/users/{user_id}/reset", json={"forget": True})
    assert_problem(answer, 503, "upstream_unavailable")
    following = (await gateway.say("eccomi"))["conversation"]
    assert (following["created_reason"], following["seed"]) == ("operator", None)


async def test_a_seed_that_openai_refuses(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """A seed that is refused for good is left out the next time: a user is never stuck with it."""
    await gateway.say("Il mio codice è B472")
    clock.advance(days=3)
    emulator.fail_next("items.create", status=400, code="invalid_value", times=50)
    assert (await gateway.say("eccomi"))["degraded"] == "stale_conversation"
    new = (await gateway.say("e adesso?"))["conversation"]
    assert (new["created_reason"], new["seed"]) == ("idle_timeout", None)
    assert len(await rows(database, RemoteGarbage)) == 1


@pytest.mark.parametrize("value", ["9" * 30, "domani", "-1"])
async def test_a_strange_retry_after(gateway: Gateway, emulator: Emulator, value: str) -> None:
    """Whatever OpenAI writes into Retry-After, ours is a number of seconds, and the repeat is not kept waiting."""
    emulator.fail_next("conversations.create", status=429, headers={"Retry-After": value})
    answer = await gateway.post("ciao", id="wamid.A")
    assert_problem(answer, 503, "upstream_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await gateway.say("ciao", id="wamid.A"))["created"] is True


async def test_names_that_cross(gateway: Gateway) -> None:
    """Three requests at once that name the same three identities in circles all succeed, and make one user."""
    for number in range(4):
        names = [f"crm-{number}-{letter}" for letter in "xyz"]
        answers = await asyncio.gather(
            *(
                gateway.post("ciao", identity=names[place], aliases=[names[place - 1], names[place - 2]])
                for place in range(3)
            )
        )
        assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
        assert len({answer.json()["conversation"]["user_id"] for answer in answers}) == 1


@pytest.mark.parametrize("env", [{"topics": "explicit"}])
async def test_a_repeat_in_another_topic(gateway: Gateway, emulator: Emulator, clock: Clock) -> None:
    """A message that was kept after a 503 may be repeated in another topic, where it may be late."""
    first = (await gateway.say("prima", topic="bb"))["conversation"]
    emulator.fail_next("conversations.create", status=500)
    sent = clock() - timedelta(minutes=1)
    assert_problem(await gateway.post("ordine", id="wamid.A", topic="aa", at=sent), 503, "upstream_unavailable")
    again = await gateway.say("ordine", id="wamid.A", topic="bb", at=sent)
    assert (again["conversation"]["id"], again["message"]["late"]) == (first["id"], True)


async def test_a_reset_that_meets_another_rollover(
    gateway: Gateway, emulator: Emulator, clock: Clock, database: Database
) -> None:
    """A reset that takes over somebody else's rollover and fails with it is 503, and the message still gets through."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(days=3)
    emulator.fail_next("conversations.create", delay=1.0)
    emulator.fail_next("conversations.create", status=500)
    slow = asyncio.create_task(gateway.say("eccomi"))
    await _until_called(emulator, "conversations.create", 2)
    await _age(database)
    answer = await gateway.http.post(f"/users/{first['user_id']}/reset")
    assert_problem(answer, 503, "upstream_unavailable")
    new = (await slow)["conversation"]
    assert (new["created_reason"], new["message_count"]) == ("idle_timeout", 1)
    assert (await gateway.http.post(f"/users/{first['user_id']}/reset")).json()["parent_conversation_id"] == new["id"]
