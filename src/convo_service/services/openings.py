"""The opening protocol: a conversation at OpenAI is made once, in steps that survive being cut anywhere.

T1 claim (here) -> S2 seed -> S3 create, empty -> T3 remember its id -> S4 seed it, once -> T4 finish. An id of the
reserve takes the place of S3, and a turn that sends the seed along that of S4. No transaction is open during S2 to S4.
Every write names the attempt, so that a process that lost its lease changes nothing. The old conversation stays active
until T4.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import database_time
from convo_service.db.models import Conversation, Message, Opening, RemoteGarbage, RemoteId, Seed, TemplateVersion, User
from convo_service.db.statements import insert_ignore
from convo_service.domain.baseline import item_tokens
from convo_service.domain.catalog import NO_TEMPLATE, Chosen
from convo_service.domain.ids import new_id
from convo_service.domain.record import PREAMBLE
from convo_service.domain.sweep import first_look
from convo_service.domain.window import Reason
from convo_service.errors import UserNotFound
from convo_service.services import messages, templates, users, windows
from convo_service.settings import Settings

LEASE_SECONDS = 12.0  # the remote calls and our transactions, plus a quarter
GARBAGE_REST_SECONDS = 60.0  # nobody who still holds the id is at work any more


class FenceLost(Exception):
    """Another request has taken this opening over; nothing that we know of it counts any more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be opened, and why."""

    topic: str
    reason: Reason
    identity: str
    opened_at: datetime  # event time
    template: Chosen = NO_TEMPLATE
    message_id: str | None = None
    forget: bool = False
    seed_message: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed opening: until the lease is over it is ours alone."""

    id: str
    user_id: str
    plan: Plan
    parent_id: str | None
    seed: dict[str, Any] | None  # made by an earlier attempt
    may_seed: bool = True  # False: OpenAI refused the seed of an earlier attempt, and would again


@dataclass(frozen=True, slots=True)
class Finish:
    """How an opening is finished."""

    settings: Settings
    now: datetime  # the wall clock
    answers: bool  # whoever finishes carries the opening's own message, which has its answer with this
    seed: dict[str, Any] | None
    owed: list[dict[str, Any]]  # items that the conversation does not hold yet, and its first turn sends along


async def pending(tx: AsyncSession, user_id: str, topic: str) -> Opening | None:
    """The opening of a (user, topic) that is under way or owed."""
    return await tx.get(Opening, (user_id, topic))


async def is_busy(tx: AsyncSession, user_id: str, topic: str) -> bool:
    """Whether somebody is at work on the opening at this moment."""
    found = sa.select(Opening.lease_until > database_time()).where(Opening.user_id == user_id, Opening.topic == topic)
    return bool(await tx.scalar(found))


@dataclass(frozen=True, slots=True)
class Opened:
    """What an opening came to: the conversation, and the message that it was made for."""

    conversation: Conversation
    message: Message | None


async def claim(
    tx: AsyncSession, user: User, plan: Plan, parent_id: str | None, opening: Opening | None
) -> Attempt | None:
    """T1: reserve the opening, or take over one whose lease is over; None while somebody else works on it.

    `opening` is the pending one. One that waits for a message of its own keeps its plan when it is taken over: it was
    promised first.
    """
    if opening is None:
        opening = Opening(
            user_id=user.id,
            topic=plan.topic,
            attempt_id=new_id("att"),
            lease_until=database_time() + LEASE_SECONDS,
            state="reserving",
            reason=plan.reason,
            identity=plan.identity,
            opened_at=plan.opened_at,
        )
        tx.add(opening)
        _adopt(opening, plan, parent_id)
    else:
        now = float(await tx.scalar(sa.select(database_time())) or 0)
        if opening.lease_until > now:
            return None
        await _take_over(tx, opening, now)
        if not await _waits_for_a_message(tx, opening):
            _adopt(opening, plan, parent_id)
    await tx.flush()
    return _attempt(opening)


