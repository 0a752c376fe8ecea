"""The records of turns: what is written when a reply has come, and how a turn is read."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, ModelCall, Turn, User
from convo_service.db.prepared import Driver, Prepared
from convo_service.db.records import insert_of, labelled, record, updates_of, write_unless_moved
from convo_service.domain.text import tokens
from convo_service.domain.usage import Prices
from convo_service.errors import TurnNotFound
from convo_service.llm.replies import Reply
from convo_service.services import ledger, messages, metering, owing, pauses, turn_queue, users, windows
from convo_service.services.arrivals import Answer
from convo_service.services.messages import NewMessage
from convo_service.services.turn_queue import TurnLost
from convo_service.settings import Settings


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn with all that belongs to it."""

    turn: Turn
    message: Message
    conversation: Conversation | None = None
    reply: Message | None = None
    call: ModelCall | None = None
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of asking: the model's reply, or None when the fixed one to a command has to do."""

    answer: Answer
    reply: Reply | None
    model: str
    instructions: str | None
    prices: Prices | None
    latency_ms: int
    at: datetime

    @property
    def text(self) -> str | None:
        """What the bot says; None when it says nothing."""
        return self.reply.said if self.reply is not None else self.answer.reply


def complete(driver: Driver, turn: Turn, answered: Answered, settings: Settings) -> TurnView:
    """Keep the reply and what it used, while the turn is ours: a piece of work for the quick lane. Raises TurnLost."""
    while (done := _completed(driver, turn, answered, settings)) is None:
        pass  # a message of this user came in just now
    return done


def _completed(driver: Driver, turn: Turn, answered: Answered, settings: Settings) -> TurnView | None:
    """The turn with its reply; None when somebody has changed the user's rows since they were read."""
    given = {"p_turn": turn.id, "p_attempt": turn.attempt_id, "p_user": turn.user_id}
    row = driver.fetch(_ours(driver.dialect), {**given, "p_conversation": answered.answer.conversation.id})
    if row is None:
        raise TurnLost
    user, conversation, turn = record(User, row), record(Conversation, row), record(Turn, row)
    sa.orm.attributes.set_committed_value(conversation, "seed", answered.answer.conversation.seed)
    refused = answered.reply is not None and answered.reply.start_refused
    settled: list[sa.Update | sa.Delete] = (
        [*owing.settle(conversation, refused=refused)] if answered.reply is not None else []
    )
    settled += _of_pause(answered)
    call = _entry(user, conversation, turn, answered)
    said = _said(user, conversation, answered, settings)
    _mark_completed(turn, conversation, said, answered)
    new = [insert_of(one) for one in (said, call) if one is not None]
    if not write_unless_moved(driver, user, row, [*updates_of((conversation, turn), row), *new], settled):
        return None
    assert answered.answer.message is not None  # noqa: S101 - no turn without one
    return TurnView(turn, answered.answer.message, conversation, said, call)


@lru_cache
def _ours(dialect: sa.Dialect) -> Prepared:
    """A turn with its user and conversation; no row when the turn is not ours any more."""
    mine = (Turn.user_id == sa.bindparam("p_user"), Turn.id == sa.bindparam("p_turn"), turn_queue.OPEN)
    ours = (
        sa.select(*labelled(User), *labelled(Conversation, with_json=True), *labelled(Turn))
        .join_from(User, Turn, Turn.user_id == User.id)
        .join(Conversation, Conversation.user_id == User.id)
        .where(*mine, Turn.attempt_id == sa.bindparam("p_attempt"), Conversation.id == sa.bindparam("p_conversation"))
        .where(User.erasure_id.is_(None))
    )
    return Prepared(ours, dialect)


def _of_pause(answered: Answered) -> list[sa.Update]:
    """A message in a pause is still to be told to the model; with the first reply after it all is told."""
    answer, pause = answered.answer, answered.answer.pause
    if pause is None or answer.message is None:
        return []
    if answer.is_silent:
        return [pauses.miss(answer.message)]
    mine = pauses.told(answer.conversation.user_id, answer.conversation.id, pause)
    return [mine] if answered.reply is not None else []


