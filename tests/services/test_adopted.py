"""Users of an adopted bot: they write on, and do not notice."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Conversation
from convo_service.domain.tally import Count, Tally
from convo_service.llm.emulator import Emulator
from convo_service.services import legacy
from convo_service.services.tallying import Tallying
from convo_service.settings import Settings
from tests.bot import Bot
from tests.conftest import MONDAY, Clock
from tests.gateway import MARIA, Gateway

OTHER = "+393339999999"


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    """A bot that talked with Maria on Sunday morning, and with somebody else without any conversation."""
    bot = Bot(tmp_path / "bot.db")
    bot.talk(
        MARIA,
        "conv_bot",
        ("user", "Vorrei 20 sacchi di farina per l'ordine 4471", "2026-03-01T09:00:00"),
        ("bot", "Certo, consegniamo giovedì", "2026-03-01T09:00:05"),
    )
    bot.talk(OTHER[1:], None, ("user", "Il bancale 8812 è arrivato rotto", "2026-02-20T09:00:00"))
    bot.add("profiles", (MARIA[1:], "Maria", "Bianchi", "Molino Bianchi Srl", None, 0, None))
    return bot


async def take(database: Database, settings: Settings, bot: Bot, clock: Clock) -> Tally:
    """Import the bot's file."""
    return await legacy.import_file(
        database, settings, bot.path, now=clock(), dry_run=False, watch=lambda _total: lambda _messages: None
    )


async def test_the_window_goes_on(
    gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock, emulator: Emulator
) -> None:
    """Inside her window a user of the bot stays in the conversation that she has at OpenAI; nothing is asked there."""
    await take(database, settings, bot, clock)
    answer = await gateway.say("Anzi 25", identity="39 333 123 4567")
    conversation = answer["conversation"]
    assert (answer["created"], conversation["id"], conversation["created_reason"]) == (False, "conv_bot", "imported")
    assert (conversation["message_count"], conversation["expires_at"]) == (3, "2026-03-04T09:00:00Z")
    assert emulator.calls == {}
    thread = await gateway.listed("/conversations/conv_bot/messages")
    assert [(one["direction"], one["text"][:10], one["late"]) for one in thread] == [
        ("inbound", "Vorrei 20 ", False),
        ("outbound", "Certo, con", False),
        ("inbound", "Anzi 25", False),
    ]


async def test_the_window_ends(
    gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock
) -> None:
    """When it is over, the next conversation follows from the bot's, with a seed made of it."""
    await take(database, settings, bot, clock)
    clock.now = datetime(2026, 3, 3, 8, tzinfo=UTC)  # 48 hours after 09:00 in Rome
    conversation = (await gateway.say("Buongiorno"))["conversation"]
    assert (conversation["created_reason"], conversation["parent_conversation_id"]) == ("idle_timeout", "conv_bot")
    assert "4471" in conversation["seed"]["text"]
    assert "Molino Bianchi" in conversation["seed"]["text"]
    chain = await gateway.listed("/conversations/conv_bot/chain")
    assert [one["id"] for one in chain] == ["conv_bot", conversation["id"]]


async def test_what_was_said_outside(
    gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock
) -> None:
    """What a user told the bot without any conversation is in the seed of her first one; what she says now is not."""
    await take(database, settings, bot, clock)
    answer = await gateway.say("Avete novità sul 5566?", identity=OTHER)
    assert answer["conversation"]["created_reason"] == "first_contact"
    assert ("8812" in answer["conversation"]["seed"]["text"], "5566" in answer["conversation"]["seed"]["text"]) == (
        True,
        False,
    )
    user = await gateway.get(f"/users/{answer['conversation']['user_id']}")
    assert (user["identities"], user["message_count"], user["conversation_count"]) == ([OTHER], 2, 1)
    assert user["first_seen_at"] == "2026-02-20T08:00:00Z"


