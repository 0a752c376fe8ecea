"""What operators decided about entries of seeds, as it is stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import SeedEdit
from convo_service.domain.edits import Edit
from convo_service.domain.record import Section
from convo_service.domain.seed import Part, Seed
from convo_service.domain.text import clean
from convo_service.errors import EntryNotFound, InvalidRequest
from convo_service.services import entries, users

MOST_PINNED = 10
MOST_EDITS = 200  # of a user: each is looked at in every seed


async def of_user(tx: AsyncSession, user_id: str) -> dict[str, Edit]:
    """Every decision about a user's entries, by entry id."""
    rows = await tx.scalars(sa.select(SeedEdit).where(SeedEdit.user_id == user_id).order_by(SeedEdit.updated_at))
    return {row.entry_id: _edit(row) for row in rows}


async def change(
    tx: AsyncSession, user_id: str, entry_id: str, seed: Seed, given: Mapping[str, Any], *, now: datetime
) -> None:
    """Give an entry of this seed another text, pin it, take it out, or undo that. Raises EntryNotFound."""
    await users.lock(tx, user_id)
    row = await tx.get(SeedEdit, (user_id, entry_id))
    if row is None:
        row = _new(user_id, entry_id, seed, now)
        tx.add(row)
    was_removed = row.removed
    for name in ("pinned", "removed"):
        setattr(row, name, given.get(name, getattr(row, name)))
    if "text" in given:
        text = clean(given["text"])
        row.text = text if text != row.entry["text"] else None
    row.updated_at = now
    await tx.flush()
    await _check_limits(tx, row)
    if _edit(row).is_put_back and not was_removed:  # what was taken out may be in no talk any more: its row brings it
        await tx.delete(row)


def _new(user_id: str, entry_id: str, seed: Seed, now: datetime) -> SeedEdit:
    part = next((part for part in seed.parts if part.id == entry_id), None)
    if part is None:
        raise EntryNotFound
    if part.entry is None:
        raise InvalidRequest("This entry is a note: change it with PATCH /notes/{id}")
    return SeedEdit(
        user_id=user_id, entry_id=entry_id, section=part.section, entry=entries.to_json(part.entry), updated_at=now
    )


async def _check_limits(tx: AsyncSession, row: SeedEdit) -> None:
    edits = await of_user(tx, row.user_id)
    if row.pinned and sum(edit.pinned and not edit.removed for edit in edits.values()) > MOST_PINNED:
        raise InvalidRequest(f"At most {MOST_PINNED} entries of a user can be pinned")
    if len(edits) > MOST_EDITS:
        raise InvalidRequest(f"At most {MOST_EDITS} entries of a user can be edited, pinned or taken out")


def not_in(seed: Seed, edits: Mapping[str, Edit]) -> list[Part]:
    """The entries that operators removed, or changed and that have no place in this seed: so they can be undone."""
    there = {part.id for part in seed.parts}
    return [
        Part(edit.section, edit.was.text, edit.was.source, edit.was.message_ids, edit.pinned, one)
        for one, edit in edits.items()
        if one not in there and not edit.is_put_back
    ]


def _edit(row: SeedEdit) -> Edit:
    section: Section = "topics" if row.section == "topics" else "history"
    return Edit(section, entries.from_json(row.entry), row.text, row.pinned, row.removed)