async def claim_owed(tx: AsyncSession, user: User, topic: str) -> Attempt | None:
    """Take over an opening that nobody works on, to carry it through without a message of one's own."""
    opening = await pending(tx, user.id, topic)
    now = float(await tx.scalar(sa.select(database_time())) or 0)
    if opening is None or opening.lease_until > now:
        return None
    await _take_over(tx, opening, now)
    if not await _waits_for_a_message(tx, opening):
        latest = await windows.current_or_last(tx, user.id, topic)
        opening.parent_conversation_id = latest.id if latest is not None else None
        opening.seed = None  # an earlier one does not know what was said since
    await tx.flush()
    return _attempt(opening)


async def _waits_for_a_message(tx: AsyncSession, opening: Opening) -> bool:
    """Whether the message that the opening was made for is in no conversation yet."""
    if opening.message_id is None:
        return False
    message = await tx.get_one(Message, (opening.user_id, opening.message_id))
    return message.conversation_id is None


def _adopt(opening: Opening, plan: Plan, parent_id: str | None) -> None:
    opening.reason = plan.reason
    opening.identity = plan.identity
    opening.opened_at = plan.opened_at
    opening.template, opening.template_version = plan.template
    opening.message_id = plan.message_id
    opening.forget = plan.forget
    opening.seed_message = plan.seed_message
    opening.seed = None  # an earlier one does not know what was said since
    opening.parent_conversation_id = parent_id


async def _take_over(tx: AsyncSession, opening: Opening, now: float) -> None:
    """A remote conversation of unknown content is never used: it goes to the garbage, and a new one is made."""
    if opening.remote_id is not None:
        await discard(tx, opening.remote_id, "taken_over", now, of_user=opening.user_id)
    opening.attempt_id = new_id("att")
    opening.lease_until = now + LEASE_SECONDS
    opening.remote_id = None
    if opening.state != "refused":
        opening.state = "reserving"


def _attempt(opening: Opening) -> Attempt:
    plan = Plan(
        topic=opening.topic,
        reason=Reason(opening.reason),
        identity=opening.identity,
        opened_at=opening.opened_at,
        template=Chosen(opening.template, opening.template_version),
        message_id=opening.message_id,
        forget=opening.forget,
        seed_message=opening.seed_message,
    )
    return Attempt(
        opening.attempt_id,
        opening.user_id,
        plan,
        opening.parent_conversation_id,
        opening.seed,
        may_seed=opening.state != "refused",
    )


async def discard(
    tx: AsyncSession, remote_id: str, why: str, now: float | None = None, *, of_user: str | None = None
) -> None:
    """Remember a conversation, or a stored response, at OpenAI that nothing uses, so that it can be deleted there.

    `of_user`: whose seed may be in it, when no other row says so.
    """
    if now is None:
        now = float(await tx.scalar(sa.select(database_time())) or 0)
    row = {"remote_id": remote_id, "why": why, "not_before": now + GARBAGE_REST_SECONDS, "tries": 0, "of_user": of_user}
    await insert_ignore(tx, RemoteGarbage, row)


async def release(tx: AsyncSession, opening: Opening, *, answered: bool = False, refused: bool = False) -> None:
    """After a failure that we saw: free the lease at once. The opening stays, because the rollover is still owed.

    `answered`: its message was served with the old conversation, so it waits for no message of its own any more.
    `refused`: OpenAI did not take the seed, so the next attempt goes without.
    """
    if opening.remote_id is not None:
        await discard(tx, opening.remote_id, "failed", of_user=opening.user_id)
        if refused:
            opening.state = "refused"
            opening.seed = None
    if answered:
        opening.message_id = None
    opening.remote_id = None
    opening.lease_until = 0


async def held(tx: AsyncSession, attempt: Attempt) -> Opening | None:
    """The opening while it is ours, with the user locked; None when somebody has taken it over, or erased it."""
    try:
        await users.lock(tx, attempt.user_id)
    except UserNotFound:
        return None
    opening = await pending(tx, attempt.user_id, attempt.plan.topic)
    return opening if opening is not None and opening.attempt_id == attempt.id else None


