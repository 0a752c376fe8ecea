"""A conversation whose seed is still owed: it travels with the first turn, before the message, in the same request.

`owed_items` of a conversation are what OpenAI does not hold yet. OpenAI keeps what a response was asked and what it
answered together or not at all, so a conversation that wants its seed holds nothing, and one that holds anything has
it. From this follows who may do what:

- A turn that has opened a conversation, with nobody before it in the line, sends the seed with its request.
- Any other turn, and one that met a lock, first looks whether the conversation holds anything, and then sends its
  message alone. So the seed goes again after a failure, and not after an answer that nobody heard.
- The mark is taken off in the transaction that keeps the first reply.
- Whoever asks OpenAI himself is not handed such a conversation. He waits for the turn that is on its way with the seed;
  without one the conversation is given up like one that OpenAI has lost, and the opening protocol makes the next, which
  is seeded before anybody gets it. So nothing is ever put into a conversation by two.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import database_time
from convo_service.db.models import Conversation, Message, Seed, Turn
from convo_service.domain.window import Reason
from convo_service.services import messages, turn_queue, users, windows


def settle(conversation: Conversation, *, refused: bool) -> list[sa.Delete]:
    """Nothing is owed once there is a reply; when OpenAI refused the seed, the conversation started without.

    Returns what is to be carried out beside the conversation's own changes.
    """
    if conversation.owed_items is None:
        return []
    conversation.owed_items = None
    if not refused:
        return []
    conversation.start_tokens = 0
    sa.orm.attributes.set_committed_value(conversation, "seed", None)
    return [sa.delete(Seed).where(Seed.user_id == conversation.user_id, Seed.conversation_id == conversation.id)]


async def hand_out(
    tx: AsyncSession, conversation: Conversation, message: Message | None, now: datetime
) -> Conversation | None:
    """The conversation as it is now, its seed owed as long as a turn is on its way with it; None: it is given up."""
    await users.lock(tx, conversation.user_id)
    current = await windows.get(tx, conversation.user_id, conversation.id)
    if current.owed_items is None or await _is_awaited(tx, current):
        return current
    await give_up(tx, current, message, now)
    return None


async def give_up(tx: AsyncSession, lost: Conversation, message: Message | None, now: datetime) -> None:
    """Close a conversation of which nobody can say what it holds, and let a message of it find the next one."""
    await users.lock(tx, lost.user_id)
    await windows.close(tx, lost, Reason.LOST_UPSTREAM, now, sweep_at=None)
    if message is None:
        return
    current = await tx.get_one(Message, (message.user_id, message.id))
    if current.conversation_id is not None:
        messages.leave(current, await windows.get(tx, lost.user_id, current.conversation_id))


async def _is_awaited(tx: AsyncSession, conversation: Conversation) -> bool:
    """Whether a turn that is alive has its message in the conversation."""
    asking = (
        sa.select(sa.literal(1))
        .join_from(Turn, Message, sa.and_(Message.user_id == Turn.user_id, Message.id == Turn.message_id))
        .where(
            Turn.user_id == conversation.user_id,
            turn_queue.OPEN,
            Turn.lease_until > database_time(),
            Message.answered_conversation_id == conversation.id,
        )
    )
    return bool(await tx.scalar(sa.select(asking.exists())))
