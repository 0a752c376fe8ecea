"""Messages: stored first, linked to their conversation later, changed by nobody but who wrote them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, ModelCall, User
from convo_service.domain.baseline import item_tokens
from convo_service.domain.commands import command_length
from convo_service.domain.digest import Said
from convo_service.domain.ids import new_id
from convo_service.domain.sweep import SweepRules, sooner
from convo_service.domain.usage import Prices
from convo_service.domain.window import CARRIED_AFTER_PAUSE, is_in_future
from convo_service.errors import MessageIdReused, SentAtInFuture
from convo_service.services import ledger, metering, pauses, tombstones, users, windows
from convo_service.services.ledger import Reported
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as it comes in; `sent_at` None means now."""

    direction: Literal["inbound", "outbound"]
    text: str
    external_id: str | None = None
    sent_at: datetime | None = None
    usage: Reported | None = None
    is_notice: bool = False  # our own answer to a command: shown in the history, and no talk
    names_topic: bool = False  # a command and the name of a topic: nothing of it is talk


def event_time(sent_at: datetime | None, now: datetime) -> datetime:
    """When it was said; raises SentAtInFuture."""
    if sent_at is not None and is_in_future(sent_at, now):
        raise SentAtInFuture
    return sent_at or now


async def known(tx: AsyncSession, user_id: str, new: NewMessage) -> Message | None:
    """The message that came with this id before; raises MessageIdReused when it said something else."""
    if new.external_id is None:
        return None
    message = await tx.scalar(
        sa.select(Message).where(Message.user_id == user_id, Message.external_id == new.external_id)
    )
    if message is not None and not _is_repeat(message, new):
        raise MessageIdReused
    return message


def _is_repeat(message: Message, new: NewMessage) -> bool:
    """Whether it is the same message; of one that was edited or revoked the first form may come once more."""
    return message.direction == new.direction and (message.is_revised or message.text == new.text)


def revoked(new: NewMessage) -> NewMessage:
    """What is left of a message that was taken back before it came."""
    return replace(new, text="")


def counted(user: User, new: NewMessage, *, topic: str, now: datetime, commands: Collection[str]) -> Message:
    """The row of a message that belongs to no conversation yet, counted with the user's."""
    at = event_time(new.sent_at, now)
    message = Message(
        user_id=user.id,
        id=new_id("msg"),
        topic=topic,
        direction=new.direction,
        text=new.text,
        command_length=_silent(new, commands),
        external_id=new.external_id,
        sent_at=at,
        received_at=now,
    )
    if message.said:
        user.message_count += 1
        user.talk_tokens += item_tokens(message.said)
    user.first_seen_at = min(user.first_seen_at, at)
    user.last_seen_at = max(user.last_seen_at, at)
    return message


def _silent(new: NewMessage, commands: Collection[str]) -> int:
    """How many leading characters belong to no talk."""
    if new.direction == "outbound":
        return len(new.text) if new.is_notice else 0
    return len(new.text) if new.names_topic else command_length(new.text, commands)


def join(message: Message, conversation: Conversation, *, moves_window: bool, rules: SweepRules) -> None:
    """Link a message to its conversation and count it; `moves_window` for what a user says in a current one."""
    message.conversation_id = conversation.id
    if message.said:
        conversation.message_count += 1
        conversation.talk_tokens += item_tokens(message.said)
        if conversation.is_active:
            conversation.sweep_at = sooner(
                conversation.sweep_at, conversation.message_count, rules, conversation.timeout, message.received_at
            )
        conversation.last_message_at = max(conversation.last_message_at, message.sent_at)
    if moves_window:
        conversation.last_inbound_at = message.sent_at
        conversation.inbound_received_at = message.received_at


def leave(message: Message, conversation: Conversation) -> None:
    """Take a message out of a conversation that never got to see it, so that it finds another."""
    message.conversation_id = message.answered_conversation_id = None
    if message.said:
        conversation.message_count -= 1
        conversation.talk_tokens -= item_tokens(message.said)


