"""Every fault of a database or its disk is a 503 that says when to repeat, never a 500."""

import asyncio
import socket
import sqlite3
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from convo_service.app import create_app
from convo_service.db.engine import Database, open_database
from convo_service.db.faults import is_passing
from convo_service.llm.client import LLMClient
from convo_service.settings import Settings
from tests.gateway import Gateway, assert_problem

on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

FAIL = """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the disk, say' USING ERRCODE = '{}'; END $$"""
FAILING = "CREATE TRIGGER failing BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fail()"
TERMINATE_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
ASKS_FOR_TLS = 80877103
ADMIN_KEY = "an admin key from outside, for tests"
SQLSTATES = [
    pytest.param("08006", id="connection failure"),
    pytest.param("25006", id="a standby since the failover"),
    pytest.param("25P03", id="idle in a transaction for too long"),
    pytest.param("40001", id="serialization failure"),
    pytest.param("40P01", id="deadlock"),
    pytest.param("53100", id="disk full"),
    pytest.param("53200", id="out of memory"),
    pytest.param("53300", id="too many connections"),
    pytest.param("55P03", id="lock not available"),
    pytest.param("57014", id="cancelled by statement_timeout"),
    pytest.param("57P01", id="shut down by an administrator"),
    pytest.param("57P02", id="shut down by a crash"),
    pytest.param("57P03", id="starting up"),
    pytest.param("58030", id="input or output failed"),
    pytest.param("XX001", id="damaged data"),
]


def assert_repeatable(answer: httpx.Response) -> None:
    """The answer says that the same request may be repeated, and when."""
    assert_problem(answer, 503, "database_unavailable")
    assert answer.headers["retry-after"] == "5"


async def execute(database: Database, *statements: str) -> None:
    """Run statements on the service's own connections."""
    async with database.write.begin() as tx:
        for statement in statements:
            await tx.execute(sa.text(statement))


@on_postgres
@pytest.mark.parametrize("sqlstate", SQLSTATES)
async def test_a_statement_fails(gateway: Gateway, database: Database, sqlstate: str) -> None:
    """While the server refuses a statement the answer is 503; afterwards the same message is taken as the first."""
    await execute(database, FAIL.format(sqlstate), FAILING)
    assert_repeatable(await gateway.post("ciao", id="wamid.1"))
    await execute(database, "DROP TRIGGER failing ON messages")
    assert not (await gateway.say("ciao", id="wamid.1"))["duplicate"]


@on_postgres
async def test_connections_that_died_unused(gateway: Gateway, settings: Settings) -> None:
    """Connections that the server closed while nobody used them cost nobody an error."""
    await gateway.say("ciao")
    outside = open_database(settings.database_url)
    await execute(outside, TERMINATE_OTHERS)
    await gateway.say("ci siete?")
    await outside.close()


@on_postgres
async def test_a_connection_that_dies_in_use(gateway: Gateway, settings: Settings) -> None:
    """A backend that is killed under a statement is a 503."""
    outside = open_database(settings.database_url)
    async with outside.write.begin() as tx:
        await tx.execute(sa.text("LOCK TABLE users, identities IN ACCESS EXCLUSIVE MODE"))
        asked = asyncio.create_task(gateway.post("ciao"))
        while not asked.done():
            await tx.execute(sa.text(TERMINATE_OTHERS + " AND wait_event_type = 'Lock'"))
            await asyncio.sleep(0.05)
            await tx.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
    assert_repeatable(await asked)
    await outside.close()


@on_postgres
async def test_a_plan_of_before_a_migration(gateway: Gateway, database: Database) -> None:
    """A column whose type changes under a running service costs a 503 at most, and a repeat works."""
    await gateway.say("ciao", id="wamid.1")
    await execute(database, "ALTER TABLE users ALTER COLUMN message_count TYPE bigint")
    statuses = [(await gateway.post("ciao", id="wamid.1")).status_code for _ in range(4)]
    assert (set(statuses) <= {200, 503}, statuses[-1]) == (True, 200), statuses


Wire = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