def _mark_completed(turn: Turn, conversation: Conversation, said: Message | None, answered: Answered) -> None:
    turn.status, turn.uncertain, turn.error_code = "completed", False, None
    turn.conversation_id, turn.created = conversation.id, turn.created or answered.answer.created
    turn.paused = answered.answer.is_silent
    turn.reply_message_id = said.id if said is not None else None
    turn.reply_item_id = answered.reply.item_id if answered.reply is not None else None
    turn.finished_at, turn.latency_ms = answered.at, answered.latency_ms


async def charge(tx: AsyncSession, turn: Turn, answered: Answered) -> None:
    """Write a call that gave no reply into the ledger, by its attempt: a turn may have several."""
    user = await users.lock(tx, turn.user_id)
    conversation = await windows.get(tx, user.id, answered.answer.conversation.id)
    call = ledger.entry(user, conversation, _call(answered, "unanswered", turn.attempt_id))
    tx.add(call)
    metering.entered(tx, call)


def _entry(user: User, conversation: Conversation, turn: Turn, answered: Answered) -> ModelCall | None:
    """The call for the ledger, before the reply itself counts as talk."""
    if answered.reply is None:
        return None
    made, used = _call(answered, "reply", turn.id), answered.reply.usage
    row = ledger.entry(user, conversation, made)
    said, told = used.said_tokens if used else 0, tokens(answered.instructions or "")
    ledger.compare(user, conversation, row, made, said=said, instructions=told)
    return row


def _call(answered: Answered, kind: Literal["reply", "unanswered"], subject_id: str) -> ledger.Call:
    first = answered.reply.first_token_seconds if answered.reply is not None else None
    return ledger.Call(
        kind=kind,
        subject_id=subject_id,
        model=answered.model,
        usage=answered.reply.usage if answered.reply is not None else None,
        called_at=answered.at,
        prices=answered.prices,
        latency_ms=answered.latency_ms,
        first_token_ms=None if first is None else round(first * 1000),
        response_id=answered.reply.response_id if answered.reply is not None else None,
    )


def _said(user: User, conversation: Conversation, answered: Answered, settings: Settings) -> Message | None:
    """What the bot said, counted; the fixed reply to a command is no talk."""
    if answered.text is None:
        return None
    asked = answered.answer.message
    at = max(answered.at, asked.sent_at) if asked is not None else answered.at  # its clock may be ahead of ours
    new = NewMessage("outbound", answered.text, sent_at=at, is_notice=answered.reply is None)
    said = messages.counted(user, new, topic=conversation.topic, now=answered.at, commands=())
    said.late = not conversation.is_active
    said.answered_conversation_id = conversation.id
    messages.join(said, conversation, moves_window=False, rules=windows.sweep_rules(settings, conversation))
    return said


async def view(tx: AsyncSession, turn_id: str, *, duplicate: bool = False) -> TurnView:
    """A turn with all that belongs to it; raises TurnNotFound."""
    there = (Turn.id == turn_id, ~users.is_erased(Turn.user_id))
    turn = await tx.scalar(sa.select(Turn).where(*there).limit(1))
    if turn is None:
        raise TurnNotFound
    message = await tx.get_one(Message, (turn.user_id, turn.message_id))
    conversation_id = turn.conversation_id or message.answered_conversation_id
    reply = await tx.get(Message, (turn.user_id, turn.reply_message_id)) if turn.reply_message_id else None
    call = await tx.scalar(
        sa.select(ModelCall).where(
            ModelCall.user_id == turn.user_id, ModelCall.kind == "reply", ModelCall.subject_id == turn.id
        )
    )
    conversation = await windows.get(tx, turn.user_id, conversation_id) if conversation_id else None
    return TurnView(turn, message, conversation, reply, call, duplicate)