async def test_a_user_of_both(gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock) -> None:
    """Whoever is served here already keeps her conversation; the bot's becomes history before it.

    Her profile takes what it lacks, once: what an operator empties later stays empty.
    """
    mine = (await gateway.say("Buongiorno"))["conversation"]
    await gateway.http.put(f"/users/{mine['user_id']}/profile", json={"name": "Maria Luisa"})
    tally = await take(database, settings, bot, clock)
    assert (tally[Count.PEOPLE], tally[Count.PEOPLE_KNOWN]) == (1, 1)
    answer = await gateway.say("Ci siete?")
    assert (answer["conversation"]["id"], answer["created"]) == (mine["id"], False)
    old = await gateway.get("/conversations/conv_bot")
    assert (old["is_active"], old["message_count"], old["user_id"]) == (False, 2, mine["user_id"])
    assert (await gateway.get(f"/users/{mine['user_id']}"))["first_seen_at"] == "2026-03-01T08:00:00Z"
    profile = await gateway.get(f"/users/{mine['user_id']}/profile")
    assert (profile["name"], profile["ragione_sociale"]) == ("Maria Luisa", "Molino Bianchi Srl")
    await gateway.http.put(f"/users/{mine['user_id']}/profile", json={"ragione_sociale": None})
    await take(database, settings, bot, clock)
    assert (await gateway.get(f"/users/{mine['user_id']}/profile"))["ragione_sociale"] is None
    clock.advance(hours=48)
    assert (await gateway.say("Rieccomi"))["conversation"]["parent_conversation_id"] == mine["id"]


async def test_two_numbers_of_one_user(
    gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock
) -> None:
    """Two numbers that were linked here are one user for the bot's file, too."""
    mine = (await gateway.say("Buongiorno", aliases=[OTHER]))["conversation"]
    await take(database, settings, bot, clock)
    thread = await gateway.listed(f"/users/{mine['user_id']}/messages")
    assert len(thread) == 4
    again = await take(database, settings, bot, clock)
    assert again[Count.MESSAGES] == 0


@pytest.mark.parametrize("env", [{"rollout_percent": 0, "rollout_users": "39 333 999 9999"}])
async def test_the_rollout(gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock) -> None:
    """A small-group rollout holds for imported users: the others keep their one conversation."""
    await take(database, settings, bot, clock)
    clock.advance(days=30)
    maria = (await gateway.say("Rieccomi"))["conversation"]
    assert (maria["id"], maria["expires_at"]) == ("conv_bot", None)
    users = {one["identities"][0]: one["cohort"] for one in await gateway.listed("/users")}
    assert users == {MARIA: "holdout", OTHER: "window"}


async def test_while_the_service_runs(
    gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock
) -> None:
    """Two imports and a message at once: nobody and nothing is doubled, and each says what it took."""
    *tallies, answer = await asyncio.gather(
        take(database, settings, bot, clock), take(database, settings, bot, clock), gateway.post("Ci siete?")
    )
    assert answer.status_code in (200, 201)
    assert sum(tally[Count.MESSAGES] for tally in tallies) == 3
    users = await gateway.listed("/users")
    assert sorted((one["identities"], one["message_count"]) for one in users) == [([MARIA], 3), ([OTHER], 1)]
    async with database.read.begin() as tx:
        active = sa.select(sa.func.count()).select_from(Conversation).where(Conversation.is_active)
        assert await tx.scalar(active) == 1


async def test_an_imported_conversation_does_not_hold_the_future(
    gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock
) -> None:
    """A bot whose clock was ahead does not keep its users' windows open until then."""
    bot.talk(MARIA, None, ("user", "dal futuro", "2030-01-01T09:00:00"))
    bot.add("conversations", phone_number="+393338888888", conversation_id="conv_2031", created_at="2031-01-01 09:00")
    tally = await take(database, settings, bot, clock)
    assert tally[Count.TIMES_IN_FUTURE] == 2
    answer = await gateway.say("/new", identity="+393338888888")
    assert (answer["created"], answer["message"]["late"]) == (True, False)
    clock.now = MONDAY + timedelta(hours=48)
    assert (await gateway.say("Rieccomi"))["conversation"]["created_reason"] == "idle_timeout"


async def test_what_is_imported_is_counted(
    gateway: Gateway, database: Database, settings: Settings, bot: Bot, clock: Clock
) -> None:
    """Imported messages are older than what is counted already, and are counted all the same: each once."""
    tallying = Tallying(database, lambda: datetime.now(UTC) + timedelta(minutes=6), settings.analytics_timezone)
    await gateway.say("Buongiorno", identity="+393330000001")
    await tallying.run_once()
    for _ in range(2):
        await take(database, settings, bot, clock)
        for _ in range(2):
            body = await gateway.get("/analytics/overview")
            assert (body["messages"]["inbound"], body["messages"]["outbound"], body["users"]["active"]) == (3, 1, 3)
            assert {one["name"] for one in body["conversations"]["created_by_reason"]} == {"first_contact", "imported"}
            await tallying.run_once()
