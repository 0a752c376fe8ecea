"""What was made of a message's words before they changed: entries of seeds and summaries, notes, what is owed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, Note, Seed, SeedEdit, Summary
from convo_service.domain.digest import Entry, Said, pieces
from convo_service.domain.guard import fault
from convo_service.domain.record import PREAMBLE, carried_items, without
from convo_service.domain.text import tokens
from convo_service.services import entries, messages, summaries

Json = dict[str, Any]


@dataclass(slots=True)
class _Changed:
    """A message that says something else now; `rows` are all messages that stand beside it in an entry, by id."""

    message: Message
    before: str
    rows: Mapping[str, Message]
    names: Sequence[str]
    gone: set[str] = field(default_factory=set)  # what does not stand any more

    def cites(self, message_ids: Iterable[str]) -> bool:
        """Whether the message is among these."""
        return self.message.id in message_ids

    def left(self, text: str, message_ids: Sequence[str]) -> tuple[str, ...]:
        """The messages that a model's statement still rests on; none when it says what they do not say any more."""
        left = tuple(one for one in message_ids if one in self.rows and self.rows[one].said)
        if left and fault(text, [self.rows[one].said for one in left], self.names) is None:
            return left
        self.gone.add(text)
        return ()

    def entry(self, entry: Entry) -> Entry | None:
        """An entry as it may stand; a piece of the message itself never does."""
        if not self.cites(entry.message_ids):
            return entry
        if entry.source == "digest":
            self.gone.add(entry.text)
            return None
        left = self.left(entry.text, entry.message_ids)
        if not left:
            return None
        first = self.rows[left[0]]
        return replace(entry, message_id=first.id, sent_at=first.sent_at, also=left[1:])

    def all(self, stored: Sequence[Json]) -> list[Entry]:
        """Stored entries as they may stand."""
        return [one for entry in entries.all_from_json(stored) if (one := self.entry(entry)) is not None]

    @property
    def anew(self) -> Said:
        """The message as it is now."""
        side = "inbound" if self.message.direction == "inbound" else "outbound"
        return Said(self.message.id, side, self.message.said, self.message.sent_at)  # type: ignore[arg-type]


async def follow(tx: AsyncSession, message: Message, before: str) -> None:
    """Bring whatever rests on a message into line with what it says now; the user is locked. `before`: what it said."""
    cited = await _cited_beside(tx, message)
    rows = await messages.by_ids(tx, message.user_id, {message.id, *cited})
    changed = _Changed(message, before, rows, await summaries.names_of(tx, message.user_id))
    await _notes(tx, changed)
    await _edits(tx, changed)
    await _summaries(tx, changed)
    await _seeds(tx, changed)


def _holds(column: sa.orm.InstrumentedAttribute[Any], message: Message) -> sa.ColumnElement[bool]:
    """Whether an id stands in a column of JSON: it is made of letters and digits, so nothing else looks like it."""
    return sa.cast(column, sa.Text).contains(message.id, autoescape=True)


async def _cited_beside(tx: AsyncSession, message: Message) -> set[str]:
    """The messages that stand beside this one in an entry of a model's."""
    found: set[str] = set()
    for column in (Seed.entries, Summary.entries, SeedEdit.entry):
        mine = (column.class_.user_id == message.user_id, _holds(column, message))
        for stored in await tx.scalars(sa.select(column).where(*mine)):
            for one in _entries_in(stored):
                if message.id in one.message_ids:
                    found.update(one.message_ids)
    for ids in await tx.scalars(
        sa.select(Note.message_ids).where(_of_user(Note, message), _holds(Note.message_ids, message))
    ):
        found.update(ids)
    return found


def _entries_in(stored: Any) -> list[Entry]:
    """The entries of a seed (a list), of a summary (lists by kind), or of an edit (one)."""
    if isinstance(stored, list):
        return entries.all_from_json(stored)
    if "text" in stored:
        return [entries.from_json(stored)]
    return [entry for kind in stored.values() for entry in entries.all_from_json(kind)]


