"""Pauses: a person takes a user's talk over, and the bot is silent until the time is over, or somebody says so.

Whoever is paused, or was and has talk that no model was told of, takes the long way (`User.rollout` names no rollout),
so the quick one has nothing to ask. What is said in a pause is marked as `missed`. The first turn after it brings it to
OpenAI in the request of its message, behind a constant that says what it is; the marks are taken off in the transaction
that keeps the reply.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, User
from convo_service.services import users


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that is going on, or one that is over while its talk is still to be told."""

    until: datetime
    is_over: bool


async def begin(tx: AsyncSession, user_id: str, until: datetime) -> User:
    """Silence the bot for a user until then, whatever was said about that before. Raises UserNotFound."""
    user = await users.lock(tx, user_id)
    user.paused_until, user.rollout = until, ""
    return user


async def end(tx: AsyncSession, user_id: str, now: datetime) -> User:
    """Let the bot answer again; one that does so already stays as it is. Raises UserNotFound."""
    user = await users.lock(tx, user_id)
    if is_paused(user, now):
        user.paused_until = now
    return user


def is_paused(user: User, now: datetime) -> bool:
    """Whether a person answers her at this moment, by the wall clock."""
    return user.paused_until is not None and now < user.paused_until


async def judge(tx: AsyncSession, user: User, now: datetime) -> Pause | None:
    """What a message of a user, who is locked, has to know; a pause of which nothing is to be told is forgotten."""
    if user.paused_until is None:
        return None
    if is_paused(user, now):
        return Pause(user.paused_until, is_over=False)
    if await _is_any_missed(tx, user.id):
        return Pause(user.paused_until, is_over=True)
    user.paused_until = None
    return None


async def judge_anew(tx: AsyncSession, user_id: str, now: datetime) -> Pause | None:
    """The same for a turn that has waited since; its user is locked."""
    return await judge(tx, await users.get(tx, user_id), now)


def told(user_id: str, conversation_id: str, pause: Pause) -> sa.Update:
    """Take the marks off what was said before a pause ended; one that began since keeps its own."""
    mine = sa.update(Message).where(Message.user_id == user_id, Message.conversation_id == conversation_id)
    return mine.where(Message.missed, Message.received_at <= pause.until).values(missed=False)


def miss(message: Message) -> sa.Update:
    """Mark a message that no model is asked about."""
    mine = (Message.user_id == message.user_id, Message.id == message.id)
    return sa.update(Message).where(*mine).values(missed=True)


async def _is_any_missed(tx: AsyncSession, user_id: str) -> bool:
    """Whether a conversation that goes on has such a message; of one that was closed the next seed tells."""
    active = sa.select(Conversation.id).where(Conversation.user_id == user_id, Conversation.is_active)
    missed = sa.select(sa.literal(1)).where(
        Message.user_id == user_id, Message.missed, Message.conversation_id.in_(active)
    )
    return bool(await tx.scalar(sa.select(missed.exists())))
