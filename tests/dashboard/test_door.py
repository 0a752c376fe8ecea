"""The dashboard's door: who is let in, with which cookie, and until when."""

import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr

from convo_service.routes import dashboard
from convo_service.services.keys import Scope
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.dashboard.conftest import Desk, Maria, Open, pages_of

OPEN = {"/dashboard/login", "/dashboard/welcome", "/dashboard/language", "/dashboard/static/{name:path}"}
WRITERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/users/{user}/reset", {}),
    ("/users/{user}/pause", {"minutes": "30"}),
    ("/users/{user}/resume", {}),
    ("/users/{user}/notes", {"kind": "note", "text": "Preferisce il mattino"}),
    ("/notes/{note}", {"status": "resolved"}),
    ("/users/{user}/entries/{note}", {"do": "pin"}),
)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every page and form of the dashboard."""
    found = dashboard.make(app.state.services, {})
    return [(method, path) for path, method in walked(found.router.routes)]


def walked(given: object) -> list[tuple[str, str]]:
    """FastAPI's routes are a tree."""
    found: list[tuple[str, str]] = []
    for one in given:  # type: ignore[attr-defined]
        if isinstance(one, APIRoute):
            found += [(one.path, method) for method in one.methods or ()]
        elif below := getattr(getattr(one, "original_router", one), "routes", None):
            found += walked(below)
    return found


async def test_nobody_sees_anything_without_a_session(app: FastAPI, door: Open) -> None:
    """Without a session every page and every form leads to the door, but for the door itself and its files."""
    desk, seen = await door(), routes(app)
    assert len(seen) > 20
    for method, path in seen:
        answer = await desk.http.request(method, re.sub(r"{\w+}", "usr_nobody", path))
        if path in OPEN:
            assert not answer.headers.get("location", "").startswith("/dashboard/login?next"), path
        else:
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/dashboard/login"), (method, path)


async def test_signing_in(app: FastAPI, clock: Clock, door: Open) -> None:
    """A key opens a session; the browser gets a cookie that no script and no other site can use, and not the key."""
    _, key = await app.state.services.keys.create("me", Scope.DASHBOARD, now=clock())
    desk = await door()
    assert (await desk.http.get("/dashboard/users")).headers["location"] == "/dashboard/login?next=/dashboard/users"
    answer = await desk.http.post("/dashboard/login", data={"key": key, "next": "/dashboard/users"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-convo_session=")
    assert {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict", "Secure"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    answer = await desk.http.get(answer.headers["location"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/users")
    page = await desk.http.get("/dashboard/users")
    assert page.status_code == 200
    assert key not in page.text


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        pytest.param("http://localhost:8000", "convo_session", id="localhost"),
        pytest.param("http://127.0.0.1:8000", "convo_session", id="127.0.0.1"),
        pytest.param("http://[::1]:8000", "convo_session", id="IPv6"),
        pytest.param("https://localhost", "__Host-convo_session", id="TLS on localhost"),
        pytest.param("http://convo.example", "__Host-convo_session", id="behind a proxy that ends TLS"),
    ],
)
async def test_plain_http_is_for_this_machine_alone(
    app: FastAPI, clock: Clock, door: Open, base_url: str, name: str
) -> None:
    """Only where both ends are of one machine does a cookie go without TLS."""
    _, key = await app.state.services.keys.create("me", Scope.DASHBOARD, now=clock())
    desk = await door(base_url)
    cookie = (await desk.sign_in(key)).headers["set-cookie"]
    assert cookie.startswith(f"{name}=")
    assert ("Secure" in cookie) == (name != "convo_session")


async def test_a_name_of_this_machine_from_another_one(app: FastAPI, clock: Clock) -> None:
    """Who claims to be on this machine and is not gets the cookie that needs TLS."""
    _, key = await app.state.services.keys.create("me", Scope.DASHBOARD, now=clock())
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await Desk(http).sign_in(key)
    assert answer.headers["set-cookie"].startswith("__Host-")


@pytest.mark.parametrize(
    ("key", "status", "says"),
    [
        pytest.param("", 401, "non è valida", id="none"),
        pytest.param("csk_nonsense", 401, "non è valida", id="nonsense"),
        pytest.param("chiave è\x00", 401, "non è valida", id="no ASCII"),
    ],
)
async def test_no_valid_key(door: Open, key: str, status: int, says: str) -> None:
    """A wrong key is said to be wrong, and is not repeated."""
    desk = await door()
    desk.http.headers["Accept-Language"] = "it"
    answer = await desk.sign_in(key)
    assert answer.status_code == status
    assert says in answer.text
    assert "set-cookie" not in answer.headers
    assert not key or key not in answer.text


async def test_a_gateway_reads_no_history(app: FastAPI, clock: Clock, door: Open) -> None:
    """A gateway's key opens no session."""
    _, key = await app.state.services.keys.create("gw", Scope.GATEWAY, now=clock())
    answer = await (await door()).sign_in(key)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


async def test_many_wrong_keys(app: FastAPI, clock: Clock, door: Open) -> None:
    """After ten wrong keys in a minute the right one waits, too; signing in with it counts for nothing."""
    _, key = await app.state.services.keys.create("me", Scope.ADMIN, now=clock())
    desk = await door()
    for _ in range(3):
        assert (await desk.sign_in(key)).status_code == 303
    assert [(await desk.sign_in("csk_wrong")).status_code for _ in range(11)] == [401] * 10 + [429]
    assert (await desk.sign_in(key)).status_code == 429
    clock.advance(minutes=1)
    assert (await desk.sign_in(key)).status_code == 303


