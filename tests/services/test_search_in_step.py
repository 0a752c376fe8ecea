"""What is searched by is in step with the messages, by whatever way they come and go."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from convo_service.db import migrations
from convo_service.db.engine import Database
from convo_service.db.legacy import PREFIX
from convo_service.db.models import Message
from convo_service.services.legacy import adopt
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.databases import on
from tests.gateway import Gateway
from tests.test_migrations import ANNA, execute

CHECK = sa.text("INSERT INTO message_search (message_search, rank) VALUES ('integrity-check', 1)")
UNNUMBERED = sa.text("SELECT count(*) FROM messages WHERE message_search_number IS NULL")
FOUND = {
    "sqlite": "SELECT count(*) FROM message_search WHERE message_search MATCH :word",
    "postgresql": "SELECT count(*) FROM messages WHERE message_search_words @@ to_tsquery('italian', :word)",
}


def times_found(connection: sa.Connection, word: str) -> int:
    """How many messages are found by a word, when FTS5 itself says that it is in step."""
    if connection.dialect.name == "sqlite":
        connection.execute(CHECK)
        assert connection.scalar(UNNUMBERED) == 0
    count: int = connection.execute(sa.text(FOUND[connection.dialect.name]), {"word": word}).scalar_one()
    return count


async def found(database: Database, word: str) -> int:
    """The same in a database that is served."""
    async with database.write.begin() as tx:
        return await (await tx.connection()).run_sync(times_found, word)


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_requests(gateway: Gateway, database: Database, clock: Clock) -> None:
    """Messages, replies that are appended, and replies of turns are found; a duplicate is found once."""
    conversation = (await gateway.say("Una parola: zafferano"))["conversation"]
    await gateway.say("zafferano", id="wamid.same")
    await gateway.say("zafferano", id="wamid.same")
    await gateway.reply(conversation["id"], "Lo zafferano è finito")
    assert await found(database, "zafferano") == 3
    before = len(await gateway.listed(f"/users/{conversation['user_id']}/messages"))
    reply = (await gateway.ask("Zafferano?", at=clock.advance(minutes=1)))["reply"]["text"]
    assert len(await gateway.listed(f"/users/{conversation['user_id']}/messages")) == before + 2
    newest = (await gateway.listed("/messages", q=reply.split()[0], limit=1))[0]
    assert newest["text"] == reply


async def test_changes(gateway: Gateway, database: Database) -> None:
    """What is rewritten is found by its new words, what is set to another time in its new place; deleted is gone."""
    for number in range(3):
        await gateway.say(f"zafferano {number}", identity=f"+39333000000{number}")
    ids = [row["id"] for row in await gateway.listed("/messages", q="zafferano", order="asc")]
    moved = {"sent_at": datetime(2020, 1, 1, tzinfo=UTC)}
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Message).where(Message.id == ids[0]).values(text="curcuma"))
        await tx.execute(sa.update(Message).where(Message.id == ids[2]).values(moved))
    assert [row["id"] for row in await gateway.listed("/messages", q="zafferano", order="asc")] == [ids[2], ids[1]]
    assert [row["id"] for row in await gateway.listed("/messages", q="curcuma")] == [ids[0]]
    async with database.write.begin() as tx:
        await tx.execute(sa.delete(Message))
    assert (await found(database, "zafferano"), await found(database, "curcuma")) == (0, 0)


def test_what_was_there(empty_url: str) -> None:
    """Messages that were stored before are found, and so are those that an import brings."""
    config = migrations.config(empty_url)
    command.upgrade(config, "0001")
    on(empty_url, execute(*ANNA))
    command.upgrade(config, "head")
    assert on(empty_url, lambda connection: times_found(connection, "ciao")) == 1
    more = "INSERT INTO legacy_messages (phone_number, sender, message, timestamp) VALUES ('{}', 'user', 'ciao', '{}')"
    on(empty_url, execute(more.format("+39333111", "2020-01-01"), more.format("+39333222", "2026-07-01 10:00:00")))
    settings = Settings(_env_file=None, database_url=empty_url)
    on(
        empty_url,
        lambda connection: adopt(
            connection, settings, prefix=PREFIX, now=datetime.now(UTC), watch=lambda _total: lambda _messages: None
        ),
    )
    assert on(empty_url, lambda connection: times_found(connection, "ciao")) == 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_vacuum(gateway: Gateway, database: Database, settings: Settings) -> None:
    """A file that is vacuumed finds the same messages: what they are found by is no rowid."""
    for number in range(4):
        await gateway.say(f"zafferano {number}", identity=f"+39333000000{number}")
    async with database.write.begin() as tx:
        await tx.execute(sa.text("DELETE FROM messages WHERE text IN ('zafferano 0', 'zafferano 2')"))
    assert settings.sqlite_file is not None
    with closing(sqlite3.connect(settings.sqlite_file, isolation_level=None)) as connection:
        connection.execute("VACUUM")
    assert [row["text"] for row in await gateway.listed("/messages", q="zafferano", order="asc")] == [
        "zafferano 1",
        "zafferano 3",
    ]
    assert await found(database, "zafferano") == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_deleted_words_leave_the_file(gateway: Gateway, database: Database, settings: Settings) -> None:
    """A deleted word stands nowhere in the file: at once since SQLite 3.42, before that once FTS5 has merged."""
    await gateway.say("quercitrone altrove")
    await gateway.say("resta")
    async with database.write.begin() as tx:
        await tx.execute(sa.text("DELETE FROM messages WHERE text LIKE 'quercitrone%'"))
        if sqlite3.sqlite_version_info < (3, 42):
            await tx.execute(sa.text("INSERT INTO message_search (message_search) VALUES ('optimize')"))
    assert b"quercitrone" not in content(settings.sqlite_file)


def content(file: Path | None) -> bytes:
    """All that stands in a database's file."""
    assert file is not None
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.read_bytes()
