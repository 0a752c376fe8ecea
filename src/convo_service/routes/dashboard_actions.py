"""What operators can change from the dashboard: forms that do what the API's routes do, and go on to a page."""

from datetime import timedelta
from typing import Any, TypeVar

from fastapi import APIRouter, Response
from pydantic import BaseModel, ValidationError

from convo_service import schemas
from convo_service.errors import InvalidRequest
from convo_service.routes.convert import given_text
from convo_service.routes.dashboard_visit import (
    ADMIN_ONLY,
    HOME,
    MAY_READ,
    MAY_WRITE,
    OF_THIS_SESSION,
    Form,
    Visiting,
    go,
    safe_place,
)
from convo_service.routes.deps import Now, Tx, Wired
from convo_service.services import notes, pauses

router = APIRouter(prefix=HOME, dependencies=[MAY_READ])

Body = TypeVar("Body", bound=BaseModel)
CHANGES: dict[str, dict[str, bool]] = {
    "pin": {"pinned": True},
    "unpin": {"pinned": False},
    "remove": {"removed": True},
    "restore": {"removed": False},
}


def read(body: type[Body], given: Any) -> Body:
    """The fields of a form as the API would take them; raises InvalidRequest."""
    try:
        return body.model_validate(given)
    except ValidationError:
        raise InvalidRequest from None


@router.post("/users/{user_id}/reset", dependencies=[MAY_WRITE])
async def reset(user_id: schemas.AnyId, services: Wired, form: Form) -> Response:
    """The operator's `/new`."""
    await services.conversations.reset(user_id, topic="general", forget="forget" in form)
    return go(f"{HOME}/users/{user_id}", done="reset")


@router.post("/users/{user_id}/pause", dependencies=[MAY_WRITE])
async def pause(user_id: schemas.AnyId, tx: Tx, at: Now, form: Form) -> Response:
    """A person answers in the bot's place."""
    minutes = form.get("minutes", "")
    body = read(schemas.Pause, {"minutes": int(minutes) if minutes.isdecimal() else None})
    if body.minutes is None:
        raise InvalidRequest
    await pauses.begin(tx, user_id, at + timedelta(minutes=body.minutes))
    return go(f"{HOME}/users/{user_id}", done="paused")


@router.post("/users/{user_id}/resume", dependencies=[MAY_WRITE, OF_THIS_SESSION])
async def resume(user_id: schemas.AnyId, tx: Tx, at: Now) -> Response:
    """The bot answers again."""
    await pauses.end(tx, user_id, at)
    return go(f"{HOME}/users/{user_id}", done="resumed")


@router.post("/users/{user_id}/notes", dependencies=[MAY_WRITE])
async def write_note(user_id: schemas.AnyId, tx: Tx, at: Now, form: Form) -> Response:
    """A note of an operator's."""
    body = read(schemas.NewNote, {"kind": form.get("kind"), "text": form.get("text")})
    await notes.write(tx, user_id, **given_text(body), source="operator", now=at)
    return go(safe_place(form.get("back", "")), done="note")


@router.post("/notes/{note_id}", dependencies=[MAY_WRITE])
async def change_note(note_id: schemas.AnyId, tx: Tx, at: Now, form: Form) -> Response:
    """Resolve a note, or open it again."""
    body = read(schemas.NoteUpdate, {"status": form.get("status")})
    note = await notes.change(tx, note_id, given_text(body), source="operator", now=at)
    return go(safe_place(form.get("back", "")), done="resolved" if note.status == "resolved" else "reopened")


@router.post("/users/{user_id}/entries/{entry_id}", dependencies=[MAY_WRITE])
async def change_entry(user_id: schemas.AnyId, entry_id: schemas.EntryId, services: Wired, form: Form) -> Response:
    """Edit, pin, take out or put back an entry of the seeds to come."""
    what = form.get("do", "")
    given = {"text": form.get("text")} if what == "text" else CHANGES.get(what, {})
    body = read(schemas.SeedEntryUpdate, given)
    await services.previews.change(user_id, entry_id, given_text(body))
    return go(f"{HOME}/users/{user_id}/memory", done="entry")


@router.post("/users/{user_id}/erase", dependencies=[ADMIN_ONLY])
async def erase(user_id: schemas.AnyId, services: Wired, visit: Visiting, form: Form) -> Response:
    """Only when the word is typed that the page asks for."""
    if form.get("word", "").strip().casefold() != visit.manner.text("erase_word").casefold():
        return go(f"{HOME}/users/{user_id}/details", problem="erase_mismatch")
    receipt = await services.erasures.begin(user_id)
    return go(f"{HOME}/erasures/{receipt.erasure.id}")


@router.get("/erasures/{erasure_id}", dependencies=[ADMIN_ONLY])
async def show_receipt(erasure_id: schemas.AnyId, services: Wired, visit: Visiting) -> Response:
    """How far an erasure is."""
    return visit.page("erased.html", "", receipt=await services.erasures.receipt(erasure_id))
