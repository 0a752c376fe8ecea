"""The database: readers cannot write, instants keep their zone, leases have a clock, indexes serve the hot path."""

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from convo_service.app import create_app
from convo_service.db.engine import Database, database_time
from convo_service.db.models import User
from convo_service.domain.ids import new_id
from convo_service.llm.client import LLMClient
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import Gateway

ROME = timezone(timedelta(hours=2))


def person(seen: datetime) -> User:
    """Somebody."""
    return User(id=new_id("usr"), cohort="window", first_seen_at=seen, last_seen_at=seen)


async def test_readers_cannot_write(database: Database) -> None:
    """The database itself keeps a reading transaction from writing."""
    with pytest.raises(sa.exc.DBAPIError):
        async with database.read.begin() as tx:
            tx.add(person(datetime.now(UTC)))
    async with database.read.begin() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(User)) == 0


async def test_errors_repeat_no_values(database: Database) -> None:
    """The text of an error names the statement, never what somebody wrote."""
    someone = User(id="canarino-giallo", cohort="window", first_seen_at=datetime.now(UTC), last_seen_at=None)  # type: ignore[arg-type]
    with pytest.raises(sa.exc.DBAPIError) as raised:
        async with database.write.begin() as tx:
            tx.add(someone)
    assert ("INSERT INTO users" in str(raised.value), "canarino" in str(raised.value.statement)) == (True, False)
    assert "[parameters" not in str(raised.value)


async def test_instants(database: Database) -> None:
    """An instant comes back as the same instant, in UTC, to the microsecond."""
    seen = datetime(2026, 10, 25, 2, 30, 0, 123456, tzinfo=ROME)
    async with database.write.begin() as tx:
        tx.add(person(seen))
    async with database.read.begin() as tx:
        user = (await tx.scalars(sa.select(User))).one()
    assert (user.first_seen_at, user.first_seen_at.utcoffset()) == (seen, timedelta(0))


async def test_naive_times_are_refused(database: Database) -> None:
    """A time without a zone cannot be stored: nobody could tell later what it meant."""
    with pytest.raises(sa.exc.StatementError, match="without a zone"):
        async with database.write.begin() as tx:
            tx.add(person(datetime(2026, 3, 2)))  # noqa: DTZ001 - the point of it


async def test_the_clock_of_leases(database: Database) -> None:
    """The database's clock counts seconds since 1970."""
    async with database.read.begin() as tx:
        told = await tx.scalar(sa.select(database_time()))
    assert told == pytest.approx(time.time(), abs=2)


async def test_no_update_is_lost(database: Database) -> None:
    """A hundred read-and-add transactions at once, each with the row locked, add up to a hundred."""
    user = person(datetime.now(UTC))
    async with database.write.begin() as tx:
        tx.add(user)

    async def add_one() -> None:
        async with database.write.begin() as tx:
            found = await tx.scalar(sa.select(User).where(User.id == user.id).with_for_update())
            assert found is not None
            found.message_count += 1

    await asyncio.gather(*(add_one() for _ in range(100)))
    async with database.read.begin() as tx:
        assert await tx.scalar(sa.select(User.message_count)) == 100


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_backup_of_a_running_service(
    gateway: Gateway, settings: Settings, llm: LLMClient, clock: Clock, tmp_path: Path
) -> None:
    """`VACUUM INTO` beside a running service is a whole database: the key is valid, and a message is known again."""
    before = await gateway.say("ciao", id="wamid.1")
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(str(settings.sqlite_file))) as file:
        file.execute("VACUUM INTO ?", (str(copy),))
    await gateway.say("dopo", id="wamid.2")
    app = create_app(settings.model_copy(update={"database_url": f"sqlite+aiosqlite:///{copy}"}), llm=llm, clock=clock)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://convo", headers=gateway.http.headers) as http,
    ):
        again = await Gateway(http).say("ciao", id="wamid.1")
        (conversation,) = await Gateway(http).listed("/conversations")
    assert (again["duplicate"], again["conversation"]["id"]) == (True, before["conversation"]["id"])
    assert conversation["message_count"] == 1


async def test_the_active_conversation_is_found_by_its_index(database: Database) -> None:
    """The question that every message asks is answered by the partial unique index."""
    question = "SELECT * FROM conversations WHERE user_id = 'u' AND topic = 'general' AND {}"
    async with database.read.begin() as tx:
        if (await tx.connection()).dialect.name == "sqlite":
            plan = await tx.execute(sa.text("EXPLAIN QUERY PLAN " + question.format("is_active = 1")))
        else:
            await tx.execute(sa.text("SET LOCAL enable_seqscan = off"))
            plan = await tx.execute(sa.text("EXPLAIN " + question.format("is_active")))
        assert "uq_conversations_active" in str(plan.all())
