"""What every test stands on: a migrated database of its own, the emulator behind the real SDK, and a clock."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import hypothesis
import pytest
from alembic import command
from fastapi import FastAPI

from convo_service.app import create_app
from convo_service.db import migrations
from convo_service.db.engine import Database
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.settings import Settings
from tests import postgres
from tests.canaries import Canaries, Line, Tap, watched
from tests.gateway import Gateway

# How fast data is made says how busy the machine is, and nothing about the service.
hypothesis.settings.register_profile("any machine", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")

SOCKET = "CONVO_TEST_PG_SOCKET"
TEMPLATE = "migrated"
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_server = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """One PostgreSQL for the whole run: the first process starts it, xdist's workers find it in the environment."""
    if SOCKET not in os.environ and not config.option.collectonly:
        socket = _server.enter_context(postgres.server())
        os.environ[SOCKET] = str(socket)
        asyncio.run(_execute(f"CREATE DATABASE {TEMPLATE}"))
        command.upgrade(migrations.config(postgres.url(socket, TEMPLATE)), "head")


def pytest_unconfigure() -> None:
    """Stop the server where it was started."""
    _server.close()


async def _execute(statement: str) -> None:
    connection = await asyncpg.connect(host=os.environ[SOCKET], user="postgres", database="postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class Clock:
    """The time as the service sees it; it moves only when a test says so."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def advance(self, **delta: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**delta)
        return self.now


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that the real migrations made, once a run."""
    path = tmp_path_factory.mktemp("migrated") / "convo.db"
    command.upgrade(migrations.config(f"sqlite+aiosqlite:///{path}"), "head")
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of this test's own; what it commits is committed."""
    if request.param == "sqlite":
        path = tmp_path / "convo.db"
        shutil.copy(request.getfixturevalue("migrated"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    with _on_the_server(f"TEMPLATE {TEMPLATE}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        return
    with _on_the_server() as url:
        yield url


@contextmanager
def _on_the_server(like: str = "") -> Iterator[str]:
    name = f"t{uuid4().hex}"
    asyncio.run(_execute(f"CREATE DATABASE {name} {like}"))
    yield postgres.url(Path(os.environ[SOCKET]), name)
    asyncio.run(_execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def clock() -> Clock:
    """A Monday morning in March."""
    return Clock()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """OpenAI, as far as this service can tell."""
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.fixture
def env() -> dict[str, object]:
    """Settings of a test, by override."""
    return {}


@pytest.fixture
def settings(database_url: str, env: dict[str, object]) -> Settings:
    """The defaults, on this test's database; without a reserve, so that a test sees each call where it belongs.

    The tests' clock stands still, so a user writes all that she does in one minute.
    """
    given = {
        "database_url": database_url, "key_pepper": "pepper", "conversation_reserve": 0,
        "user_turns_per_minute": 10_000, "user_resets_per_hour": 10_000, **env,
    }  # fmt: skip
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]


@pytest.fixture
def line(emulator: Emulator) -> Line:
    """The wire before the emulator, which knows every URL that was asked."""
    return Line(emulator)


@pytest.fixture
def llm(line: Line, clock: Clock) -> LLMClient:
    """The real SDK, with the emulator at the other end of the wire; its circuit breaker goes by the test's clock."""
    return LLMClient.against(line, clock=lambda: clock().timestamp())


@pytest.fixture
def canaries(emulator: Emulator, line: Line) -> Iterator[Canaries]:
    """What the test sends may be in no log line, no error, no metadata and no URL; else the test fails."""
    with watched() as canaries:
        yield canaries
        canaries.look_at_openai(emulator)
        canaries.look("a URL at OpenAI", "\n".join(line.urls))


@pytest.fixture
async def app(settings: Settings, llm: LLMClient, clock: Clock, canaries: Canaries) -> AsyncIterator[FastAPI]:
    """The service."""
    app = create_app(settings, llm=llm, clock=clock, books_every=3600)  # no statement that a test did not ask for
    app.add_middleware(Tap, canaries=canaries)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def database(app: FastAPI) -> Database:
    """The service's own database, to look behind it."""
    database: Database = app.state.services.database
    return database


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://convo") as client:
        yield client


@pytest.fixture
async def gateway(app: FastAPI, http: httpx.AsyncClient, clock: Clock) -> Gateway:
    """An operator's view: a client with an admin key, and the words that tests are written in."""
    _, key = await app.state.services.keys.create("tests", Scope.ADMIN, now=clock())
    http.headers["Authorization"] = f"Bearer {key}"
    return Gateway(http)
