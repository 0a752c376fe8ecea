"""Reading the history: lists with filters, in pages by key, so that the last page costs what the first one costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, Note, Profile, Summary, User
from convo_service.errors import InvalidCursor
from convo_service.services import users, windows

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: `after` and `before` are ids of it, exclusive, in the direction of `order`."""

    limit: int = 20
    after: str | None = None
    before: str | None = None
    order: Literal["asc", "desc"] = "desc"


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """One page of a list, and whether there is more in the direction of reading."""

    rows: Sequence[Row]
    has_more: bool


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Every filter of `GET /conversations`; None leaves it out. `after` and `before` are exclusive."""

    user_id: str | None = None
    is_active: bool | None = None
    topic: str | None = None
    template: str | None = None
    created_reason: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    last_message_after: datetime | None = None
    last_message_before: datetime | None = None


async def conversations(tx: AsyncSession, wanted: ConversationFilter, page: Page) -> Listing[Conversation]:
    """Conversations by `(last_message_at, id)`."""
    query = sa.select(Conversation).options(windows.WITH_SEED).where(*_conditions(wanted))
    return await _page(tx, query, page, Conversation.last_message_at, Conversation.id)


def _conditions(wanted: ConversationFilter) -> list[sa.ColumnElement[bool]]:
    equal = {
        Conversation.user_id: wanted.user_id,
        Conversation.topic: wanted.topic,
        Conversation.template: wanted.template,
        Conversation.created_reason: wanted.created_reason,
    }
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.is_active is not None:
        conditions.append(Conversation.is_active == sa.literal(wanted.is_active))
    if wanted.created_after is not None:
        conditions.append(Conversation.created_at > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(Conversation.created_at < wanted.created_before)
    if wanted.last_message_after is not None:
        conditions.append(Conversation.last_message_at > wanted.last_message_after)
    if wanted.last_message_before is not None:
        conditions.append(Conversation.last_message_at < wanted.last_message_before)
    return conditions


async def conversation_messages(tx: AsyncSession, conversation_id: str, page: Page) -> Listing[Message]:
    """The thread of one conversation, by `(sent_at, id)`."""
    conversation = await windows.find(tx, conversation_id)
    scope = (Message.user_id == conversation.user_id, Message.conversation_id == conversation.id)
    return await _page(tx, sa.select(Message), page, Message.sent_at, Message.id, scope=scope)


async def user_messages(tx: AsyncSession, user_id: str, page: Page) -> Listing[Message]:
    """The thread of one user across all conversations, by `(sent_at, id)`."""
    await users.get(tx, user_id)
    scope = (Message.user_id == user_id,)
    return await _page(tx, sa.select(Message), page, Message.sent_at, Message.id, scope=scope)


async def user_notes(
    tx: AsyncSession, user_id: str, page: Page, *, kind: str | None, status: str | None
) -> Listing[Note]:
    """The notes about a user, by `(created_at, id)`."""
    await users.get(tx, user_id)
    query = sa.select(Note)
    if kind is not None:
        query = query.where(Note.kind == kind)
    if status is not None:
        query = query.where(Note.status == status)
    return await _page(tx, query, page, Note.created_at, Note.id, scope=(Note.user_id == user_id,))


async def user_summaries(tx: AsyncSession, user_id: str, page: Page) -> Listing[Summary]:
    """Every version of the summaries of a user, by `(asked_at, id)`."""
    await users.get(tx, user_id)
    scope = (Summary.user_id == user_id,)
    return await _page(tx, sa.select(Summary), page, Summary.asked_at, Summary.id, scope=scope)


async def chain(tx: AsyncSession, conversation_id: str, page: Page) -> Listing[Conversation]:
    """A conversation with its ancestors and descendants, in the order of opening."""
    start = await windows.find(tx, conversation_id)
    scope = (Conversation.user_id == start.user_id, Conversation.id.in_(await _chain_ids(tx, start)))
    query = sa.select(Conversation).options(windows.WITH_SEED)
    return await _page(tx, query, page, Conversation.number, Conversation.id, scope=scope)


async def _chain_ids(tx: AsyncSession, start: Conversation) -> Sequence[str]:
    """Walk the parents up and the children down, each step inside the same user."""
    base = sa.select(Conversation.id, Conversation.parent_conversation_id).where(
        Conversation.user_id == start.user_id, Conversation.id == start.id
    )
    step = sa.select(Conversation.id, Conversation.parent_conversation_id).where(Conversation.user_id == start.user_id)
    up = base.cte("up", recursive=True)
    up = up.union(step.join(up, Conversation.id == up.c.parent_conversation_id))
    down = base.cte("down", recursive=True)
    down = down.union(step.join(down, Conversation.parent_conversation_id == down.c.id))
    found = await tx.scalars(sa.union(sa.select(up.c.id), sa.select(down.c.id)))
    return found.all()


async def find_users(tx: AsyncSession, page: Page, q: str | None = None) -> Listing[users.UserView]:
    """Users by `(last_seen_at, id)`; `q` looks into names and companies."""
    query = sa.select(User)
    if q:
        named = Profile.search_text.contains(q.casefold(), autoescape=True)
        query = query.where(User.id.in_(sa.select(Profile.user_id).where(named)))
    found = await _page(tx, query, page, User.last_seen_at, User.id)
    return Listing(await users.views(tx, found.rows), found.has_more)


async def _page(
    tx: AsyncSession,
    query: sa.Select[Any],
    page: Page,
    key: sa.orm.InstrumentedAttribute[Any],
    identifier: sa.orm.InstrumentedAttribute[str],
    *,
    scope: Sequence[sa.ColumnElement[bool]] = (),
) -> Listing[Any]:
    """One page by `(key, id)`. With `before` alone the page is read backwards and turned round.

    A cursor has to be a row of `scope`, and need not match a filter any more: what is listed may change meanwhile.
    """
    query = query.where(*scope)
    backwards = page.before is not None and page.after is None
    for cursor, is_after in ((page.after, True), (page.before, False)):
        if cursor is not None:
            position = await _position(tx, scope, cursor, key, identifier)
            beyond = sa.tuple_(key, identifier)
            forwards = is_after == (page.order == "asc")
            query = query.where(beyond > position if forwards else beyond < position)
    rising = (page.order == "asc") != backwards
    ordering = (key, identifier) if rising else (key.desc(), identifier.desc())
    rows = list((await tx.scalars(query.order_by(*ordering).limit(page.limit + 1))).all())
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    return Listing(rows[::-1] if backwards else rows, more)


async def _position(
    tx: AsyncSession,
    scope: Sequence[sa.ColumnElement[bool]],
    cursor: str,
    key: sa.orm.InstrumentedAttribute[Any],
    identifier: sa.orm.InstrumentedAttribute[str],
) -> sa.Tuple:
    found = (await tx.execute(sa.select(key).where(identifier == cursor, *scope).limit(1))).first()
    if found is None:
        raise InvalidCursor
    return sa.tuple_(sa.literal(found[0], key.type), sa.literal(cursor))
