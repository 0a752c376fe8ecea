"""Topics over HTTP: one conversation for each, said by the caller, commanded by the user, or recognised by wording."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Message
from convo_service.llm.emulator import Emulator
from convo_service.services.sweep import Sweep
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.services.test_warm import Watched, _watching, warm

__all__ = ["warm"]  # a fixture

TOPICS = {"ordini": "Ordini, ordinare, sacchi di farina", "fatture": "Fatture, pagamento, bonifico, nota di credito"}
EXPLICIT = pytest.mark.parametrize("env", [{"topics": "explicit", "openai_model": "gpt-5-mini"}])
AUTO = pytest.mark.parametrize("env", [{"topics": "auto", "openai_model": "gpt-5-mini"}])
BOTH = pytest.mark.parametrize(
    "env", [{"topics": mode, "openai_model": "gpt-5-mini"} for mode in ("explicit", "auto")], ids=["explicit", "auto"]
)


async def describe(gateway: Gateway, **more: dict[str, Any]) -> None:
    """The topics of an installation."""
    for name, description in TOPICS.items():
        body = {"description": description, **more.get(name, {})}
        assert (await gateway.http.put(f"/topics/{name}", json=body)).status_code == 201


async def said(gateway: Gateway, text: str, **more: Any) -> tuple[str, bool, str]:
    """Say something: the topic, whether a conversation was opened, and why."""
    got = await gateway.say(text, **more)
    return got["conversation"]["topic"], got["created"], got["conversation"]["created_reason"]


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_off(gateway: Gateway) -> None:
    """Without topics there is `general`; another one is refused in every room, whatever is described."""
    await describe(gateway)
    assert await said(gateway, "Vorrei 20 sacchi") == ("general", True, "first_contact")
    assert_problem(await gateway.post("ciao", topic="ordini"), 422, "topics_are_off")
    assert_problem(await gateway.turn("ciao", topic="ordini"), 422, "topics_are_off")
    got = await gateway.say("/new ordini")
    assert (got["input"], got["conversation"]["topic"], got["reply"]) == ("ordini", "general", None)


@BOTH
async def test_the_caller_says(gateway: Gateway, clock: Clock, warm: Watched) -> None:
    """One conversation for each topic; going back resumes the one that is open, and its own window counts."""
    assert await said(gateway, "uno") == ("general", True, "first_contact")
    assert await said(gateway, "due", topic="mai-descritto") == ("mai-descritto", True, "topic_change")
    got = await gateway.say("tre", topic="mai-descritto")
    assert got["conversation"]["parent_conversation_id"] is None
    clock.advance(hours=47)
    assert await said(gateway, "quattro", topic="mai-descritto") == ("mai-descritto", False, "topic_change")
    clock.advance(hours=2)
    assert await said(gateway, "cinque", topic="general") == ("general", True, "idle_timeout")
    assert await said(gateway, "sei", topic="mai-descritto") == ("mai-descritto", False, "topic_change")
    assert warm.took == [False, False, True, True, False, True]
    user = got["conversation"]["user_id"]
    active = (await gateway.get(f"/users/{user}"))["active_conversations"]
    assert [one["topic"] for one in active] == ["general", "mai-descritto"]
    assert len(await gateway.listed("/conversations", topic="mai-descritto")) == 1
    assert len(await gateway.listed("/conversations", topic="general")) == 2


@EXPLICIT
async def test_nobody_says(gateway: Gateway) -> None:
    """With `explicit` nothing is recognised: without a topic it is `general`; null says nothing, either."""
    await describe(gateway)
    assert await said(gateway, "Vorrei 20 sacchi di farina") == ("general", True, "first_contact")
    assert await said(gateway, "ordinare sacchi", topic=None) == ("general", False, "first_contact")


@BOTH
@pytest.mark.parametrize(
    ("text", "topic", "input"),
    [
        pytest.param("/new ordini", "ordini", None, id="its name"),
        pytest.param("/NUOVA  Órdini!", "ordini", None, id="its name, as people write"),
        pytest.param("/new ordini di ieri", "general", "ordini di ieri", id="a text that begins with it"),
        pytest.param("/new reclami", "general", "reclami", id="a topic that nobody has described"),
        pytest.param("/new", "general", None, id="nothing"),
        pytest.param("/newordini", "general", "/newordini", id="no command"),
    ],
)
async def test_commands(gateway: Gateway, env: dict[str, Any], text: str, topic: str, input: str | None) -> None:
    """`/new` with the name of a topic opens that topic anew; any other text behind it is the first message."""
    await describe(gateway)
    first = await gateway.say("Buongiorno")
    got = await gateway.say(text, id="w1")
    if env["topics"] == "auto" and input is not None and "di ieri" in input:
        topic = "ordini"  # by its words
    assert (got["conversation"]["topic"], got["input"]) == (topic, input)
    assert got["command"] == (None if text == "/newordini" else "new_conversation")
    assert (got["reply"] is not None) == (got["command"] is not None and input is None)
    again = await gateway.say(text, id="w1")
    assert (again["conversation"]["id"], again["duplicate"]) == (got["conversation"]["id"], True)
    still = (await gateway.get(f"/conversations/{first['conversation']['id']}"))["is_active"]
    assert still == (topic != "general" or text == "/newordini")


@BOTH
async def test_a_command_opens_anew(gateway: Gateway) -> None:
    """The topic's old conversation is closed, the others stay; the user's word counts for more than the caller's."""
    await describe(gateway)
    old = (await gateway.say("uno", topic="ordini"))["conversation"]
    other = (await gateway.say("due", topic="fatture"))["conversation"]
    turn = await gateway.ask("/new ordini", topic="fatture")
    new = turn["conversation"]
    assert (turn["command"], new["topic"], new["created_reason"], new["parent_conversation_id"]) == (
        "new_conversation", "ordini", "user_reset", old["id"],
    )  # fmt: skip
    assert turn["reply"]["text"].startswith("Va bene")
    assert new["message_count"] == 0
    assert (await gateway.get(f"/conversations/{old['id']}"))["closed_reason"] == "user_reset"
    assert (await gateway.get(f"/conversations/{other['id']}"))["is_active"]


