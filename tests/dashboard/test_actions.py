"""What operators change from the dashboard: the same as over the API."""

from typing import Any

from tests.conftest import Clock
from tests.dashboard.conftest import Desk, Maria
from tests.gateway import Gateway


async def test_a_new_window(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """The active conversation is closed and another one opened, for the operator's reason."""
    answer = await desk.send(f"/users/{maria.id}/reset")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/dashboard/users/{maria.id}?done=reset")
    active = await gateway.listed("/conversations", user_id=maria.id, is_active=True)
    assert [one["created_reason"] for one in active] == ["operator"]
    assert active[0]["seed"]["text"]


async def test_a_new_window_without_memory(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """With the profile alone."""
    await desk.send(f"/users/{maria.id}/reset", forget="yes")
    seed = (await gateway.listed("/conversations", user_id=maria.id, is_active=True))[0]["seed"]
    assert "Bianchi" in seed["text"]
    assert "farina" not in seed["text"]


async def test_a_person_takes_over(desk: Desk, gateway: Gateway, clock: Clock, maria: Maria) -> None:
    """The bot is silent for as long as was said, the pages say so, and a click ends it before."""
    answer = await desk.send(f"/users/{maria.id}/pause", minutes="30")
    assert answer.headers["location"] == f"/dashboard/users/{maria.id}?done=paused"
    assert (await gateway.get(f"/users/{maria.id}"))["paused_until"] is not None
    assert "The bot is silent until Mon 2 Mar, 10:30." in (await desk.see(f"/users/{maria.id}")).text
    assert "a person answers" in (await desk.see("/users")).text
    await desk.send(f"/users/{maria.id}/resume")
    assert "The bot is silent until" not in (await desk.see(f"/users/{maria.id}/memory")).text
    for minutes in ("", "0", "-1", "x", "99999999"):
        assert (await desk.send(f"/users/{maria.id}/pause", minutes=minutes)).status_code == 422
    await desk.send(f"/users/{maria.id}/pause", minutes="30")
    clock.advance(minutes=31)
    assert "a person answers" not in (await desk.see("/users")).text


async def test_notes(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """A note is written, resolved and opened again; each leads back to the page it was done on."""
    back = f"/dashboard/users/{maria.id}/memory"
    answer = await desk.send(f"/users/{maria.id}/notes", kind="preference", text="Solo al mattino", back=back)
    assert answer.headers["location"] == f"{back}?done=note"
    assert "Solo al mattino" in (await desk.see(f"/users/{maria.id}/memory?done=note")).text
    newest = (await gateway.listed(f"/users/{maria.id}/notes"))[0]
    assert (newest["kind"], newest["source"], newest["status"]) == ("preference", "operator", "open")
    answer = await desk.send(f"/notes/{maria.note}", status="resolved", back="/dashboard/issues")
    assert answer.headers["location"] == "/dashboard/issues?done=resolved"
    assert "fattura" not in (await desk.see("/issues")).text
    await desk.send(f"/notes/{maria.note}", status="open", back="https://evil.example")
    assert "fattura" in (await desk.see("/issues")).text


async def test_a_note_that_says_nothing(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """What the API would refuse is refused here, too."""
    for fields in (
        {"kind": "note", "text": "  "},
        {"kind": "note", "text": "\u200b"},
        {"kind": "joke", "text": "x"},
        {},
    ):
        assert (await desk.send(f"/users/{maria.id}/notes", **fields)).status_code == 422
    assert len(await gateway.listed(f"/users/{maria.id}/notes")) == 1


async def entry_of(gateway: Gateway, maria: Maria, text: str) -> dict[str, Any]:
    """The entry of the next seed that holds a text."""
    entries = (await gateway.get(f"/users/{maria.id}/seed"))["entries"]
    return next(dict(one) for one in entries if text in one["text"] and one["section"] == "history")


async def test_memory(desk: Desk, gateway: Gateway, maria: Maria) -> None:
    """An entry of the next seed is corrected, pinned, taken out and put back."""
    entry = await entry_of(gateway, maria, "farina")
    path = f"/users/{maria.id}/entries/{entry['id']}"
    assert (await desk.send(path, do="text", text="30 sacchi di farina")).status_code == 303
    assert (await desk.send(path, do="pin")).headers["location"] == f"/dashboard/users/{maria.id}/memory?done=entry"
    changed = await entry_of(gateway, maria, "30 sacchi di farina")
    assert (changed["id"], changed["pinned"]) == (entry["id"], True)
    await desk.send(path, do="unpin")
    await desk.send(path, do="remove")
    seed = await gateway.get(f"/users/{maria.id}/seed")
    assert entry["id"] in [one["id"] for one in seed["removed"]]
    assert '"25 sacchi' not in seed["text"]
    assert "Taken out" in (await desk.see(f"/users/{maria.id}/memory")).text
    await desk.send(path, do="restore")
    assert entry["id"] in [one["id"] for one in (await gateway.get(f"/users/{maria.id}/seed"))["entries"]]
    for fields in ({"do": "destroy"}, {}, {"do": "text", "text": ""}):
        assert (await desk.send(path, **fields)).status_code == 422


async def test_erasing(desk: Desk, gateway: Gateway, clock: Clock, maria: Maria) -> None:
    """Only the typed word erases; then the customer is gone, and a receipt says how far it is."""
    desk.http.headers["Accept-Language"] = "it"
    answer = await desk.send(f"/users/{maria.id}/erase", word="ERASE")
    assert answer.headers["location"] == f"/dashboard/users/{maria.id}/details?problem=erase_mismatch"
    assert "CANCELLA" in (await desk.see(f"/users/{maria.id}/details?problem=erase_mismatch")).text
    answer = await desk.send(f"/users/{maria.id}/erase", word=" cancella ")
    place = answer.headers["location"].removeprefix("/dashboard")
    assert place.startswith("/erasures/")
    page = await desk.see(place)
    assert "Bianchi" not in page.text
    await desk.see(f"/users/{maria.id}", status=404)
    assert maria.id not in str((await desk.see("/users")).places)
