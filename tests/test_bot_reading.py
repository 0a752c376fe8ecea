"""What the service makes of a bot's file, against a reading that shares no line with it."""

import asyncio
from pathlib import Path

import pytest
from bench import bot_reading
from bench.bot_reading import Service, sqlite_rows

from convo_service.app import utc_now
from convo_service.db.engine import open_database
from convo_service.services import legacy
from convo_service.settings import Settings
from tests.bot import Bot, grown


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    """A year of use, and the two nights of the year on which the clocks change."""
    bot = grown(tmp_path / "bot.db", people=30, messages=900)
    for number, day in enumerate(("2026-03-29", "2026-10-25")):
        for hour in ("01:59:59", "02:00:00", "02:30:00", "02:59:59.999999", "03:00:00"):
            bot.talk(f"3934400000{number:02d}", None, ("user", f"{day} alle {hour}", f"{day} {hour}"))
    bot.talk("+393440000001", "conv_night", ("bot", "Buonanotte", "2026-10-25T02:30:00"))
    return bot


def take(bot: Bot, url: str) -> None:
    """Import the bot's file."""

    async def run() -> None:
        database = open_database(url)
        settings = Settings(_env_file=None, database_url=url)
        await legacy.import_file(
            database, settings, bot.path, now=utc_now(), dry_run=False, watch=lambda _total: lambda _messages: None
        )
        await database.close()

    asyncio.run(run())


def rows(url: str) -> bot_reading.Rows:
    """How the reading asks this database."""
    return sqlite_rows(Path(url.partition("///")[2])) if url.startswith("sqlite") else bot_reading.postgres_rows(url)


def test_the_readings_agree(bot: Bot, database_url: str) -> None:
    """People, conversations, messages with their times, profiles and the order within one second are the same."""
    take(bot, database_url)
    theirs = bot_reading.Bot(bot.path)
    ours = Service(rows(database_url), theirs.undated)
    wanted = bot_reading.read(theirs)
    assert bot_reading.differences(theirs, wanted, ours, bot_reading.read(ours)) == []
    assert ours.wrong() == []
    clocks = theirs.clocks()
    assert (wanted["messages"].count > 800, clocks["missing"], clocks["twice"]) == (True, 3, 4)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE messages SET sent_at = datetime(sent_at, '+1 hour') WHERE text LIKE '%alle 02:30:00'",
        "UPDATE messages SET text = '' WHERE text = 'Buonanotte'",
        "DELETE FROM messages WHERE text = 'Buonanotte'",
        "UPDATE conversations SET message_count = message_count + 1",
        "UPDATE conversations SET is_active = 0 WHERE id = 'conv_night'",
        "DELETE FROM remote_ids WHERE remote_id = 'conv_night'",
    ],
)
def test_the_readings_can_differ(bot: Bot, database_url: str, fault: str) -> None:
    """An hour, a text, a row, a count, a state: what is not the same is seen."""
    take(bot, database_url)
    Bot(Path(database_url.partition("///")[2]), fault)
    theirs = bot_reading.Bot(bot.path)
    ours = Service(rows(database_url), theirs.undated)
    wanted, had = bot_reading.read(theirs), bot_reading.read(ours)
    assert [*bot_reading.differences(theirs, wanted, ours, had), *ours.wrong()]
