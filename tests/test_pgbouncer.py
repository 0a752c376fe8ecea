"""Behind PgBouncer in transaction mode, where two transactions of one client never count on the same connection."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from alembic import command

from convo_service.db import migrations
from convo_service.db.engine import open_database
from convo_service.db.prepared import Driver, Prepared, Row
from convo_service.settings import Settings
from tests import pgbouncer
from tests.gateway import Gateway, assert_problem
from tests.test_database_faults import listening, startup

installed = pytest.mark.skipif(pgbouncer.BINARY is None, reason="no pgbouncer on this machine")
on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
from_empty = pytest.mark.parametrize("empty_url", ["postgres"], indirect=True)

TIMEOUTS = sa.text(
    "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), "
    "current_setting('idle_in_transaction_session_timeout'), current_setting('TimeZone')"
)
WAY = [pytest.param("", id="direct"), pytest.param("&pgbouncer=true", id="pgbouncer")]


@on_postgres
@pytest.mark.parametrize("way", WAY)
async def test_timeouts(database_url: str, way: str) -> None:
    """Writers and readers have the same timeouts and the same zone on either way."""
    database = open_database(database_url + way)
    for sessions in (database.write, database.read):
        async with sessions.begin() as tx:
            assert (await tx.execute(TIMEOUTS)).one() == ("10s", "5s", "15s", "UTC")
    await database.close()


@on_postgres
@pytest.mark.parametrize("way", ["", "&prepared_statement_cache_size=0", "&pgbouncer=true"])
async def test_the_quick_lane(database_url: str, way: str) -> None:
    """It goes the same way as everything else, also where the URL has an argument that is SQLAlchemy's alone."""
    database = open_database(database_url + way)

    def ask(driver: Driver) -> Row | None:
        return driver.fetch(Prepared(sa.select(sa.literal(7).label("seven")), driver.dialect), {})

    assert await database.lane.run(ask) == {"seven": 7}
    await database.close()


@on_postgres
@pytest.mark.parametrize(("way", "kept"), [("", True), ("&pgbouncer=true", False)])
async def test_statements_on_the_server(database_url: str, way: str, kept: bool) -> None:
    """Prepared statements stay on a connection that is ours, and nothing is left on one that is not."""
    database = open_database(database_url + way)
    async with database.read.begin() as tx:
        left = await tx.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements"))
    assert bool(left) is kept
    await database.close()


@pytest.mark.parametrize(("way", "sent"), [("", True), ("?pgbouncer=true", False)])
async def test_what_a_session_starts_with(way: str, sent: bool) -> None:
    """PgBouncer is sent no parameter that it would refuse."""
    seen: list[bytes] = []
    async with listening(startup(seen.append)) as url:
        database = open_database(Settings(_env_file=None, database_url=url + way).database_url)
        with pytest.raises(sa.exc.DBAPIError):
            async with database.read.begin() as tx:
                await tx.execute(sa.text("SELECT 1"))
    names = set(seen[0].split(b"\0")[::2])
    assert names >= {b"user", b"database", b"timezone"}
    assert ({b"statement_timeout", b"lock_timeout", b"idle_in_transaction_session_timeout"} <= names) is sent
    assert b"pgbouncer" not in seen[0]


@pytest.fixture
def env(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """The service goes through PgBouncer; what a test looks at itself, it looks at directly."""
    if pgbouncer.BINARY is None:
        yield {}
        return
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,  # a socket has a path of at most 107 bytes
        pgbouncer.in_front_of(request.getfixturevalue("database_url"), Path(folder)) as url,
    ):
        yield {"database_url": url}


@installed
@on_postgres
async def test_many_at_once(gateway: Gateway) -> None:
    """Thirty users at once on two connections of the server: each has one conversation, and all messages are there."""

    async def talk(number: int) -> set[str]:
        said = [await gateway.say(f"messaggio {turn}", identity=f"+39333000{number:04}") for turn in range(5)]
        return {one["conversation"]["id"] for one in said}

    found = await asyncio.gather(*(talk(number) for number in range(30)))
    assert (all(len(ids) == 1 for ids in found), len(set.union(*found))) == (True, 30)
    for ids in found:
        assert (await gateway.get(f"/conversations/{ids.pop()}"))["message_count"] == 5


@installed
@on_postgres
async def test_a_lock_that_is_not_given(gateway: Gateway, database_url: str) -> None:
    """The wait for a lock ends by our timeout there, too: 503 within ten seconds."""
    outside = open_database(database_url)
    async with outside.write.begin() as tx:
        await tx.execute(sa.text("LOCK TABLE users, identities IN ACCESS EXCLUSIVE MODE"))
        async with asyncio.timeout(10):
            assert_problem(await gateway.post("ciao"), 503, "database_unavailable")
    await outside.close()
    await gateway.say("ciao")


@installed
@from_empty
def test_migrations(empty_url: str) -> None:
    """A migration goes through it as well, and leaves the connection to others as it found it."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        pgbouncer.in_front_of(empty_url, Path(folder)) as url,
    ):
        command.upgrade(migrations.config(url), "head")
        found = asyncio.run(_settings_of_the_server(url))
    assert found == ("0", "0", "0")


async def _settings_of_the_server(url: str) -> tuple[str, ...]:
    """What a client of somebody else finds on the connection."""
    parsed = sa.make_url(url)
    there = await asyncpg.connect(
        host=parsed.query["host"], port=6432, user="postgres", database=parsed.database, statement_cache_size=0
    )
    row = await there.fetchrow(str(TIMEOUTS))
    await there.close()
    return tuple(row)[:3]
