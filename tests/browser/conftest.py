"""A Chromium, a service behind a real socket with a little history, and a watch on all that the browser complains of.

Without a Chromium these tests are skipped, and say so; with BROWSER_TESTS=required, as `.ci/run` has it, they fail.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from convo_service.app import create_app
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.settings import Settings
from tests.serving import served

KEY = "b" * 40
AXE = Path(__file__).parent / "lib" / "axe.min.js"
QUIET = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
# A hint for sites with user names; a key has none. And the answer by which a page learns that its session is over.
HARMLESS = ("Password forms should have", "status of 401")
SLOW = 15_000  # milliseconds: pages ask again every five or seven seconds
MARIA, LUCA = "+393331234567", "+393339876543"


@dataclass(frozen=True)
class Site:
    """A service with a history, and the ids that are in its addresses."""

    url: str
    maria: str
    windows: tuple[str, str]

    @property
    def pages(self) -> list[str]:
        """Every page that somebody who is signed in can see."""
        tabs = [f"/users/{self.maria}{tab}" for tab in ("", "/windows", "/memory", "/details")]
        others = ["", "/users", "/issues", "/savings?days=0", "/search?q=farina", "/search", "/nothing"]
        return [f"{self.url}/dashboard{path}" for path in (*others, *tabs)]

    def say(self, text: str, *, identity: str = MARIA, ago: timedelta = timedelta(0)) -> dict[str, Any]:
        """A message of a customer's."""
        at = (datetime.now(UTC) - ago).isoformat()
        body = {"identity": identity, "message": {"id": f"wamid.{at}", "text": text, "sent_at": at}}
        return dict(_ask(self.url, "POST", "/conversations", body)["conversation"])


def _ask(url: str, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.request(method, f"{url}{path}", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
    assert answer.is_success, answer.text
    return dict(answer.json())


@contextmanager
def _in_a_thread(settings: Settings) -> Iterator[str]:
    """The service with a loop of its own, because the browser's driver has one in this thread."""
    started, stop, found = threading.Event(), threading.Event(), []

    async def serve() -> None:
        emulator = Emulator()
        async with served(create_app(settings, llm=LLMClient.against(emulator)), lifespan=True) as url:
            found.append(url)
            started.set()
            await asyncio.to_thread(stop.wait)
        emulator.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    yield found[0]
    stop.set()
    thread.join(30)


@pytest.fixture(scope="module")
def site(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Maria, who came back after five days, and Luca, who has no name yet."""
    file = tmp_path_factory.mktemp("site") / "convo.db"
    shutil.copy(migrated, file)
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite+aiosqlite:///{file}",
        bootstrap_admin_key=KEY,
        key_pepper="pepper",
        conversation_reserve=0,
        rate_limit_per_minute=10**6,
    )
    with _in_a_thread(settings) as url:
        yield _filled(url)


def _filled(url: str) -> Site:
    site = Site(url, "", ("", ""))
    site.say("Sono Luca, avete la farina?", identity=LUCA, ago=timedelta(days=6))
    first = site.say(
        "Vorrei 25 sacchi di farina Manitoba per venerdì, al magazzino di via dei Tigli", ago=timedelta(days=5)
    )
    maria = first["user_id"]
    for number in range(4):
        used = {"model": "gpt-5-mini", "input_tokens": 500 + 90 * number, "output_tokens": 30}
        used |= {"cost_usd": 0.0004, "baseline_input_tokens": 900 + 200 * number}
        said = {"direction": "outbound", "text": f"Bene, consegna {number + 1} venerdì alle 8", "usage": used}
        _ask(url, "POST", f"/conversations/{first['id']}/messages", {"messages": [said]})
    profile = {
        "name": "Maria",
        "last_name": "Bianchi",
        "ragione_sociale": "Panificio Rossi",
        "email": "m@rossi.example",
    }
    _ask(url, "PUT", f"/users/{maria}/profile", profile)
    for kind, text in (("issue", "Attende la fattura di marzo"), ("preference", "Consegne solo al mattino")):
        _ask(url, "POST", f"/users/{maria}/notes", {"kind": kind, "text": text})
    second = site.say("Buongiorno, a che punto è l'ordine della farina?")
    return Site(url, maria, (first["id"], second["id"]))


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    """One for all tests of a module: while its driver waits no other loop can run in this thread."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        say = pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip
        say("no Chromium: install it (Debian: apt-get install chromium), or name one with CHROMIUM=/path")
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a browser complains of, and whom it asks."""

    url: str
    complaints: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watch a page."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        is_page_of_an_error = message.location["url"].endswith("/nothing")
        if (
            message.type in ("error", "warning")
            and not is_page_of_an_error
            and not any(one in message.text for one in HARMLESS)
        ):
            self.complaints.append(f"{message.location['url']}: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc and not request.url.startswith("data:"):
            self.complaints.append(f"another host: {request.url}")


Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Site) -> Any:
    """The cookies of somebody who has signed in with a key."""
    context = browser.new_context(locale="it-IT")
    page = context.new_page()
    page.goto(f"{site.url}/dashboard")
    page.fill("#key", KEY)
    page.click("button.main")
    assert page.url == f"{site.url}/dashboard"
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def opened(browser: Browser, site: Site, signed_in: Any) -> Iterator[Opened]:
    """Opens browsers of many kinds; what any of them complained of fails the test."""
    contexts: list[BrowserContext] = []
    watch = Watch(site.url)

    def open_(*, is_known: bool = True, **kind: Any) -> Page:
        given = {"locale": "it-IT", "viewport": {"width": 1440, "height": 900}, **kind}
        context = browser.new_context(storage_state=signed_in if is_known else None, **given)
        context.set_default_timeout(SLOW)
        contexts.append(context)
        page = context.new_page()
        watch.over(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert watch.complaints == []