async def fenced(tx: AsyncSession, attempt: Attempt) -> Opening:
    """The same; raises FenceLost."""
    opening = await held(tx, attempt)
    if opening is None:
        raise FenceLost
    return opening


async def take_id(tx: AsyncSession, remote_id: str) -> bool:
    """Take an id that OpenAI gives as new; False when it is one that we know, which is no answer."""
    used = await tx.scalar(sa.select(Conversation.id).where(Conversation.id == remote_id).limit(1))
    return used is None and await insert_ignore(tx, RemoteId, {"remote_id": remote_id})


async def fenced_or_discard(tx: AsyncSession, attempt: Attempt, remote_id: str) -> Opening | None:
    """The opening while it is ours; else the remote conversation is garbage, in the same transaction."""
    opening = await held(tx, attempt)
    if opening is None:
        await discard(tx, remote_id, "fence_lost")
    return opening


async def finish(tx: AsyncSession, opening: Opening, remote_id: str, how: Finish) -> Opened:
    """T4: close the old, insert the new, link the message, delete the opening, which is held."""
    template = await templates.at(tx, opening.template, opening.template_version)
    window = _window(template, how.settings)
    await windows.close_active(tx, opening.user_id, opening.topic, Reason(opening.reason), how.now)
    count = sa.update(User).where(User.id == opening.user_id).values(conversation_count=User.conversation_count + 1)
    user = (await tx.execute(count.returning(User.id, User.conversation_count, User.cohort))).one()
    conversation = Conversation(
        user_id=user.id,
        id=remote_id,
        number=user.conversation_count,
        topic=opening.topic,
        template=opening.template,
        template_version=opening.template_version,
        max_messages=template.max_messages if template is not None else None,
        cohort=user.cohort,
        identity=opening.identity,
        created_at=opening.opened_at,
        last_message_at=opening.opened_at,
        last_inbound_at=opening.opened_at,
        inbound_received_at=how.now,
        created_reason=opening.reason,
        parent_conversation_id=opening.parent_conversation_id,
        timeout_seconds=window.total_seconds(),
        sweep_at=first_look(windows.sweep_rules(how.settings), window, how.now),
        start_tokens=_size(how.seed),
        owed_items=how.owed or None,
    )
    tx.add(conversation)
    await tx.flush()
    _keep_seed(tx, how.seed, conversation)
    message = None
    if opening.message_id is not None:
        message = await tx.get_one(Message, (user.id, opening.message_id))
        if message.conversation_id is None:
            rules = windows.sweep_rules(how.settings, conversation)
            messages.join(message, conversation, moves_window=True, rules=rules)
        if how.answers:
            message.answered_conversation_id = conversation.id
    await tx.delete(opening)
    return Opened(conversation, message)


def _window(template: TemplateVersion | None, settings: Settings) -> timedelta:
    """The window that a conversation is opened with."""
    hours = template.timeout_hours if template is not None else None
    return settings.window if hours is None else timedelta(hours=hours)


def _size(seed: dict[str, Any] | None) -> int:
    """What a conversation starts with, in estimated tokens."""
    if seed is None:
        return 0
    carried = [str(one["content"]) for one in seed["carried"]]
    return sum(item_tokens(text) for text in ([PREAMBLE, seed["text"], *carried] if seed["text"] else carried))


def _keep_seed(tx: AsyncSession, seed: dict[str, Any] | None, conversation: Conversation) -> None:
    kept = None
    if seed is not None and seed["text"]:
        columns = ("text", "generator", "tokens", "entries", "from_message_id", "to_message_id", "covered_count")
        kept = Seed(
            user_id=conversation.user_id,
            conversation_id=conversation.id,
            **{column: seed[column] for column in columns},
        )
        tx.add(kept)
    sa.orm.attributes.set_committed_value(conversation, "seed", kept)