def _of_user(model: type[Note | SeedEdit | Summary | Seed], message: Message) -> sa.ColumnElement[bool]:
    return model.user_id == message.user_id


async def _notes(tx: AsyncSession, changed: _Changed) -> None:
    """A summary's note goes when it does not stand any more; what people wrote is theirs."""
    mine = (_of_user(Note, changed.message), _holds(Note.message_ids, changed.message))
    for note in (await tx.scalars(sa.select(Note).where(*mine))).all():
        left = changed.left(note.found_text or note.text, note.message_ids)
        if left:
            note.message_ids = list(left)
        elif note.source == "summary":
            await tx.delete(note)
        else:
            note.message_ids, note.found_kind, note.found_text = [], None, None
    await tx.flush()


async def _edits(tx: AsyncSession, changed: _Changed) -> None:
    """An operator's decision about words that are gone goes with them; what he wrote in their place, too."""
    mine = (_of_user(SeedEdit, changed.message), _holds(SeedEdit.entry, changed.message))
    for edit in (await tx.scalars(sa.select(SeedEdit).where(*mine))).all():
        if changed.entry(entries.from_json(edit.entry)) is None:
            changed.gone.update([edit.text] if edit.text is not None else [])
            await tx.delete(edit)
    await tx.flush()


async def _summaries(tx: AsyncSession, changed: _Changed) -> None:
    """Every version, because operators read them, too."""
    mine = (_of_user(Summary, changed.message), _holds(Summary.entries, changed.message))
    for row in (await tx.scalars(sa.select(Summary).where(*mine))).all():
        row.entries = {kind: [entries.to_json(one) for one in changed.all(of)] for kind, of in row.entries.items()}


async def _seeds(tx: AsyncSession, changed: _Changed) -> None:
    """The seeds that cite it, or were made of its conversation, whose topics are words without a citation."""
    here = (Seed.user_id == Conversation.user_id, Seed.conversation_id == Conversation.id)
    made_of_it = Conversation.parent_conversation_id == changed.message.conversation_id
    found = sa.select(Seed, Conversation).join(Conversation, sa.and_(*here))
    found = found.where(_of_user(Seed, changed.message), sa.or_(_holds(Seed.entries, changed.message), made_of_it))
    for seed, conversation in (await tx.execute(found)).all():
        was = seed.text
        kept = changed.all(seed.entries)
        if len(kept) < len(seed.entries):
            kept += pieces([changed.anew])
        seed.entries = [entries.to_json(one) for one in kept]
        seed.text = without(was, changed.gone, changed.before)
        seed.tokens = tokens(seed.text)
        if conversation.owed_items is not None:
            conversation.owed_items = _owed(conversation.owed_items, was, seed.text, changed)
    await _carried(tx, changed)


async def _carried(tx: AsyncSession, changed: _Changed) -> None:
    """The last words of before a cap may be owed without a seed."""
    owing = sa.select(Conversation).where(
        Conversation.user_id == changed.message.user_id, Conversation.owed_items.is_not(None)
    )
    for conversation in (await tx.scalars(owing)).all():
        conversation.owed_items = _owed(conversation.owed_items or [], "", "", changed) or None


def _owed(items: Sequence[Json], was: str, now: str, changed: _Changed) -> list[Json]:
    """Items that were not sent yet, with a seed's new text, and without what is gone of the talk that goes along."""
    old = [one["content"] for one in carried_items([replace(changed.anew, text=changed.before)])]
    made = [one["content"] for one in carried_items([changed.anew])]
    new = dict.fromkeys(old, made[0] if made else "") | ({was: now} if was else {})
    new |= {PREAMBLE: ""} if was and not now else {}
    kept = [{**one, "content": new.get(one["content"], one["content"])} for one in items]
    return [one for one in kept if one["content"]]
