"""Keys and scopes: who may do what."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from convo_service.errors import InvalidApiKey
from convo_service.services import keys
from convo_service.services.keys import Keys, Scope
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import assert_problem

BOOTSTRAP = "b" * 32
GATEWAY, DASHBOARD = {"gateway"}, {"dashboard"}
# Who may call what, beside admin; a new route has to be added here.
ALLOWED: dict[tuple[str, str], set[str]] = {
    ("POST", "/conversations"): GATEWAY,
    ("POST", "/turns"): GATEWAY,
    ("POST", "/turns/stream"): GATEWAY,
    ("GET", "/turns/{turn_id}"): GATEWAY | DASHBOARD,
    ("GET", "/analytics/savings"): DASHBOARD,
    ("GET", "/conversations"): DASHBOARD,
    ("GET", "/conversations/{conversation_id}"): DASHBOARD,
    ("GET", "/conversations/{conversation_id}/messages"): DASHBOARD,
    ("POST", "/conversations/{conversation_id}/messages"): GATEWAY,
    ("GET", "/conversations/{conversation_id}/chain"): DASHBOARD,
    ("POST", "/conversations/{conversation_id}/close"): GATEWAY,
    ("GET", "/messages"): DASHBOARD,
    ("GET", "/users"): DASHBOARD,
    ("POST", "/users/lookup"): GATEWAY,
    ("GET", "/users/{user_id}"): DASHBOARD,
    ("GET", "/users/{user_id}/messages"): DASHBOARD,
    ("GET", "/users/{user_id}/seed"): GATEWAY | DASHBOARD,
    ("POST", "/users/{user_id}/seed/regenerate"): GATEWAY,
    ("PATCH", "/users/{user_id}/seed/entries/{entry_id}"): GATEWAY,
    ("DELETE", "/users/{user_id}/seed/entries/{entry_id}"): GATEWAY,
    ("GET", "/users/{user_id}/summaries"): DASHBOARD,
    ("GET", "/users/{user_id}/notes"): GATEWAY | DASHBOARD,
    ("POST", "/users/{user_id}/notes"): GATEWAY,
    ("PATCH", "/notes/{note_id}"): GATEWAY,
    ("POST", "/users/{user_id}/reset"): GATEWAY,
    ("POST", "/users/{user_id}/identities"): set(),
    ("GET", "/users/{user_id}/export"): set(),
    ("DELETE", "/users/{user_id}"): set(),
    ("GET", "/erasures/{erasure_id}"): set(),
    ("POST", "/users/{user_id}/merge"): set(),
    ("GET", "/users/{user_id}/profile"): GATEWAY | DASHBOARD,
    ("PUT", "/users/{user_id}/profile"): GATEWAY,
}
OPEN = {("GET", "/livez"), ("GET", "/readyz")}


@pytest.fixture
def made(app: FastAPI) -> Keys:
    """The keys of the app."""
    found: Keys = app.state.services.keys
    return found


async def test_every_route_and_scope(app: FastAPI, made: Keys, http: httpx.AsyncClient, clock: Clock) -> None:
    """Each route lets its scopes pass and refuses the others with 403, before it looks at anything else."""
    routes = {(method.upper(), path) for path, operations in app.openapi()["paths"].items() for method in operations}
    assert routes == ALLOWED.keys() | OPEN
    for scope in Scope:
        _, key = await made.create(scope, scope, now=clock())
        for (method, path), allowed in ALLOWED.items():
            answer = await http.request(method, path, headers={"Authorization": f"Bearer {key}"})
            if scope == Scope.ADMIN or scope in allowed:
                assert answer.status_code not in (401, 403), (scope, method, path)
            else:
                assert_problem(answer, 403, "insufficient_scope")


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


async def test_revocation(made: Keys, http: httpx.AsyncClient, clock: Clock) -> None:
    """A revoked key is refused once the cache has forgotten it, within five seconds."""
    assert keys.CACHE_SECONDS < 5
    row, key = await made.create("x", Scope.DASHBOARD, now=clock())
    headers = {"Authorization": f"Bearer {key}"}
    assert (await http.get("/users", headers=headers)).status_code == 200
    assert await made.revoke(row.prefix, now=clock())
    made._known.clear()  # what the seconds do
    assert_problem(await http.get("/users", headers=headers), 401, "invalid_api_key")
    assert not await made.revoke("key_nobody", now=clock())


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
