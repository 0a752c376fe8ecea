"""Finding conversations: the active one, the last one, the one that covers a time."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation
from convo_service.domain.sweep import SweepRules
from convo_service.domain.window import Reason
from convo_service.errors import ConversationNotFound
from convo_service.services import metering, users
from convo_service.settings import Settings

WITH_SEED = sa.orm.joinedload(Conversation.seed)


async def find(tx: AsyncSession, conversation_id: str) -> Conversation:
    """Return a conversation by its id alone; raises ConversationNotFound, also of a user who is being erased."""
    there = (Conversation.id == conversation_id, ~users.is_erased(Conversation.user_id))
    conversation = await tx.scalar(sa.select(Conversation).options(WITH_SEED).where(*there).limit(1))
    if conversation is None:
        raise ConversationNotFound
    return conversation


async def get(tx: AsyncSession, user_id: str, conversation_id: str) -> Conversation:
    """Return a conversation of a user that is known to exist."""
    return await tx.get_one(Conversation, (user_id, conversation_id), options=[WITH_SEED], populate_existing=True)


async def active(tx: AsyncSession, user_id: str, topic: str) -> Conversation | None:
    """The active conversation of a (user, topic); the database forbids a second."""
    found: Conversation | None = await tx.scalar(_of(user_id, topic).where(Conversation.is_active))
    return found


async def current_or_last(tx: AsyncSession, user_id: str, topic: str) -> Conversation | None:
    """The active conversation of a (user, topic), else the one that was closed last."""
    if (current := await active(tx, user_id, topic)) is not None:
        return current
    last: Conversation | None = await tx.scalar(_of(user_id, topic).order_by(Conversation.number.desc()).limit(1))
    return last


async def to_go_on_from(tx: AsyncSession, user_id: str, topic: str) -> Conversation | None:
    """The conversation whose talk a new one of this topic goes on from; a new topic follows the user's last one."""
    found = await current_or_last(tx, user_id, topic)
    if found is not None:
        return found
    last: Conversation | None = await tx.scalar(
        sa.select(Conversation)
        .options(WITH_SEED)
        .where(Conversation.user_id == user_id)
        .order_by(Conversation.last_message_at.desc(), Conversation.number.desc())
        .limit(1)
    )
    return last


async def covering(tx: AsyncSession, user_id: str, topic: str, at: datetime) -> Conversation:
    """The conversation that was the current one at a time, else the oldest; there has to be one."""
    mine = _of(user_id, topic).limit(1)
    before = mine.where(Conversation.created_at <= at).order_by(
        Conversation.created_at.desc(), Conversation.number.desc()
    )
    found = await tx.scalar(before)
    if found is not None:
        return found
    return (await tx.scalars(mine.order_by(Conversation.created_at, Conversation.number))).one()


async def close(
    tx: AsyncSession, conversation: Conversation, reason: Reason, now: datetime, *, sweep_at: datetime | None
) -> None:
    """Close a conversation unless it is closed; the user has to be locked. `now` is the wall clock.

    `sweep_at`: when the sweep looks at it once more, None for one that has a successor.
    """
    done = await tx.execute(
        sa.update(Conversation)
        .where(Conversation.user_id == conversation.user_id, Conversation.id == conversation.id, Conversation.is_active)
        .values(is_active=False, closed_at=now, closed_reason=reason.value, sweep_at=sweep_at)
    )
    metering.closed(tx, reason, done)


async def close_active(tx: AsyncSession, user_id: str, topic: str, reason: Reason, now: datetime) -> None:
    """Close the active conversation of a (user, topic), if there is one, for a successor; the user has to be locked."""
    done = await tx.execute(
        sa.update(Conversation)
        .where(Conversation.user_id == user_id, Conversation.topic == topic, Conversation.is_active)
        .values(is_active=False, closed_at=now, closed_reason=reason.value, sweep_at=None)
    )
    metering.closed(tx, reason, done)


def cap(settings: Settings, conversation: Conversation | None = None) -> int:
    """How many messages a conversation may have: as many as its template says, else the installation."""
    own = conversation.max_messages if conversation is not None else None
    return settings.max_conversation_messages if own is None else own


def sweep_rules(settings: Settings, conversation: Conversation | None = None) -> SweepRules:
    """The sweep's rules of a conversation, else of this installation."""
    return SweepRules(cap(settings, conversation), settings.idle_summary_after)


def _of(user_id: str, topic: str) -> sa.Select[Conversation]:
    return (
        sa.select(Conversation).options(WITH_SEED).where(Conversation.user_id == user_id, Conversation.topic == topic)
    )
