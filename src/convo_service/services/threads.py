"""A stretch of a user's thread with the windows that it goes through: what was said, why each began, what it used."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, ModelCall
from convo_service.errors import InvalidCursor
from convo_service.services import history, messages, spent, users, windows
from convo_service.services.history import ConversationFilter
from convo_service.services.paging import Listing, Page
from convo_service.services.spent import WindowUse

AT_ONCE = 60  # messages of a page
BESIDE = 25  # on each side of the one that somebody looks for
MOST_WINDOWS = 15


@dataclass(frozen=True, slots=True)
class Window:
    """One conversation, and how it came after the one before it."""

    row: Conversation
    parent: Conversation | None
    use: WindowUse

    @property
    def idle(self) -> timedelta | None:
        """How long nobody had written when it was opened."""
        return None if self.parent is None else self.row.created_at - self.parent.last_inbound_at


@dataclass(frozen=True, slots=True)
class Thread:
    """Messages, oldest first; the windows by id, and the calls behind replies by the reply's id."""

    messages: Sequence[Message]
    has_earlier: bool
    has_later: bool
    windows: Mapping[str, Window]
    calls: Mapping[str, ModelCall]


async def newest(tx: AsyncSession, user_id: str, *, before: str | None = None) -> Thread:
    """The end of a thread, or what was said before a message; raises UserNotFound and InvalidCursor."""
    found = await history.user_messages(tx, user_id, Page(AT_ONCE, after=before))
    return await _complete(tx, user_id, found.rows[::-1], has_earlier=found.has_more, has_later=before is not None)


async def since(tx: AsyncSession, user_id: str, message_id: str) -> Thread:
    """What was said after a message."""
    found = await history.user_messages(tx, user_id, Page(AT_ONCE, after=message_id, order="asc"))
    return await _complete(tx, user_id, found.rows, has_earlier=True, has_later=found.has_more)


async def around(tx: AsyncSession, user_id: str, message_id: str) -> Thread:
    """What was said before and after a message; raises UserNotFound and InvalidCursor."""
    earlier = await history.user_messages(tx, user_id, Page(BESIDE, after=message_id))
    later = await history.user_messages(tx, user_id, Page(BESIDE, after=message_id, order="asc"))
    one = await messages.by_ids(tx, user_id, [message_id])
    rows = [*earlier.rows[::-1], *one.values(), *later.rows]
    return await _complete(tx, user_id, rows, has_earlier=earlier.has_more, has_later=later.has_more)


async def chain(tx: AsyncSession, user_id: str, *, after: str | None = None) -> Listing[Window]:
    """The windows of a user, newest first."""
    found = await history.conversations(tx, ConversationFilter(user_id=user_id), Page(MOST_WINDOWS, after=after))
    return Listing(await _windows(tx, user_id, found.rows), found.has_more)


async def _complete(
    tx: AsyncSession, user_id: str, rows: Sequence[Message], *, has_earlier: bool, has_later: bool
) -> Thread:
    ids = {row.conversation_id for row in rows if row.conversation_id is not None}
    found = await _windows(tx, user_id, await _conversations(tx, user_id, ids)) if ids else []
    calls = await spent.of_messages(tx, user_id, [row.id for row in rows if row.direction == "outbound"])
    return Thread(rows, has_earlier, has_later, {window.row.id: window for window in found}, calls)


async def _windows(tx: AsyncSession, user_id: str, rows: Sequence[Conversation]) -> list[Window]:
    parents = await _conversations(tx, user_id, {row.parent_conversation_id for row in rows} - {None})
    by_id = {row.id: row for row in parents}
    uses = await spent.of_windows(tx, user_id, [row.id for row in rows])
    return [Window(row, by_id.get(row.parent_conversation_id or ""), uses.get(row.id, WindowUse())) for row in rows]


async def _conversations(tx: AsyncSession, user_id: str, ids: Collection[str | None]) -> Sequence[Conversation]:
    wanted = sa.select(Conversation).where(Conversation.user_id == user_id, Conversation.id.in_(ids))
    return (await tx.scalars(wanted.options(windows.WITH_SEED))).all()


async def message(tx: AsyncSession, user_id: str, message_id: str) -> Message:
    """One message; raises InvalidCursor."""
    found = (await messages.by_ids(tx, user_id, [message_id])).get(message_id)
    if found is None:
        raise InvalidCursor
    return found


async def first_of(tx: AsyncSession, user_id: str, conversation_id: str) -> str | None:
    """With which message a window begins."""
    found = await history.conversation_messages(tx, conversation_id, Page(1, order="asc"))
    mine = [row.id for row in found.rows if row.user_id == user_id]
    return mine[0] if mine else None


async def current(tx: AsyncSession, user_id: str) -> users.UserView:
    """The user of a thread; raises UserNotFound."""
    return (await users.views(tx, [await users.get(tx, user_id)]))[0]
