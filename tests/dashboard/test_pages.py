"""The dashboard's pages: what they show, in which language, and that text stays text."""

import json
from typing import Any

import pytest

from convo_service.services import threads
from tests.conftest import Clock
from tests.dashboard.conftest import PHONE, Desk, Maria, pages_of, parsed
from tests.gateway import MARIA, Gateway

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea></pre><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "<!-- --><style>*{display:none}</style>",
    "&lt;b&gt;&#x3c;script&#x3e;",
)
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


async def test_every_answer_has_the_headers(desk: Desk, maria: Maria) -> None:
    """Pages, parts, errors, forms and the door: nothing may be framed, sniffed, kept, or load from elsewhere."""
    for path in (*pages_of(maria), "/login", "/nothing", f"/users/{maria.id}/export", "/users/list"):
        answer = await desk.http.get(f"/dashboard{path}")
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
    asset = await desk.http.get("/dashboard/static/app.css")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["content-security-policy"] == HEADERS["content-security-policy"]


async def test_text_stays_text(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """Whatever customers, profiles and notes say is read as they said it, and is never an element of a page."""
    hostile = " ".join(ATTACKS)
    said = await gateway.say(f"farina {hostile}", identity="mallory")
    user, conversation = said["conversation"]["user_id"], said["conversation"]["id"]
    await gateway.reply(conversation, f"Certo: {hostile}")
    profile = {"name": hostile[:150], "ragione_sociale": hostile[:150]}
    assert (await gateway.http.put(f"/users/{user}/profile", json=profile)).status_code == 200
    note = {"kind": "issue", "text": hostile}
    assert (await gateway.http.post(f"/users/{user}/notes", json=note)).status_code == 201
    desk.http.headers["Accept-Language"] = "en"
    await gateway.http.post(f"/users/{user}/reset")
    await gateway.say(f"di nuovo {hostile}", identity="mallory")
    seen = []
    for path in (*pages_of(maria), *pages_of(Maria(user, (conversation, ""), "")), "/search?q=alert(1)"):
        page = await desk.see(path)
        seen.append(page.text)
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"], (path, tag)
            assert tag not in ("style", "iframe", "object", "base"), path
            assert tag != "script" or str(attributes.get("src", "")).startswith("/dashboard/static/"), path
            assert tag != "img" or str(attributes["src"]).startswith("/dashboard/static/"), path
    for attack in ATTACKS:
        assert any(attack in text for text in seen), attack


async def test_addresses_hold_opaque_ids_alone(desk: Desk, maria: Maria) -> None:
    """No address of a page has a phone number or a name in it, and none leads to another host."""
    for path in pages_of(maria):
        for place in (await desk.see(path)).places:
            assert place.startswith(("/dashboard", "#")), (path, place)
            assert PHONE not in place
            assert "bianchi" not in place.casefold()


async def test_the_overview(desk: Desk, maria: Maria) -> None:
    """It says what was saved, who waits, and who wrote last."""
    desk.http.headers["Accept-Language"] = "it-IT,it;q=0.9"
    text = " ".join((await desk.see()).text.split())
    for part in ("53 %", "900 invece di 1.900", "Attende la fattura di marzo", "Maria Bianchi", "Panificio Rossi"):
        assert part in text, part


async def test_an_empty_installation(desk: Desk) -> None:
    """Where nothing was said yet every page says what will be there."""
    for path in ("", "/users", "/users?q=nobody", "/issues", "/savings", "/search", "/search?q=farina"):
        assert (await desk.see(path)).text.strip()


async def test_a_thread(desk: Desk, maria: Maria) -> None:
    """It shows what was said, where windows begin and why, and what the model knew there."""
    desk.http.headers["Accept-Language"] = "en"
    page = await desk.see(f"/users/{maria.id}")
    text = " ".join(page.text.split())
    for part in (
        "Vorrei 25 sacchi di farina Manitoba per venerdì",
        "900 tokens",
        "3 days without a message (the window is 48 hours)",
        "First contact",
        "saved 53%",
        "What the model knew",
        "Attende la fattura di marzo",
    ):
        assert part in text, part
    assert [one["id"] for one in page.all("section") if one.get("id")] == list(maria.windows)


async def test_edits_and_revocations(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """What was edited says so; of what was taken back only that is left."""
    taken, edited = [{"identity": MARIA, "id": f"wamid.{name}"} for name in ("taken", "edited")]
    for one in (taken, edited):
        await gateway.say(f"Prima {one['id']}", id=one["id"])
    assert (await gateway.http.post("/messages/revocations", json=taken)).is_success
    assert (await gateway.http.post("/messages/edits", json={**edited, "text": "Adesso"})).is_success
    text = (await desk.see(f"/users/{maria.id}")).text
    assert "Prima" not in text
    for part in ("Taken back by the customer", "Adesso", "edited"):
        assert part in text, part


async def test_a_message_behind_an_entry(desk: Desk, maria: Maria) -> None:
    """What the model knew, and what it will know, leads to the messages that it comes from."""
    for path in (f"/users/{maria.id}", f"/users/{maria.id}/memory"):
        links = [one for one in (await desk.see(path)).places if "?at=msg_" in one]
        assert links, path
        page = await desk.see(links[0].removeprefix("/dashboard").partition("#")[0])
        wanted = links[0].partition("#")[2]
        assert [one for one in page.all("article") if one["id"] == wanted and "sought" in str(one["class"])]


async def test_a_long_thread_in_pages(desk: Desk, gateway: Gateway, clock: Clock) -> None:
    """The newest messages come first, the others are a link away, and each is shown once."""
    user = ""
    for number in range(threads.AT_ONCE + 10):
        clock.advance(minutes=1)
        user = (await gateway.say(f"messaggio {number}"))["conversation"]["user_id"]
    newest = await desk.see(f"/users/{user}")
    link = next(one for one in newest.places if "?before=" in one)
    before = await desk.see(link.removeprefix("/dashboard").partition("#")[0])
    ids = [str(one["id"]) for page in (before, newest) for one in page.all("article")]
    assert len(ids) == len(set(ids)) == threads.AT_ONCE + 10
    assert ids == sorted(ids)


async def test_a_thread_is_followed(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """Whoever asks what is new gets nothing, or the new messages and the place to ask from the next time."""
    page = await desk.see(f"/users/{maria.id}")
    ask = next(str(one["hx-get"]) for one in page.all("div") if one.get("id") == "live")
    assert (await desk.http.get(ask)).status_code == 204
    await gateway.say("C'è nessuno?")
    part = parsed(await desk.http.get(ask))
    assert "C'è nessuno?" in part.text
    assert len(part.all("article")) == 1
    assert not part.all("section")  # it is in the same window
    again = next(str(one["hx-get"]) for one in part.all("div") if one.get("id") == "live")
    assert (await desk.http.get(again)).status_code == 204


async def test_the_list_is_followed(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """The list of customers comes again only when something in it has changed."""
    page = await desk.see("/users")
    ask = next(str(one["hx-get"]) for one in page.all("div") if one.get("id") == "people")
    assert (await desk.http.get(ask)).status_code == 204
    await gateway.say("Sono Luca", identity="luca")
    assert "Sono Luca" in parsed(await desk.http.get(ask)).text


async def test_a_script_is_told_that_the_session_is_over(desk: Desk, clock: Clock, maria: Maria) -> None:
    """A page that asks in the background leads to the door when nobody is signed in any more."""
    clock.advance(hours=13)
    answer = await desk.http.get(f"/dashboard/users/{maria.id}/live?after=x", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/dashboard/login")


async def test_search(desk: Desk, maria: Maria) -> None:
    """It finds messages, marks the words, and leads to the place in the thread."""
    page = await desk.see("/search?q=farina%20mani")
    assert len(page.all("mark")) == 2
    assert [one for one in page.places if f"/users/{maria.id}?at=msg_" in one]
    for q in ("", "%00", "...", "'", "farina%00", "%22%20OR%20%22"):
        await desk.see(f"/search?q={q}")


async def test_languages(desk: Desk, maria: Maria) -> None:
    """The browser's language counts until somebody chooses one."""
    desk.http.headers["Accept-Language"] = "de-DE,it;q=0.8,en;q=0.5"
    assert (await desk.see("/issues")).all("html") == [{"lang": "it"}]
    answer = await desk.http.get("/dashboard/language?to=en&back=/dashboard/issues")
    assert answer.headers["location"] == "/dashboard/issues"
    page = await desk.see("/issues")
    assert page.all("html") == [{"lang": "en"}]
    assert "Open issues" in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/nothing", 404, id="no page"),
        pytest.param("/users/usr_nobody", 404, id="no customer"),
        pytest.param("/users/usr_nobody/memory", 404, id="no memory"),
        pytest.param("/users/{user}?at=msg_nobody", 422, id="no message"),
        pytest.param("/users/{user}?window=conv_nobody", 404, id="no window"),
        pytest.param("/savings?days=5", 422, id="no period"),
        pytest.param("/erasures/era_nobody", 404, id="no receipt"),
        pytest.param("/static/../pages.py", 404, id="no file"),
        pytest.param("/static/lib/README.md", 404, id="no file for browsers"),
    ],
)
async def test_errors_are_pages(desk: Desk, maria: Maria, path: str, status: int) -> None:
    """Who goes astray sees a page with a way back, not a problem object."""
    page = await desk.see(path.format(user=maria.id), status=status)
    assert "/dashboard" in page.places
    assert page.all("h1")


async def test_other_paths_stay_the_apis(http: Any) -> None:
    """The door is for the dashboard alone: what is near it is answered by the API."""
    for path in ("/dashboards", "/dashboard-x", "/nothing"):
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_what_a_window_can_be_reached_by(desk: Desk, maria: Maria) -> None:
    """A window of the chain leads to its first message."""
    page = await desk.see(f"/users/{maria.id}?window={maria.windows[0]}")
    assert maria.windows[0] in [one.get("id") for one in page.all("section")]


async def test_the_export(desk: Desk, maria: Maria) -> None:
    """It is a file with all that the API exports."""
    answer = await desk.http.get(f"/dashboard/users/{maria.id}/export")
    assert answer.headers["content-disposition"] == f'attachment; filename="{maria.id}.json"'
    assert len(json.loads(answer.text)["messages"]) == 3