def startup(seen: Callable[[bytes], object], sqlstate: str = "57P03") -> Wire:
    """A server that reads the start of a session and answers with an error, as PostgreSQL and PgBouncer do."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, code = struct.unpack("!ii", await reader.readexactly(8))
        if code == ASKS_FOR_TLS:
            writer.write(b"N")
            length, code = struct.unpack("!ii", await reader.readexactly(8))
        seen(await reader.readexactly(length - 8))
        fields = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0Mno\0\0"
        writer.write(b"E" + struct.pack("!i", len(fields) + 4) + fields)
        writer.close()

    return talk


def _refuse(sqlstate: str) -> Wire:
    return startup(len, sqlstate)


@asynccontextmanager
async def listening(wire: Wire) -> AsyncIterator[str]:
    """A server on loopback; yields its URL."""
    server = await asyncio.start_server(wire, "127.0.0.1", 0)
    async with server:
        yield f"postgresql+asyncpg://convo:x@127.0.0.1:{server.sockets[0].getsockname()[1]}/convo"


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(_hang_up, id="hangs up"),
        pytest.param(_talk_nonsense, id="is no PostgreSQL"),
        pytest.param(_refuse("57P03"), id="starting up"),
        pytest.param(_refuse("53300"), id="too many connections"),
        pytest.param(_refuse("57P01"), id="shutting down"),
        pytest.param(_refuse("08P01"), id="a pooler without a server"),
        pytest.param(_refuse("28P01"), id="another password since today"),
        pytest.param(_refuse("3D000"), id="being restored"),
    ],
)
async def test_no_connection(wire: Wire, llm: LLMClient) -> None:
    """A server that is not there for us yet is a 503, on every route that asks the database."""
    async with listening(wire) as url:
        await _assert_unavailable(url, llm)


async def test_nobody_listens(llm: LLMClient) -> None:
    """A server that is being restarted refuses connections; so does a host that is gone from the DNS."""
    async with listening(_hang_up) as url:
        pass
    await _assert_unavailable(url, llm)


async def _assert_unavailable(url: str, llm: LLMClient) -> None:
    settings = Settings(_env_file=None, database_url=url, bootstrap_admin_key=SecretStr(ADMIN_KEY))
    app = create_app(settings, llm=llm)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://convo", headers=headers) as http,
    ):
        assert_repeatable(await http.get("/readyz"))
        assert_repeatable(await Gateway(http).post("ciao"))


@on_sqlite
async def test_a_full_disk(gateway: Gateway, database: Database) -> None:
    """What does not fit is a 503, what is there stays readable, and with room again all goes on, without a restart."""
    await gateway.say("ciao")
    await _limit(database, 1)  # it is at least what there is
    answer = await gateway.post("x" * 8000, id="wamid.long")
    while answer.status_code == 200:
        answer = await gateway.post("x" * 8000, id="wamid.long.too")
    assert_repeatable(answer)
    assert len(await gateway.listed("/conversations")) == 1
    await _limit(database, 1000000)
    assert not (await gateway.say("x" * 8000, id="wamid.long"))["duplicate"]


async def _limit(database: Database, pages: int) -> None:
    """Each connection has a limit of its own."""
    pragma = f"PRAGMA max_page_count = {pages}"
    await execute(database, pragma)
    await database.lane.run(lambda driver: driver._raw.execute(pragma).close())  # type: ignore[attr-defined]


@on_sqlite
@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
async def test_a_locked_file(gateway: Gateway, database: Database, settings: Settings, lock: str) -> None:
    """Another program that keeps the file locked for longer than we wait is a 503."""
    await execute(database, "PRAGMA busy_timeout = 50")
    other = sqlite3.connect(str(settings.sqlite_file), isolation_level=None)
    other.execute(f"BEGIN {lock}")
    assert_repeatable(await gateway.post("ciao"))
    other.rollback()
    other.close()
    await gateway.say("ciao")


@on_sqlite
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b"not a database at all" * 1000), id="is no database"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:100] + b"\xff" * 20000), id="is damaged"),
        pytest.param(lambda file: (file.unlink(), file.mkdir()), id="cannot be opened"),
    ],
)
async def test_a_file_that_is_no_database(settings: Settings, llm: LLMClient, damage: Callable[[Path], object]) -> None:
    """A damaged file is a 503: the message is asked for again until a backup is in its place."""
    assert settings.sqlite_file is not None
    damage(settings.sqlite_file)
    await _assert_unavailable(settings.database_url, llm)


@pytest.mark.parametrize(
    ("error", "name", "passes"),
    [
        (sqlite3.OperationalError, "SQLITE_BUSY", True),
        (sqlite3.OperationalError, "SQLITE_BUSY_SNAPSHOT", True),
        (sqlite3.OperationalError, "SQLITE_LOCKED_SHAREDCACHE", True),
        (sqlite3.OperationalError, "SQLITE_FULL", True),
        (sqlite3.OperationalError, "SQLITE_IOERR_WRITE", True),
        (sqlite3.OperationalError, "SQLITE_IOERR_FSYNC", True),
        (sqlite3.OperationalError, "SQLITE_CANTOPEN_ISDIR", True),
        (sqlite3.OperationalError, "SQLITE_READONLY", True),
        (sqlite3.OperationalError, "SQLITE_READONLY_DBMOVED", True),
        (sqlite3.OperationalError, "SQLITE_PROTOCOL", True),
        (sqlite3.DatabaseError, "SQLITE_NOTADB", True),
        (sqlite3.DatabaseError, "SQLITE_CORRUPT_INDEX", True),
        (sqlite3.OperationalError, "SQLITE_ERROR", False),
        (sqlite3.IntegrityError, "SQLITE_CONSTRAINT_UNIQUE", False),
        (sqlite3.DataError, "SQLITE_TOOBIG", False),
    ],
)
def test_errors_of_sqlite(error: type[sqlite3.Error], name: str, passes: bool) -> None:
    """What lies in the file, its disk or another program passes; what lies in the statement does not."""
    original = error("in the driver's words")
    original.sqlite_errorname = name
    wrapped = sa.exc.DBAPIError.instance("SELECT 1", {}, original, sqlite3.Error)  # as SQLAlchemy raises it
    assert is_passing(wrapped) is passes


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionRefusedError(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (socket.gaierror(), True),
        (ssl.SSLError(), True),
        (sa.exc.TimeoutError("QueuePool limit"), True),
        (sa.exc.NoResultFound(), False),
        (RuntimeError(), False),
    ],
)
def test_errors_of_the_way_there(error: Exception, passes: bool) -> None:
    """What the network and the pool say passes; a mistake of ours does not."""
    assert is_passing(error) is passes
