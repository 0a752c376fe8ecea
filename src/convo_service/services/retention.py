"""Retention: what is older than an operator wants to keep goes, a little in each sweep. By default nothing does.

Counts go on counting what was said, and not what is kept: caps and savings are judged by them. A seed goes with the
first message that it rests on, once its conversation is closed; new seeds are made of what is there.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.db.models import Conversation, Message, Opening, Seed, Summary, Turn
from convo_service.domain.ids import id_of
from convo_service.errors import UserNotFound
from convo_service.services import openings, users
from convo_service.services.arrivals import Clock
from convo_service.settings import Settings

AT_ONCE = 500  # rows of each kind, in a pass

Key = tuple[str, str]  # user, row
Forget = Callable[[AsyncSession, str, Collection[str]], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Retention:
    """Any number may run at once: each change locks its user, and a row goes once."""

    database: Database
    settings: Settings
    clock: Clock

    async def run_once(self) -> Counter[str]:
        """One pass: how many messages and summaries went, and how many conversations are to go at OpenAI."""
        now, settings = self.clock(), self.settings
        done: Counter[str] = Counter()
        if settings.retention_messages_days is not None:
            old = await self._found(_old_messages(now - timedelta(days=settings.retention_messages_days)))
            done["messages_expired"] = await self._each(old, _forget_messages)
        if settings.retention_summaries_days is not None:
            old = await self._found(_old_summaries(now - timedelta(days=settings.retention_summaries_days)))
            done["summaries_expired"] = await self._each(old, _forget_summaries)
        if settings.retention_remotes_days is not None:
            old = await self._found(_old_remotes(now - timedelta(days=settings.retention_remotes_days)))
            done["remotes_released"] = await self._each(old, self._release)
        return +done

    async def _found(self, old: "sa.Select[str, str]") -> list[Key]:
        async with self.database.read.begin() as tx:
            return sorted((row[0], row[1]) for row in await tx.execute(old.limit(AT_ONCE)))

    async def _each(self, keys: list[Key], forget: Forget) -> int:
        """User by user, each in a transaction; whoever is being erased needs no retention."""
        count = 0
        for user_id, own in groupby(keys, key=lambda key: key[0]):
            ids = [key[1] for key in own]
            try:
                async with self.database.write.begin() as tx:
                    await users.lock(tx, user_id)
                    count += await forget(tx, user_id, ids)
            except UserNotFound:
                continue
        return count

    async def _release(self, tx: AsyncSession, user_id: str, ids: Collection[str]) -> int:
        """Have conversations deleted at OpenAI; here they stay."""
        mine = (Conversation.user_id == user_id, Conversation.id.in_(ids))
        closed = sa.update(Conversation).where(*mine, ~Conversation.is_active, Conversation.released_at.is_(None))
        released = (await tx.scalars(closed.values(released_at=self.clock()).returning(Conversation.id))).all()
        for one in released:
            await openings.discard(tx, one, "retention")
        return len(released)


def _old_messages(cutoff: datetime) -> "sa.Select[str, str]":
    """Found by their ids, which grow with the time at which they came."""
    bound = id_of("msg", int(cutoff.timestamp() * 1000), 0)
    waited_for = sa.exists().where(Opening.user_id == Message.user_id, Opening.message_id == Message.id)
    old = sa.select(Message.user_id, Message.id).where(Message.id < bound, Message.sent_at < cutoff, ~waited_for)
    return old.order_by(Message.id)


def _old_summaries(cutoff: datetime) -> "sa.Select[str, str]":
    return sa.select(Summary.user_id, Summary.id).where(Summary.asked_at < cutoff, Summary.state != "asked")


def _old_remotes(cutoff: datetime) -> "sa.Select[str, str]":
    old = (Conversation.closed_at < cutoff, Conversation.closed_at.is_not(None), Conversation.released_at.is_(None))
    return sa.select(Conversation.user_id, Conversation.id).where(*old).order_by(Conversation.closed_at)


async def _forget_messages(tx: AsyncSession, user_id: str, ids: Collection[str]) -> int:
    """With the turns that answered them, and the seeds that rest on them."""
    turns = sa.or_(Turn.message_id.in_(ids), Turn.reply_message_id.in_(ids))
    await tx.execute(sa.delete(Turn).where(Turn.user_id == user_id, turns))
    closed = sa.select(Conversation.id).where(Conversation.user_id == user_id, ~Conversation.is_active)
    rests_on_them = (Seed.from_message_id.in_(ids), Seed.conversation_id.in_(closed))
    await tx.execute(sa.delete(Seed).where(Seed.user_id == user_id, *rests_on_them))
    gone = sa.delete(Message).where(Message.user_id == user_id, Message.id.in_(ids)).returning(Message.id)
    return len((await tx.scalars(gone)).all())


async def _forget_summaries(tx: AsyncSession, user_id: str, ids: Collection[str]) -> int:
    gone = sa.delete(Summary).where(Summary.user_id == user_id, Summary.id.in_(ids)).returning(Summary.id)
    return len((await tx.scalars(gone)).all())
