"""How large talk is, counted anew from the messages: for what came in past the service."""

from collections.abc import Collection

import sqlalchemy as sa

from convo_service.db.models import Conversation, Message, User
from convo_service.domain.baseline import ITEM_TOKENS
from convo_service.domain.text import CHARS_PER_TOKEN

AT_ONCE = 200  # users


def recount(connection: sa.Connection, user_ids: Collection[str]) -> None:
    """Set the sizes of these users' talk, and of their conversations, to what their messages say."""
    ids = sorted(user_ids)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        said = _size().where(Message.user_id == User.id)
        connection.execute(sa.update(User).where(User.id.in_(some)).values(talk_tokens=said.scalar_subquery()))
        here = _size().where(Message.user_id == Conversation.user_id, Message.conversation_id == Conversation.id)
        connection.execute(
            sa.update(Conversation).where(Conversation.user_id.in_(some)).values(talk_tokens=here.scalar_subquery())
        )


def _size() -> sa.Select[tuple[int]]:
    """The estimate of `item_tokens`, in the database."""
    length = sa.func.length(Message.text) - Message.command_length
    each = (length + (CHARS_PER_TOKEN - 1)) // CHARS_PER_TOKEN + ITEM_TOKENS
    return sa.select(sa.func.coalesce(sa.func.sum(each), 0)).where(length > 0)