async def append(
    tx: AsyncSession,
    conversation_id: str,
    batch: Sequence[NewMessage],
    *,
    now: datetime,
    settings: Settings,
    prices: Mapping[str, Prices | None],
    marker: Marker,
) -> list[Message]:
    """Append what was said elsewhere, in order; an id that was seen before is returned as it stands.

    A closed conversation takes them too: late, so nothing is lost. `prices`: of the models that the batch names.
    """
    conversation = await windows.find(tx, conversation_id)
    user = await users.lock(tx, conversation.user_id)
    await tx.refresh(conversation)  # as it is now that nobody else can change it
    done: list[Message] = []
    for new in batch:
        message = await known(tx, user.id, new)
        if message is None:
            call = _report(user, conversation, new, prices, now) if new.usage is not None else None
            is_revoked = await tombstones.is_revoked(tx, user, new.external_id, marker, now)
            said = revoked(new) if is_revoked else new
            message = counted(user, said, topic=conversation.topic, now=now, commands=settings.reset_words)
            message.revoked_at = now if is_revoked else None
            message.missed = pauses.is_paused(user, now)
            tx.add(message)
            if call is not None:
                call.subject_id = message.id
                tx.add(call)
                metering.entered(tx, call)
            _settle(message, conversation, windows.sweep_rules(settings, conversation))
            await tx.flush()
        done.append(message)
    if any(new.direction == "outbound" for new in batch):
        await _answer_missed(tx, user, conversation, now)
    return done


async def _answer_missed(tx: AsyncSession, user: User, conversation: Conversation, now: datetime) -> None:
    """Who asks OpenAI himself was given what was said in a pause with each message until he has a reply."""
    pause = await pauses.judge(tx, user, now)
    if pause is not None and pause.is_over:
        await tx.execute(pauses.told(user.id, conversation.id, pause))


def _report(
    user: User, conversation: Conversation, new: NewMessage, prices: Mapping[str, Prices | None], now: datetime
) -> ModelCall:
    """What a gateway says, for the ledger, before its message counts as talk; whose it is comes later."""
    reported = new.usage
    assert reported is not None  # noqa: S101 - who calls has looked
    at = event_time(new.sent_at, now)
    made = ledger.Call(
        "reported", "", reported.model, reported.usage, at, prices.get(reported.model), reported.cost_usd
    )
    row = ledger.entry(user, conversation, made)
    ledger.compare(
        user,
        conversation,
        row,
        made,
        said=min(item_tokens(new.text), reported.usage.output_tokens),  # which may be thoughts, too
        instructions=None,
        told=reported.baseline_input_tokens,
    )
    return row


def _settle(message: Message, conversation: Conversation, rules: SweepRules) -> None:
    """A user's message moves the window when it is inside it; one that comes after its end does not revive it."""
    inbound = message.direction == "inbound"
    message.late = not conversation.is_active or (inbound and message.sent_at < conversation.last_inbound_at)
    message.answered_conversation_id = conversation.id
    ends = conversation.expires_at
    current = not message.late and (ends is None or message.sent_at < ends)
    join(message, conversation, moves_window=inbound and current and not message.is_command, rules=rules)


async def topic_at(tx: AsyncSession, user_id: str, at: datetime) -> str | None:
    """The topic of the last message of a user up to a time, of either side; None before the first."""
    before = sa.select(Message.topic).where(Message.user_id == user_id, Message.sent_at <= at)
    topic: str | None = await tx.scalar(before.order_by(Message.sent_at.desc(), Message.id.desc()).limit(1))
    return topic


async def by_ids(tx: AsyncSession, user_id: str, ids: Collection[str]) -> dict[str, Message]:
    """Messages of this very user; whoever is a stranger is not among them."""
    rows = await tx.scalars(sa.select(Message).where(Message.user_id == user_id, Message.id.in_(ids)))
    return {row.id: row for row in rows}


async def said_in(tx: AsyncSession, user_id: str, conversation_id: str, *, most: int) -> list[Said]:
    """The newest messages of a conversation, oldest first, without commands."""
    return await _said(tx, user_id, Message.conversation_id == conversation_id, most=most)


async def missed_in(tx: AsyncSession, conversation: Conversation, *, but: Message | None) -> list[Said]:
    """The newest that were said in a conversation while a person answered, oldest first, without one that is asked."""
    where = sa.and_(Message.conversation_id == conversation.id, Message.missed)
    if but is not None:
        where = sa.and_(where, Message.id != but.id)
    return await _said(tx, conversation.user_id, where, most=CARRIED_AFTER_PAUSE)


async def said_outside(tx: AsyncSession, user_id: str, *, most: int) -> list[Said]:
    """What an adopted bot's user said when the bot had no conversation for it; what arrives here has an external id."""
    imported = sa.and_(Message.conversation_id.is_(None), Message.external_id.is_(None))
    return await _said(tx, user_id, imported, most=most)


async def _said(tx: AsyncSession, user_id: str, where: sa.ColumnElement[bool], *, most: int) -> list[Said]:
    rows = await tx.scalars(
        sa.select(Message)
        .where(Message.user_id == user_id, where, sa.func.length(Message.text) > Message.command_length)
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(most)
    )
    said = [
        Said(row.id, "inbound" if row.direction == "inbound" else "outbound", row.said, row.sent_at) for row in rows
    ]
    return said[::-1]