@AUTO
async def test_recognised(gateway: Gateway, clock: Clock, warm: Watched) -> None:
    """Clear words open or resume their topic; in doubt talk stays where it is; what the caller says is obeyed."""
    await describe(gateway)
    assert await said(gateway, "Buongiorno") == ("general", True, "first_contact")
    assert await said(gateway, "Vorrei ordinare 20 sacchi") == ("ordini", True, "topic_change")
    assert await said(gateway, "da 25 kg") == ("ordini", False, "topic_change")
    assert await said(gateway, "La fattura è sbagliata") == ("fatture", True, "topic_change")
    assert await said(gateway, "ok grazie") == ("fatture", False, "topic_change")
    assert await said(gateway, "E i sacchi ordinati?") == ("ordini", False, "topic_change")
    assert await said(gateway, "il bonifico è partito", topic="ordini") == ("ordini", False, "topic_change")
    assert await said(gateway, "bonifico e sacchi da ordinare, tutto insieme") == ("ordini", False, "topic_change")
    assert warm.took == [False, False, True, False, True, True, True, True]
    clock.advance(hours=48)
    assert await said(gateway, "Eccomi di nuovo") == ("ordini", True, "idle_timeout")
    assert await said(gateway, "il bonifico?") == ("fatture", True, "idle_timeout")


@AUTO
async def test_a_burst(gateway: Gateway) -> None:
    """What follows in the same moment belongs to the topic that is only just being opened."""
    await describe(gateway)
    user = (await gateway.say("Buongiorno"))["conversation"]["user_id"]
    first = asyncio.create_task(gateway.ask("Vorrei ordinare 20 sacchi", id="w1"))
    for _ in range(400):  # until it is stored
        if len(await gateway.listed(f"/users/{user}/messages")) > 1:
            break
        await asyncio.sleep(0.005)
    rest = await asyncio.gather(*(gateway.ask(f"da {number} kg", id=f"w{number}") for number in (25, 26)))
    turns = [await first, *rest]
    assert {one["conversation"]["topic"] for one in turns} == {"ordini"}
    assert len({one["conversation"]["id"] for one in turns}) == 1


@AUTO
async def test_a_repeat(gateway: Gateway, emulator: Emulator) -> None:
    """A message that found no conversation keeps its topic when it comes again, whatever was said in between."""
    await describe(gateway)
    emulator.fail_next("conversations.create", status=500)
    assert_problem(await gateway.post("Vorrei ordinare 20 sacchi", id="w1"), 503, "upstream_unavailable")
    await gateway.say("il bonifico è partito")
    assert (await said(gateway, "Vorrei ordinare 20 sacchi", id="w1"))[0] == "ordini"