async def test_a_cookie_that_is_not_kept(door: Open) -> None:
    """Who signed in and comes without a cookie is told why."""
    desk = await door()
    answer = await desk.http.get("/dashboard/welcome")
    assert answer.headers["location"] == "/dashboard/login?cookie=none"
    assert "HTTPS" in (await desk.see("/login?cookie=none")).text


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/dashboard//evil.example", "/\\evil", "/users", "javascript:1"]
)
async def test_signing_in_leads_to_the_dashboard_alone(app: FastAPI, clock: Clock, door: Open, place: str) -> None:
    """No link to the door leads to another site."""
    _, key = await app.state.services.keys.create("me", Scope.ADMIN, now=clock())
    desk = await door()
    answer = await desk.http.post("/dashboard/login", data={"key": key, "next": place})
    assert answer.headers["location"] == "/dashboard/welcome?to=/dashboard"
    answer = await desk.http.get("/dashboard/welcome", params={"to": place})
    assert answer.headers["location"] == "/dashboard"


async def seen(http: httpx.AsyncClient, token: str) -> httpx.Response:
    """A page, as whoever has a cookie sees it."""
    return await http.get("/dashboard/users", headers={"Cookie": f"__Host-convo_session={token}"})


async def test_sessions_end(app: FastAPI, clock: Clock, open_desk: Open, http: httpx.AsyncClient) -> None:
    """A session ends by itself, when somebody signs out, and when its key is revoked or is over."""
    services = app.state.services
    leaving = await open_desk()
    assert (await leaving.send("/logout")).headers["location"] == "/dashboard/login?out=yes"
    assert (await leaving.http.get("/dashboard/users")).status_code == 303
    row, key = await services.keys.create("short", Scope.ADMIN, now=clock(), expires_at=clock.now.replace(hour=10))
    token = await services.sessions.begin(key, now=clock())
    assert (await services.sessions.find(token, now=clock())).holder.key_id == row.id
    revoked = await open_desk()
    newest = (await services.keys.all())[-1]
    await services.keys.revoke(newest.id, now=clock())
    assert (await revoked.http.get("/dashboard/users")).status_code == 303
    assert (await seen(http, token)).status_code == 200
    clock.advance(hours=1)
    assert (await seen(http, token)).status_code == 303


async def test_a_session_lasts_a_day_of_work(clock: Clock, open_desk: Open) -> None:
    """After twelve hours the key is asked for again."""
    desk = await open_desk()
    clock.advance(hours=11, minutes=59)
    await desk.see("/users")
    clock.advance(minutes=1)
    assert (await desk.http.get("/dashboard/users")).status_code == 303


@pytest.mark.parametrize("env", [{"bootstrap_admin_key": "b" * 40}])
async def test_the_key_from_the_environment(app: FastAPI, settings: Settings, door: Open) -> None:
    """It opens sessions, too, which end when it is another one."""
    desk = await door()
    assert (await desk.sign_in("b" * 40)).status_code == 303
    await desk.see("/users")
    settings.bootstrap_admin_key = SecretStr("c" * 40)
    assert (await desk.http.get("/dashboard/users")).status_code == 303


async def test_a_session_is_no_key_and_a_key_no_session(desk: Desk, gateway: object, http: httpx.AsyncClient) -> None:
    """The API takes no cookie, and the pages no key."""
    cookie = "; ".join(f"{one.name}={one.value}" for one in desk.http.cookies.jar)
    assert (await http.get("/users", headers={"Authorization": "", "Cookie": cookie})).status_code == 401
    assert (await http.get("/dashboard/users")).status_code == 303


async def test_forms_of_other_sites(desk: Desk, maria: Maria, http: httpx.AsyncClient) -> None:
    """A form without this session's token, or that a browser says another site has sent, changes nothing."""
    path, fields = f"/dashboard/users/{maria.id}/notes", {"kind": "note", "text": "nota"}
    foreign = [
        await desk.http.post(path, data=fields),
        await desk.http.post(path, data={**fields, "csrf": "è"}),
        await desk.http.post(
            path, data={**fields, "csrf": await desk.csrf()}, headers={"Sec-Fetch-Site": "cross-site"}
        ),
    ]
    assert [one.status_code for one in foreign] == [403] * 3
    body = {**fields, "csrf": await desk.csrf()}
    assert (await desk.http.post(path, json=body)).status_code == 422
    assert len((await http.get(f"/users/{maria.id}/notes")).json()["data"]) == 1


@pytest.mark.parametrize("scope", [Scope.DASHBOARD, Scope.ADMIN])
async def test_scopes(open_desk: Open, maria: Maria, scope: Scope) -> None:
    """Who reads sees no form, and may send none; export and erasure are for administrators."""
    desk = await open_desk(scope)
    for path, fields in WRITERS:
        filled = path.format(user=maria.id, note=maria.note)
        status = (await desk.send(filled, **fields)).status_code
        assert (status == 403) == (scope is Scope.DASHBOARD), path
    assert (await desk.http.get(f"/dashboard/users/{maria.id}/export")).status_code == (
        200 if scope is Scope.ADMIN else 403
    )
    actions = {str(one.get("action")) for path in pages_of(maria) for one in (await desk.see(path)).all("form")}
    forms = {one for one in actions if "/usr_" in one or "/note" in one}
    assert bool(forms) == (scope is Scope.ADMIN)
    assert (await desk.send(f"/users/{maria.id}/erase", word="ERASE")).status_code == (
        303 if scope is Scope.ADMIN else 403
    )
