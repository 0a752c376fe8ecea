"""The dashboard where it is read: in Chromium, by light and dark, on a phone, by keyboard, and without a script."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import AXE, KEY, Opened, Site

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
BREACHES = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    one => `${one.id}: ${one.nodes.map(node => node.target.join(" ") + " " + node.failureSummary).join("; ")}`)"""
WIDTH = "() => [document.documentElement.scrollWidth, innerWidth]"


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param({"color_scheme": "light"}, id="light"),
        pytest.param({"color_scheme": "dark", "locale": "en-GB"}, id="dark"),
        pytest.param(PHONE, id="phone"),
    ],
)
def test_every_page_can_be_read_by_everybody(opened: Opened, site: Site, kind: dict[str, Any]) -> None:
    """axe finds nothing to complain of on any page, unfolded, and no page is wider than the screen."""
    page = opened(**kind)
    page.context.add_init_script(path=AXE)
    found = {}
    for url in (*site.pages, f"{site.url}/dashboard/login"):
        page.goto(url)
        page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
        found[url] = page.evaluate(BREACHES)
        width, screen = page.evaluate(WIDTH)
        assert width <= screen, url
    assert {url: breaches for url, breaches in found.items() if breaches} == {}


def test_charts(opened: Opened, site: Site) -> None:
    """Each chart is drawn from the table beside it, and drawn anew for another width or scheme."""
    page = opened()
    for path, charts in (("", 1), ("/savings?days=0", 2), (f"/users/{site.maria}/windows", 1)):
        page.goto(f"{site.url}/dashboard{path}")
        expect(page.locator("figure canvas")).to_have_count(charts)
        assert all(box["width"] > 300 for box in _boxes(page))
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_timeout(300)
    expect(page.locator("figure canvas")).to_have_count(1)
    assert all(box["width"] < 700 for box in _boxes(page))


def _boxes(page: Page) -> list[Any]:
    return [one.bounding_box() for one in page.locator("figure canvas").all()]


def test_a_thread_follows_the_talk(opened: Opened, site: Site) -> None:
    """It opens at its end, and a new message appears by itself, here and in the list."""
    page = opened()
    page.goto(f"{site.url}/dashboard/users/{site.maria}")
    expect(page.locator("article").last).to_be_in_viewport()
    site.say("Avete anche il lievito?")
    expect(page.get_by_role("log")).to_contain_text("Avete anche il lievito?")
    expect(page.locator("article").last).to_be_in_viewport()
    expect(page.locator("#people")).to_contain_text("Avete anche il lievito?")


def test_a_message_behind_what_the_model_knew(opened: Opened, site: Site) -> None:
    """From the boundary of a window to the seed, and from there to the message, which is in sight."""
    page = opened()
    page.goto(f"{site.url}/dashboard/users/{site.maria}")
    seam = page.locator(f"[id={site.windows[1]}]")
    seam.get_by_text("Cosa sapeva il modello").click()
    expect(seam).to_contain_text("Maria Bianchi di Panificio Rossi")
    seam.locator(".behind a").first.click()
    expect(page.locator("article.sought")).to_be_in_viewport()


def test_search_as_one_types(opened: Opened, site: Site) -> None:
    """The list of customers narrows down to a name without a page being loaded."""
    page = opened()
    page.goto(f"{site.url}/dashboard/users")
    expect(page.locator("a.person")).to_have_count(2)
    page.get_by_role("searchbox", name="Nome o azienda").press_sequentially("bian")
    expect(page.locator("a.person")).to_have_count(1)
    page.get_by_role("searchbox", name="Nome o azienda").fill("nessuno")
    expect(page.get_by_text("Nessun cliente si chiama così")).to_be_visible()


def test_by_keyboard(opened: Opened, site: Site) -> None:
    """From the door to a note without a pointer, with what has the focus always marked."""
    page = opened(is_known=False)
    page.goto(f"{site.url}/dashboard")
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Panoramica")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Vai al contenuto")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.goto(f"{site.url}/dashboard/users/{site.maria}/memory")
    for _ in range(200):
        page.keyboard.press("Tab")
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", page.evaluate("() => document.activeElement.outerHTML")
        if page.evaluate("() => document.activeElement.id") == "note-text":
            break
    page.keyboard.type("Chiamare prima di consegnare")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Nota aggiunta.")
    expect(page.locator(".notes")).to_contain_text("Chiamare prima di consegnare")


def test_without_a_script(opened: Opened, site: Site) -> None:
    """All of it works: signing in, reading, tables in place of charts, search, and forms."""
    page = opened(is_known=False, java_script_enabled=False)
    page.goto(f"{site.url}/dashboard/users")
    page.fill("#key", KEY)
    page.click("button.main")
    page.get_by_role("link", name="Maria Bianchi").click()
    expect(page.get_by_role("log")).to_contain_text("Vorrei 25 sacchi")
    page.get_by_role("link", name="Finestre", exact=True).click()
    expect(page.locator(".plot")).to_be_hidden()
    page.get_by_text("I dati in tabella").click()
    expect(page.get_by_role("cell", name="1.500")).to_be_visible()
    page.get_by_role("searchbox", name="Cerca nei messaggi").fill("farina")
    page.get_by_role("searchbox", name="Cerca nei messaggi").press("Enter")
    expect(page.locator("mark").first).to_have_text("farina")
    page.goto(f"{site.url}/dashboard/issues")
    page.get_by_role("button", name=re.compile(r"Risolta\s*: Attende")).click()
    expect(page.get_by_role("status")).to_have_text("Segnata come risolta.")
    page.goto(f"{site.url}/dashboard/users/{site.maria}/memory")
    page.get_by_role("button", name=re.compile(r"Riapri\s*: Attende")).click()
    expect(page.get_by_role("status")).to_have_text("Riaperta.")


def test_a_new_window_on_a_phone(opened: Opened, site: Site) -> None:
    """From the list to a customer, a new window, and back to the list, on a small screen."""
    page = opened(**PHONE)
    page.goto(f"{site.url}/dashboard/users")
    page.get_by_role("link", name=re.compile(r"\+393339876543")).tap()
    page.get_by_text("Azioni", exact=True).tap()
    page.get_by_role("button", name="Apri una nuova finestra").tap()
    expect(page.get_by_role("status")).to_have_text("Nuova finestra aperta.")
    page.get_by_role("link", name="Clienti").first.tap()
    expect(page.get_by_role("heading", name="Clienti", level=1)).to_be_visible()


def test_nobody_scripts_the_cookie(opened: Opened, site: Site) -> None:
    """No script sees the session, and nothing of it or of the key is stored in the page."""
    page = opened()
    page.goto(f"{site.url}/dashboard")
    assert "session" not in page.evaluate("() => document.cookie")
    assert page.evaluate("() => localStorage.length + sessionStorage.length") == 0
    assert KEY not in page.content()


def test_a_session_that_ends(opened: Opened, site: Site) -> None:
    """A page that asks in the background goes to the door when the session is over."""
    page = opened(is_known=False)
    page.goto(f"{site.url}/dashboard")
    page.fill("#key", KEY)
    page.click("button.main")
    page.goto(f"{site.url}/dashboard/users/{site.maria}")
    page.context.clear_cookies()
    page.wait_for_url("**/dashboard/login")
    assert page.locator("#key").is_visible()
