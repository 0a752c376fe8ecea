"""Reading the history: lists with filters, in pages by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, Note, Profile, Summary, User
from convo_service.services import users, windows
from convo_service.services.paging import Column, Listing, Page, stretch

GENERAL: sa.ColumnElement[str] = sa.literal_column("'general'")  # written out: the index of topics leaves it out
ISSUE: sa.ColumnElement[str] = sa.literal_column("'issue'")  # so is what the index of open issues holds
OPEN: sa.ColumnElement[str] = sa.literal_column("'open'")
MANY = 5000  # rows that take longer to be put in order than to be met on the way


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
    query = sa.select(Conversation).options(windows.WITH_SEED).where(*_conditions(wanted), *await _created(tx, wanted))
    return await _page(tx, query, page, Conversation.last_message_at, Conversation.id)


def _conditions(wanted: ConversationFilter) -> list[sa.ColumnElement[bool]]:
    equal = {
        Conversation.user_id: wanted.user_id,
        Conversation.topic: wanted.topic,
        Conversation.template: wanted.template,
        Conversation.created_reason: wanted.created_reason,
    }
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.topic not in (None, "general"):
        conditions.append(Conversation.topic != GENERAL)
    if wanted.is_active is not None:
        active = Conversation.is_active.expression
        conditions.append(active if wanted.is_active else sa.not_(active))
    return conditions + _between(wanted)


def _between(wanted: ConversationFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.last_message_after is not None:
        conditions.append(Conversation.last_message_at > wanted.last_message_after)
    if wanted.last_message_before is not None:
        conditions.append(Conversation.last_message_at < wanted.last_message_before)
    return conditions


async def _created(tx: AsyncSession, wanted: ConversationFilter) -> list[sa.ColumnElement[bool]]:
    """When they were created: few are found by that and put in order, many are met on the way through the order."""
    column: sa.ColumnElement[datetime] = sa.type_coerce(Conversation.created_at, Conversation.created_at.type)
    if not (given := _created_between(column, wanted)):
        return []
    some = sa.select(sa.literal(1)).select_from(Conversation).where(*given).limit(MANY).subquery()
    if (await tx.scalar(sa.select(sa.func.count()).select_from(some))) == MANY:
        return _created_between(sa.func.coalesce(column, column), wanted)  # which no index can be asked for
    few = sa.select(Conversation.id).where(*given)
    return [*given, Conversation.id.in_(few)]


def _created_between(column: sa.ColumnElement[datetime], wanted: ConversationFilter) -> list[sa.ColumnElement[bool]]:
    conditions = []
    if wanted.created_after is not None:
        conditions.append(column > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(column < wanted.created_before)
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


async def open_issues(tx: AsyncSession, page: Page) -> Listing[Note]:
    """What is open with anybody, by `(created_at, id)`."""
    query = sa.select(Note).where(Note.kind == ISSUE, Note.status == OPEN, ~users.is_erased(Note.user_id))
    return await _page(tx, query, page, Note.created_at, Note.id)


async def issue_count(tx: AsyncSession) -> int:
    """How many issues are open."""
    query = sa.select(sa.func.count()).select_from(Note).where(Note.kind == ISSUE, Note.status == OPEN)
    return int(await tx.scalar(query) or 0)


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
    query = sa.select(User).where(User.erasure_id.is_(None))
    if q:
        named = Profile.search_text.contains(q.casefold(), autoescape=True)
        query = query.where(User.id.in_(sa.select(Profile.user_id).where(named)))
    found = await _page(tx, query, page, User.last_seen_at, User.id)
    return Listing(await users.views(tx, found.rows), found.has_more)


async def _page(
    tx: AsyncSession,
    query: sa.Select[Any],
    page: Page,
    key: Column,
    identifier: Column,
    *,
    scope: Sequence[sa.ColumnElement[bool]] = (),
) -> Listing[Any]:
    place = await stretch(tx, page, key, identifier, scope)
    return await place.read(tx, query.where(*scope))
