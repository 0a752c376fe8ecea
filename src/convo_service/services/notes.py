"""Notes about a user: written by operators and gateways, or found by a summary."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Note
from convo_service.domain.ids import new_id
from convo_service.domain.notes import NoteLine
from convo_service.domain.text import clean
from convo_service.errors import NoteNotFound
from convo_service.services import users

MOST_READ = 500  # of a user, the newest: nobody has more, and a seed has no room for them

Author = Literal["operator", "gateway"]


async def find(tx: AsyncSession, note_id: str) -> Note:
    """Return a note by its id alone; raises NoteNotFound."""
    there = (Note.id == note_id, ~users.is_erased(Note.user_id))
    note = await tx.scalar(sa.select(Note).where(*there).limit(1))
    if note is None:
        raise NoteNotFound
    return note


async def write(
    tx: AsyncSession, user_id: str, *, kind: str, text: str, source: Author, now: datetime
) -> tuple[Note, bool]:
    """Write a note, unless the same one is open: that one is returned, and False. Raises UserNotFound."""
    await users.lock(tx, user_id)
    for note in await tx.scalars(
        sa.select(Note).where(Note.user_id == user_id, Note.kind == kind, Note.status == "open")
    ):
        if clean(note.text) == clean(text):
            return note, False
    note = Note(user_id=user_id, id=new_id("note"), kind=kind, text=text, source=source, created_at=now)
    tx.add(note)
    await tx.flush()
    return note, True


async def change(tx: AsyncSession, note_id: str, given: Mapping[str, Any], *, source: Author, now: datetime) -> Note:
    """Change text, kind or status; who gives a note another text vouches for it from then on. Raises NoteNotFound."""
    found = await find(tx, note_id)
    await users.lock(tx, found.user_id)
    note = await tx.get_one(Note, (found.user_id, found.id), populate_existing=True)
    if "text" in given and given["text"] != note.text:
        note.text, note.source = given["text"], source
    if "kind" in given:
        note.kind = given["kind"]
    if "status" in given and given["status"] != note.status:
        note.status = given["status"]
        note.resolved_at = now if note.status == "resolved" else None
        note.reopened_at = now if note.status == "open" else note.reopened_at
        note.resolved_by = []
    return note


async def lines(tx: AsyncSession, user_id: str) -> list[NoteLine]:
    """The open notes of a user as the rules see them, newest first."""
    return [line(note) for note in await newest(tx, user_id) if note.resolved_at is None]


async def newest(tx: AsyncSession, user_id: str) -> list[Note]:
    """The notes of a user, newest first."""
    rows = sa.select(Note).where(Note.user_id == user_id).order_by(Note.created_at.desc(), Note.id.desc())
    return list(await tx.scalars(rows.limit(MOST_READ)))


def line(note: Note) -> NoteLine:
    """A note as the rules see it."""
    return NoteLine(
        note.id,
        note.kind,
        note.text,
        note.source,
        tuple(note.message_ids),
        note.resolved_at,
        note.found_kind,
        note.found_text,
    )
