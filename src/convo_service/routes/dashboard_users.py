"""The dashboard's pages about one customer: thread, windows, memory, details."""

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import schemas
from convo_service.db.models import Note
from convo_service.routes.convert import preview_out
from convo_service.routes.dashboard_views import People, Who, blocks, people, who, window_lines
from convo_service.routes.dashboard_visit import ADMIN_ONLY, HOME, MAY_READ, Visit, Visiting
from convo_service.routes.deps import ReadTx, Wired
from convo_service.services import export, glances, history, profiles, spent, threads
from convo_service.services.paging import Page
from convo_service.services.pauses import is_paused

router = APIRouter(prefix=f"{HOME}/users", dependencies=[MAY_READ])

PEOPLE = 25
NOTES = 50
BESIDE = 4
PAUSES = (30, 60, 120, 480, 1440)  # minutes

Q = Annotated[str, Query(max_length=200)]
Cursor = schemas.AnyId | None


@router.get("")
async def list_users(visit: Visiting, tx: ReadTx, q: Q = "", after: Cursor = None) -> HTMLResponse:
    """Who wrote last comes first."""
    return visit.page("users.html", "users", people=await _people(tx, visit, q, after), chosen="")


@router.get("/list")
async def refresh_list(
    visit: Visiting, tx: ReadTx, q: Q = "", state: str = "", chosen: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """The list again, when anything in it has changed."""
    found = await _people(tx, visit, q, None)
    if found.state == state:
        return Response(status_code=204)
    return visit.part("people.html", people=found, chosen=chosen)


async def _people(tx: AsyncSession, visit: Visit, q: str, after: str | None) -> People:
    q = q.replace("\0", "").strip()
    found = await history.find_users(tx, Page(PEOPLE, after=after), q or None)
    return people(found, await glances.at(tx, found.rows), q, visit.manner)


@router.get("/{user_id}")
async def show_thread(
    visit: Visiting,
    tx: ReadTx,
    user_id: schemas.AnyId,
    before: Cursor = None,
    at: Cursor = None,
    window: Cursor = None,
) -> HTMLResponse:
    """The thread across all windows: its end, what was before a message, or around one."""
    view = await _view(tx, visit, user_id)
    sought = at or (await threads.first_of(tx, user_id, window) if window else None)
    if sought:
        found = await threads.around(tx, user_id, sought)
    else:
        found = await threads.newest(tx, user_id, before=before)
    chain = await threads.chain(tx, user_id)
    return visit.page(
        "thread.html",
        "users",
        **view,
        tab="thread",
        blocks=list(blocks(found, visit.manner, sought=at)),
        earlier=found.messages[0].id if found.has_earlier and found.messages else None,
        has_later=found.has_later,
        last=found.messages[-1].id if found.messages else None,
        windows=window_lines(chain.rows, visit.manner),
        more_windows=chain.has_more,
        notes=await _open_notes(tx, user_id),
    )


@router.get("/{user_id}/live")
async def follow_thread(visit: Visiting, tx: ReadTx, user_id: schemas.AnyId, after: schemas.AnyId) -> Response:
    """What was said since a message; nothing, as nearly always, costs three statements."""
    found = await threads.since(tx, user_id, after)
    if not found.messages:
        return Response(status_code=204)
    above = await threads.message(tx, user_id, after)
    return visit.part(
        "live.html",
        user_id=user_id,
        blocks=list(blocks(found, visit.manner, after=above)),
        last=found.messages[-1].id,
    )


@router.get("/{user_id}/windows")
async def show_windows(visit: Visiting, tx: ReadTx, user_id: schemas.AnyId, after: Cursor = None) -> HTMLResponse:
    """The chain of windows, and what each reply has read."""
    view = await _view(tx, visit, user_id)
    chain = await threads.chain(tx, user_id, after=after)
    numbers = {one.row.id: one.row.number for one in chain.rows}
    said = [
        {"number": numbers.get(one.conversation_id or ""), "reply": one}
        for one in await spent.replies(tx, user_id, list(numbers))
    ]
    return visit.page(
        "windows.html",
        "users",
        **view,
        tab="windows",
        windows=window_lines(chain.rows, visit.manner),
        is_older=after is not None,
        more_windows=chain.rows[-1].row.id if chain.has_more else None,
        replies=said,
        seams=" ".join(str(place + 0.5) for place in _seams([one["number"] for one in said])),
    )


def _seams(numbers: Sequence[Any]) -> list[int]:
    """After which replies another window begins."""
    return [place for place in range(1, len(numbers)) if numbers[place] != numbers[place - 1]]


@router.get("/{user_id}/memory")
async def show_memory(visit: Visiting, services: Wired, user_id: schemas.AnyId) -> HTMLResponse:
    """What the next window would start with, and the notes."""
    preview = preview_out(await services.previews.show(user_id))
    async with services.database.read.begin() as tx:
        view = await _view(tx, visit, user_id)
        notes = await history.user_notes(tx, user_id, Page(NOTES), kind=None, status=None)
    return visit.page(
        "memory.html",
        "users",
        **view,
        tab="memory",
        preview=preview,
        sections=[(name, list(found)) for name, found in groupby(preview.entries, lambda one: one.section)],
        notes=sorted(notes.rows, key=lambda note: note.status != "open"),
    )


@router.get("/{user_id}/details")
async def show_details(visit: Visiting, tx: ReadTx, user_id: schemas.AnyId) -> HTMLResponse:
    """Who it is, with export and erasure."""
    view = await _view(tx, visit, user_id)
    profile = await profiles.get(tx, user_id)
    m, user, identities = visit.manner, view["user"], view["identities"]
    counts = m.text(
        "profile_counts_of", messages=m.number(user.message_count), windows=m.number(user.conversation_count)
    )
    facts = [
        (m.text("profile_name"), " ".join(part for part in (profile.name, profile.last_name) if part)),
        (m.text("profile_company"), profile.ragione_sociale),
        (m.text("profile_email"), profile.email),
        (m.text("profile_identities"), ", ".join(identities)),
        (m.text("profile_first"), m.moment(user.first_seen_at)),
        (m.text("profile_last"), m.moment(user.last_seen_at)),
        (m.text("profile_counts"), counts),
        (m.text("profile_id"), user.id),
    ]
    return visit.page("details.html", "users", **view, tab="details", facts=facts)


@router.get("/{user_id}/export", dependencies=[ADMIN_ONLY])
async def download(services: Wired, user_id: schemas.AnyId) -> StreamingResponse:
    """All that is stored, as a file."""
    found = await export.begin(services.database, services.clock, user_id)
    headers = {"Content-Disposition": f'attachment; filename="{user_id}.json"'}
    return StreamingResponse(found.pieces(), media_type="application/json", headers=headers)


async def _view(tx: AsyncSession, visit: Visit, user_id: str) -> dict[str, Any]:
    """What every page of a customer shows: the list beside it, and the head."""
    current = await threads.current(tx, user_id)
    glance = (await glances.at(tx, [current]))[0]
    head: Who = who(glance, visit.manner, None)
    return {
        "people": await _people(tx, visit, "", None),
        "chosen": user_id,
        "who": head,
        "user": current.user,
        "identities": current.identities,
        "paused_until": current.user.paused_until if is_paused(current.user, visit.manner.now) else None,
        "pauses": PAUSES,
    }


async def _open_notes(tx: AsyncSession, user_id: str) -> Sequence[Note]:
    found = await history.user_notes(tx, user_id, Page(BESIDE), kind=None, status="open")
    return found.rows
