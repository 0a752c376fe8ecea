"""A browser's view of the dashboard, without a browser: cookies, pages taken apart, and forms."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx
import pytest
from fastapi import FastAPI

from convo_service.services.keys import Scope
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway

Attributes = dict[str, str | None]


@dataclass
class Parsed(HTMLParser):
    """A page taken apart: its elements with their attributes, and its text."""

    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All that can be read."""
        return "".join(self.texts)

    def all(self, tag: str) -> list[Attributes]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def places(self) -> set[str]:
        """Every address that a page names."""
        names = ("href", "src", "action", "hx-get", "hx-post")
        return {str(given[name]) for _, given in self.elements for name in names if given.get(name)}


def parsed(answer: httpx.Response) -> Parsed:
    """An answer as a page."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Parsed()
    page.feed(answer.text)
    page.close()
    return page


class Desk:
    """Somebody at the dashboard."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def see(self, path: str = "", *, status: int = 200) -> Parsed:
        """Look at a page."""
        answer = await self.http.get(f"/dashboard{path}")
        assert answer.status_code == status, (path, answer.status_code, answer.headers)
        return parsed(answer)

    async def csrf(self) -> str:
        """What the forms of this session carry."""
        fields = (await self.see("/issues")).all("input")
        return next(str(one["value"]) for one in fields if one.get("name") == "csrf")

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of this session's."""
        return await self.http.post(f"/dashboard{path}", data={"csrf": await self.csrf(), **fields})

    async def sign_in(self, key: str) -> httpx.Response:
        """Show a key at the door."""
        return await self.http.post("/dashboard/login", data={"key": key})


Open = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def door(app: FastAPI) -> AsyncIterator[Callable[[], Awaitable[Desk]]]:
    """Makes browsers that nobody has signed in with yet."""
    async with AsyncExitStack() as stack:

        async def make(base_url: str = "https://convo") -> Desk:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            return Desk(await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=base_url)))

        yield make


@pytest.fixture
async def open_desk(app: FastAPI, clock: Clock, door: Open) -> Open:
    """Signs somebody in with a key of a scope."""

    async def make(scope: Scope = Scope.ADMIN) -> Desk:
        _, key = await app.state.services.keys.create("a person", scope, now=clock())
        desk = await door()
        answer = await desk.sign_in(key)
        assert answer.status_code == 303, answer.text
        return desk

    return make


@pytest.fixture
async def desk(open_desk: Open) -> Desk:
    """An administrator at the dashboard."""
    return await open_desk()


@dataclass(frozen=True)
class Maria:
    """A customer with two windows, an open issue and a profile."""

    id: str
    windows: tuple[str, str]
    note: str


@pytest.fixture
async def maria(gateway: Gateway, clock: Clock) -> Maria:
    """Somebody who wrote three days ago and came back now."""
    clock.advance(days=-3)
    first = await gateway.say("Vorrei 25 sacchi di farina Manitoba per venerdì")
    conversation = first["conversation"]
    usage = {"model": "gpt-5-mini", "input_tokens": 900, "output_tokens": 20, "baseline_input_tokens": 1900}
    await gateway.reply(conversation["id"], "Bene, venerdì alle 8", usage=usage)
    profile = {"name": "Maria", "last_name": "Bianchi", "ragione_sociale": "Panificio Rossi"}
    await gateway.http.put(f"/users/{conversation['user_id']}/profile", json=profile)
    issue = {"kind": "issue", "text": "Attende la fattura di marzo"}
    note = (await gateway.http.post(f"/users/{conversation['user_id']}/notes", json=issue)).json()
    clock.advance(days=3)
    second = await gateway.say("Buongiorno, a che punto è l'ordine?")
    return Maria(conversation["user_id"], (conversation["id"], second["conversation"]["id"]), note["id"])


def pages_of(maria: Maria) -> Iterator[str]:
    """Every page that shows something of a customer."""
    yield from ("", "/users", "/users?q=maria", "/issues", "/savings", "/savings?days=0", "/search?q=farina")
    yield from (f"/users/{maria.id}{tab}" for tab in ("", "/windows", "/memory", "/details"))


PHONE = MARIA.lstrip("+")
