"""Merging two users who are one person: all rows move, and the newer active conversation of a topic stays active."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import (
    ActiveDay,
    Base,
    Conversation,
    Merge,
    Message,
    ModelCall,
    Note,
    Opening,
    Profile,
    RemoteGarbage,
    Seed,
    SeedEdit,
    Summary,
    Turn,
    User,
    UserIdentity,
)
from convo_service.db.statements import table_of
from convo_service.domain.ids import new_id
from convo_service.domain.window import Reason
from convo_service.errors import InvalidRequest
from convo_service.services import openings, profiles, users, windows

# In the order in which they name one another.
MOVED: Sequence[type[Base]] = (Conversation, Seed, Message, Turn, Summary, Note, SeedEdit, ModelCall, Merge, ActiveDay)


async def merge(tx: AsyncSession, user_id: str, into: str, *, by: str, now: datetime) -> User:
    """Merge a user into another, and return the one who stays. Raises UserNotFound, and InvalidRequest of one alone.

    Whoever is at work for the one who goes finds nobody there any more, looks again by identity, and finds the other.
    """
    if user_id == into:
        raise InvalidRequest("A user cannot be merged into herself")
    locked = {one: await users.lock(tx, one) for one in sorted((user_id, into))}
    gone, stays = locked[user_id], locked[into]
    await _drop_openings(tx, gone.id, stays.id)
    await _close_older(tx, gone.id, stays.id, now)
    await _release_ids(tx, gone.id, stays.id)
    rows: Counter[str] = Counter()
    for model in MOVED:
        rows[model.__tablename__] = await _copy(tx, model, gone.id, stays.id)
    for model in reversed(MOVED):
        await tx.execute(sa.delete(model).where(table_of(model).c.user_id == gone.id))
    moved = sa.update(UserIdentity).where(UserIdentity.user_id == gone.id).values(user_id=stays.id)
    rows["identities"] = len((await tx.scalars(moved.returning(UserIdentity.value))).all())
    await _merge_profiles(tx, gone.id, stays.id)
    await _renumber(tx, stays.id)
    _add_up(gone, stays)
    tx.add(
        Merge(user_id=into, id=new_id("merge"), merged_user_id=user_id, merged_at=now, merged_by=by, rows=dict(+rows))
    )
    await tx.delete(gone)
    await tx.flush()
    return stays


async def _drop_openings(tx: AsyncSession, gone: str, stays: str) -> None:
    """A rollover that is owed is judged anew by the next message, which meets the same windows."""
    dropped = sa.delete(Opening).where(Opening.user_id == gone).returning(Opening.remote_id)
    for remote_id in (await tx.scalars(dropped)).all():
        if remote_id is not None:
            await openings.discard(tx, remote_id, "merged", of_user=stays)
    await tx.execute(sa.update(RemoteGarbage).where(RemoteGarbage.of_user == gone).values(of_user=stays))


async def _close_older(tx: AsyncSession, gone: str, stays: str, now: datetime) -> None:
    """Of two active conversations of a topic the one in which the user wrote last stays active."""
    active = sa.select(Conversation).where(Conversation.user_id.in_((gone, stays)), Conversation.is_active)
    newest_first = active.order_by(Conversation.last_inbound_at.desc(), Conversation.created_at.desc())
    topics: set[str] = set()
    for one in (await tx.scalars(newest_first)).all():
        if one.topic in topics:
            await windows.close(tx, one, Reason.OPERATOR, now, sweep_at=None)
        topics.add(one.topic)


async def _release_ids(tx: AsyncSession, gone: str, stays: str) -> None:
    """A message id that both have belongs to the one who stays."""
    known = sa.select(Message.external_id).where(Message.user_id == stays, Message.external_id.is_not(None))
    both = sa.update(Message).where(Message.user_id == gone, Message.external_id.in_(known))
    await tx.execute(both.values(external_id=None))


async def _copy(tx: AsyncSession, model: type[Base], gone: str, stays: str) -> int:
    """Insert a user's rows as the other's: the user is part of every key, so that no row can simply change it."""
    table = table_of(model)
    names = [column.name for column in table.c]
    values: list[Any] = [sa.literal(stays) if name == "user_id" else table.c[name] for name in names]
    rows = sa.select(*values).where(table.c.user_id == gone)
    if model is SeedEdit:  # the other's decision about the same entry stands
        rows = rows.where(table.c.entry_id.not_in(sa.select(SeedEdit.entry_id).where(SeedEdit.user_id == stays)))
    if model is ActiveDay:  # a day on which both wrote stays counted as two people's
        rows = rows.where(table.c.day.not_in(sa.select(ActiveDay.day).where(ActiveDay.user_id == stays)))
    made = await tx.execute(sa.insert(table).from_select(names, rows, include_defaults=False))
    return int(made.rowcount)  # type: ignore[attr-defined]


async def _merge_profiles(tx: AsyncSession, gone: str, stays: str) -> None:
    """What the one who stays leaves open is filled."""
    old, kept = await tx.get(Profile, gone), await tx.get(Profile, stays)
    if old is None:
        return
    fields = ("name", "last_name", "ragione_sociale", "email")
    if kept is None:
        kept = Profile(user_id=stays)
        tx.add(kept)
    for name in fields:
        setattr(kept, name, getattr(kept, name) or getattr(old, name))
    kept.search_text = profiles.searched(kept.name, kept.last_name, kept.ragione_sociale)
    kept.updated_at = max((at for at in (old.updated_at, kept.updated_at) if at is not None), default=None)
    await tx.delete(old)
    await tx.flush()


async def _renumber(tx: AsyncSession, user_id: str) -> None:
    """Bring all conversations into one order of opening."""
    table = table_of(Conversation)
    order = sa.func.row_number().over(order_by=(table.c.created_at, table.c.number, table.c.id)).label("place")
    places = sa.select(table.c.id, order).where(table.c.user_id == user_id).subquery()
    place = sa.select(places.c.place).where(places.c.id == table.c.id).scalar_subquery()
    await tx.execute(sa.update(table).where(table.c.user_id == user_id).values(number=place))


def _add_up(gone: User, stays: User) -> None:
    stays.conversation_count += gone.conversation_count
    stays.message_count += gone.message_count
    stays.talk_tokens += gone.talk_tokens
    stays.endless_tokens += gone.endless_tokens
    stays.first_seen_at = min(stays.first_seen_at, gone.first_seen_at)
    stays.last_seen_at = max(stays.last_seen_at, gone.last_seen_at)
    stays.last_reply_at = max((at for at in (stays.last_reply_at, gone.last_reply_at) if at is not None), default=None)
    watched = [at for at in (stays.repeats_until, gone.repeats_until) if at is not None]
    stays.repeats_until = max(watched, default=None)
    paused = [at for at in (stays.paused_until, gone.paused_until) if at is not None]
    stays.paused_until = max(paused, default=None)
    stays.rollout = ""  # which may name an identity that came along
