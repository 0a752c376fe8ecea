"""Keys: who is let in, and for how long."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import SecretStr

from convo_service.app import create_app
from convo_service.db.engine import Database
from convo_service.errors import InvalidApiKey
from convo_service.llm.client import LLMClient
from convo_service.services import keys
from convo_service.services.keys import Keys, Scope
from convo_service.settings import Settings
from tests.conftest import MONDAY, Clock
from tests.gateway import assert_problem

BOOTSTRAP = "b" * 32


@pytest.fixture
def made(app: FastAPI) -> Keys:
    """The keys of the app."""
    found: Keys = app.state.services.keys
    return found


@pytest.fixture
async def replica(settings: Settings, llm: LLMClient, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A second service on the same database."""
    app = create_app(settings, llm=llm, clock=clock, books_every=3600)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://b") as http:
        yield http


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no key"),
        pytest.param("Basic abc", id="another scheme"),
        pytest.param("Bearer nonsense", id="nonsense"),
        pytest.param("Bearer " + "x" * 5000, id="without end"),
        pytest.param(b"Bearer \xff\xfe", id="no ASCII"),
        pytest.param(f"Bearer {keys._make()}", id="well-formed and unknown"),
    ],
)
async def test_no_valid_key(http: httpx.AsyncClient, header: Any) -> None:
    """Without a valid key every answer is 401, whatever it was about."""
    headers = {} if header is None else {"Authorization": header}
    answer = await http.get("/conversations/conv_nobody", headers=headers)
    assert_problem(answer, 401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_typing_error(made: Keys, http: httpx.AsyncClient, clock: Clock) -> None:
    """The checksum finds a typing error without asking the database."""
    _, key = await made.create("x", Scope.ADMIN, now=clock())
    other = "0" if key[20] != "0" else "1"
    typo = key[:20] + other + key[21:]
    assert_problem(await http.get("/users", headers={"Authorization": f"Bearer {typo}"}), 401, "invalid_api_key")


async def test_revocation(made: Keys, http: httpx.AsyncClient, replica: httpx.AsyncClient, clock: Clock) -> None:
    """A revoked key is refused within five seconds by every replica, also by one that has just let it in."""
    row, key = await made.create("x", Scope.DASHBOARD, now=clock())
    headers = {"Authorization": f"Bearer {key}"}
    assert [(await one.get("/users", headers=headers)).status_code for one in (http, replica)] == [200, 200]
    assert await made.revoke(row.prefix, now=clock())
    ends = time.monotonic() + 5
    refused: set[httpx.AsyncClient] = set()
    while len(refused) < 2 and time.monotonic() < ends:
        await asyncio.sleep(0.1)
        refused |= {one for one in (http, replica) if (await one.get("/users", headers=headers)).status_code == 401}
    assert refused == {http, replica}
    assert_problem(await replica.get("/users", headers=headers), 401, "invalid_api_key")
    assert not await made.revoke("key_nobody", now=clock())


async def test_expiry(made: Keys, http: httpx.AsyncClient, clock: Clock) -> None:
    """A key is good until its end, and from then on it is no key, whatever a cache remembers."""
    _, key = await made.create("x", Scope.DASHBOARD, now=clock(), expires_at=clock() + timedelta(days=1))
    headers = {"Authorization": f"Bearer {key}"}
    clock.advance(days=1, microseconds=-1)
    assert (await http.get("/users", headers=headers)).status_code == 200
    clock.advance(microseconds=1)
    assert_problem(await http.get("/users", headers=headers), 401, "invalid_api_key")
    made._known.clear()
    assert_problem(await http.get("/users", headers=headers), 401, "invalid_api_key")


async def test_rotation(made: Keys, http: httpx.AsyncClient, clock: Clock) -> None:
    """Both keys of a client are good during the grace; then the second alone."""
    row, old = await made.create("bot", Scope.GATEWAY, now=clock())
    rotated = await made.rotate(row.id, now=clock(), grace=timedelta(hours=24))
    assert rotated is not None
    assert (rotated.row.name, rotated.row.scope, rotated.row.expires_at) == ("bot", "gateway", None)

    async def statuses() -> list[int]:
        answers = [
            await http.post("/users/lookup", json={"identity": "nobody"}, headers={"Authorization": f"Bearer {key}"})
            for key in (old, rotated.key)
        ]
        return [answer.status_code for answer in answers]

    assert await statuses() == [404, 404]
    clock.advance(hours=24)
    made._known.clear()  # what three seconds do
    assert await statuses() == [401, 404]
    assert await made.rotate(row.id, now=clock(), grace=timedelta(hours=24)) is None


async def test_a_rotation_prolongs_nothing(made: Keys, clock: Clock) -> None:
    """A key that ends before the grace does ends when it would have."""
    row, _ = await made.create("bot", Scope.GATEWAY, now=clock(), expires_at=clock() + timedelta(hours=1))
    rotated = await made.rotate(row.prefix, now=clock(), grace=timedelta(hours=24))
    assert rotated is not None
    assert rotated.old_expires_at == clock() + timedelta(hours=1)


async def test_the_last_use(made: Keys, http: httpx.AsyncClient, database: Database, clock: Clock) -> None:
    """It is written beside the requests, once in a minute for each key."""
    _, key = await made.create("x", Scope.DASHBOARD, now=clock())
    seen: list[datetime | None] = []
    for _ in range(4):
        assert (await http.get("/users", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert [one.last_used_at for one in await made.all()] == seen[-1:] or seen == []
        await made.note_uses()
        seen += [one.last_used_at for one in await made.all()]
        clock.advance(seconds=25)
    assert seen == [MONDAY, MONDAY, MONDAY, MONDAY + timedelta(seconds=75)]


async def test_nothing_to_note(made: Keys, database: Database, clock: Clock) -> None:
    """A key that was noted less than a minute ago costs no statement."""
    _, key = await made.create("x", Scope.DASHBOARD, now=clock())
    await made.authenticate(key, now=clock())
    await made.note_uses()
    await made.authenticate(key, now=clock.advance(seconds=59))
    said: list[Any] = []
    for engine in database.engines:
        sa.event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    await made.note_uses()
    assert said == []
    clock.advance(seconds=1)
    await made.authenticate(key, now=clock())
    await made.note_uses()
    assert any("last_used_at" in one for one in said)


async def test_the_last_use_is_written_by_itself(settings: Settings, llm: LLMClient, made: Keys, clock: Clock) -> None:
    """Nobody has to ask for it, and a service that stops writes it at once."""
    _, key = await made.create("x", Scope.DASHBOARD, now=clock())
    app = create_app(settings, llm=llm, clock=clock, books_every=60)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://convo") as http,
    ):
        assert (await http.get("/users", headers={"Authorization": f"Bearer {key}"})).status_code == 200
    assert [one.last_used_at for one in await made.all()] == [clock()]


@pytest.mark.parametrize("env", [{"bootstrap_admin_key": BOOTSTRAP}])
async def test_bootstrap_key(http: httpx.AsyncClient) -> None:
    """BOOTSTRAP_ADMIN_KEY is an admin key given from outside."""
    assert (await http.get("/users", headers={"Authorization": f"Bearer {BOOTSTRAP}"})).status_code == 200


async def test_only_an_hmac_is_stored(made: Keys, clock: Clock) -> None:
    """The key itself stands in no column."""
    row, key = await made.create("x", Scope.ADMIN, now=clock())
    columns = {column.name: getattr(row, column.name) for column in row.__table__.columns}
    assert key not in str(columns)
    assert columns["digest"] != key


@pytest.mark.parametrize("env", [{"key_pepper": None}])
async def test_a_pepper_that_nobody_set(
    app: FastAPI, made: Keys, settings: Settings, http: httpx.AsyncClient, clock: Clock
) -> None:
    """Without KEY_PEPPER one is made once, and every replica of the installation uses the same."""
    _, key = await made.create("x", Scope.ADMIN, now=clock())
    replica = Keys(app.state.services.database, settings)
    assert (await replica.authenticate(key, now=clock())).scope == Scope.ADMIN
    assert (await http.get("/users", headers={"Authorization": f"Bearer {key}"})).status_code == 200
    if file := settings.sqlite_file:
        pepper = file.with_name(f"{file.name}.pepper")
        assert (pepper.stat().st_mode & 0o777, [*file.parent.glob("*.pepper.*")]) == (0o600, [])


async def test_another_pepper_knows_no_key(app: FastAPI, made: Keys, settings: Settings, clock: Clock) -> None:
    """Whoever has the table without the pepper has no key."""
    _, key = await made.create("x", Scope.ADMIN, now=clock())
    other = settings.model_copy(update={"key_pepper": SecretStr("another")})
    with pytest.raises(InvalidApiKey):
        await Keys(app.state.services.database, other).authenticate(key, now=clock())
