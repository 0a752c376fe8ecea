"""What becomes of a summary that was kept: its entries are stored, its issues and preferences become notes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Message, Note, Summary
from convo_service.domain.digest import Entry
from convo_service.domain.edits import is_overruled
from convo_service.domain.ids import new_id
from convo_service.domain.notes import is_doubled
from convo_service.domain.summary import Checked, Closed, Draft, Statement
from convo_service.services import edits, entries, messages, notes

Rows = Mapping[str, Message]


async def keep(tx: AsyncSession, row: Summary, found: Checked, *, shown: Collection[str], now: datetime) -> None:
    """Store what was found; the user is locked. `shown`: ids of the notes that the model saw, and may close."""
    draft = found.draft
    known = await notes.newest(tx, row.user_id)
    of_notes = {one for note in known for one in note.message_ids if note.id in shown}
    rows = await messages.by_ids(tx, row.user_id, {*_cited(draft), *of_notes})
    draft = _still_said(draft, rows)
    row.dropped = dict(found.dropped)
    row.entries = {
        "topics": _stored(draft.topics, rows),
        "facts": _stored(draft.facts, rows),
        "open_issues": _stored(draft.open_issues, rows),
        "preferences": _stored(draft.preferences, rows),
    }
    for closed in draft.closed:
        for note in known:
            if note.id == closed.note_id and note.id in shown and _is_settled(note, closed, rows):
                # Settled as of what the model saw: what was said since may open it anew.
                note.status, note.resolved_at, note.resolved_by = "resolved", row.asked_at, list(closed.message_ids)
    await _write_notes(tx, row, draft, known, rows, now)


async def _write_notes(
    tx: AsyncSession, row: Summary, draft: Draft, known: Sequence[Note], rows: Rows, now: datetime
) -> None:
    """Issues and preferences that nobody wrote before, nor an operator took out or corrected."""
    decided = await edits.of_user(tx, row.user_id)
    lines = [notes.line(note) for note in known]
    for kind, statements in (("issue", draft.open_issues), ("preference", draft.preferences)):
        for one in statements:
            newest = max(rows[cited].received_at for cited in one.message_ids)
            if is_doubled(kind, one.text, one.message_ids, newest, lines) or is_overruled(one.text, decided):
                continue
            note = _note(row.user_id, kind, one, now)
            tx.add(note)
            lines.append(notes.line(note))


def _note(user_id: str, kind: str, statement: Statement, now: datetime) -> Note:
    return Note(
        user_id=user_id,
        id=new_id("note"),
        kind=kind,
        text=statement.text,
        source="summary",
        message_ids=list(statement.message_ids),
        created_at=now,
        found_kind=kind,
        found_text=statement.text,
    )


def _is_settled(note: Note, closed: Closed, rows: Rows) -> bool:
    """Whether a summary may close it: its own note, still open, and a message that came after it says so."""
    if note.source != "summary" or note.resolved_at is not None:
        return False
    rests_on = [rows[one].sent_at for one in note.message_ids if one in rows]
    return any(
        one not in note.message_ids
        and rows[one].sent_at > max(rests_on, default=note.created_at)
        and (note.reopened_at is None or rows[one].received_at > note.reopened_at)
        for one in closed.message_ids
    )


def _still_said(draft: Draft, rows: Rows) -> Draft:
    """Without what rests on a message that was revoked since it was judged."""

    def stand(one: Statement | Closed) -> bool:
        return all(rows[cited].said for cited in one.message_ids)

    return Draft(
        topics=tuple(filter(stand, draft.topics)),
        open_issues=tuple(filter(stand, draft.open_issues)),
        preferences=tuple(filter(stand, draft.preferences)),
        facts=tuple(filter(stand, draft.facts)),
        closed=tuple(filter(stand, draft.closed)),
    )


def _cited(draft: Draft) -> set[str]:
    kinds = (draft.topics, draft.open_issues, draft.preferences, draft.facts, draft.closed)
    return {cited for kind in kinds for one in kind for cited in one.message_ids}


def _stored(statements: Iterable[Statement], rows: Rows) -> list[dict[str, object]]:
    return [entries.to_json(_entry(statement, rows)) for statement in statements]


def _entry(statement: Statement, rows: Rows) -> Entry:
    """A statement in its place in time: that of the newest message it rests on."""
    newest, *others = sorted(statement.message_ids, key=lambda one: (rows[one].sent_at, one), reverse=True)
    return Entry(statement.text, newest, "inbound", rows[newest].sent_at, source="llm", also=tuple(others))