@AUTO
async def test_late_and_bot(gateway: Gateway, clock: Clock, database: Database) -> None:
    """The topic in doubt is that of what was said before it, by either side: a late message is no exception."""
    await describe(gateway)
    orders = await gateway.say("Vorrei ordinare 20 sacchi")
    between = clock.advance(minutes=1)
    clock.advance(minutes=1)
    await gateway.say("La fattura è sbagliata")
    await gateway.say("quella di prima", at=between)
    clock.advance(minutes=1)
    await gateway.reply(orders["conversation"]["id"], "Confermo i sacchi")
    assert (await said(gateway, "perfetto"))[0] == "ordini"
    async with database.read.begin() as tx:
        rows = (await tx.execute(sa.select(Message.text, Message.topic).order_by(Message.id))).all()
    assert [row.topic for row in rows] == ["ordini", "fatture", "ordini", "ordini", "ordini"]


@pytest.mark.parametrize("env", [{"topics": "auto", "rollout_percent": 0}])
async def test_the_holdout(gateway: Gateway, warm: Watched) -> None:
    """Whoever is outside the rollout keeps one conversation, whatever the words; the caller's topic is obeyed."""
    await describe(gateway)
    for text in ("Buongiorno", "Vorrei ordinare 20 sacchi", "La fattura è sbagliata"):
        assert (await said(gateway, text))[0] == "general"
    assert (await said(gateway, "uno", topic="ordini"))[0] == "ordini"
    assert warm.took == [False, True, True, False]


@AUTO
async def test_statements(gateway: Gateway, database: Database) -> None:
    """To recognise a topic, or to stay in one, costs no statement more than to be told."""
    await describe(gateway)
    await gateway.say("Vorrei ordinare 20 sacchi")
    found = []
    for more in ({"topic": "ordini"}, {}, {"topic": None}):
        for text in ("Altri sacchi da ordinare", "ok grazie"):
            async with _watching(database, gateway) as watched:
                await gateway.say(text, **more)
            found.append(list(watched))
    assert all(one == found[0] for one in found), found


@BOTH
async def test_the_topics_template(gateway: Gateway) -> None:
    """The caller's template, else the topic's, else the default: also of `general`, and when it was deleted."""
    for name in ("sales", "support", "default"):
        await gateway.http.put(f"/templates/{name}", json={"language": "en"})
    await describe(gateway, ordini={"template": "sales"})
    opened = [
        (await gateway.say("uno", topic="ordini"))["conversation"]["template"],
        (await gateway.say("due", topic="fatture"))["conversation"]["template"],
        (await gateway.say("tre", topic="altro", template="support"))["conversation"]["template"],
    ]
    assert opened == ["sales", "default", "support"]
    await gateway.http.delete("/templates/sales")
    assert (await gateway.say("/new", topic="ordini"))["conversation"]["template"] == "default"
    await gateway.http.put("/topics/general", json={"template": "support"})
    assert (await gateway.say("quattro", topic="general"))["conversation"]["template"] == "support"


@EXPLICIT
async def test_people(gateway: Gateway, sweep: Sweep) -> None:
    """Each topic's open conversation goes along in a merge, is exported, and goes with the person."""
    await describe(gateway)
    for topic in ("ordini", "fatture"):
        await gateway.say(f"di {topic}", topic=topic)
        await gateway.say(f"ancora di {topic}", topic=topic, identity="+390000001")
    found = [(await gateway.http.post("/users/lookup", json={"identity": one})).json() for one in (MARIA, "+390000001")]
    merged = await gateway.http.post(f"/users/{found[0]['id']}/merge", json={"into": found[1]["id"]})
    assert sorted(one["topic"] for one in merged.json()["active_conversations"]) == ["fatture", "ordini"]
    export = await gateway.get(f"/users/{found[1]['id']}/export")
    assert sorted({one["topic"] for one in export["conversations"]}) == ["fatture", "ordini"]
    assert (await gateway.http.delete(f"/users/{found[1]['id']}")).status_code == 202
    await sweep.run_once()
    assert await gateway.listed("/conversations", topic="ordini") == []
    assert len(await gateway.listed("/topics")) == 2
