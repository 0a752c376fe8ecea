"""The rows of an erasure: the user is locked out in one transaction, and then emptied in short ones.

From the first transaction on nobody finds the user by an identity: whoever writes is somebody new. What is left of the
old one has an `erasure_id`, and is not there for anybody. Each further transaction takes so many rows and counts them,
so that one that is cut off is made again; the last one takes what is left, with the user, and hands what lies at OpenAI
to the garbage.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db import set_aside
from convo_service.db.engine import database_time
from convo_service.db.models import (
    Base,
    Conversation,
    Erasure,
    Message,
    ModelCall,
    Opening,
    RemoteGarbage,
    RemoteId,
    Turn,
    User,
    UserIdentity,
)
from convo_service.db.statements import replace, table_of
from convo_service.domain.ids import new_id
from convo_service.services import tombstones, users
from convo_service.services.tombstones import Marker

AT_ONCE = 1000  # rows in a transaction: a running service hardly waits for it
STORED = timedelta(days=31)  # OpenAI keeps a response for thirty
# The tables that grow with the talk: a turn before the message that it answers.
GROWING: Sequence[type[Turn | ModelCall | Message]] = (Turn, ModelCall, Message)


@dataclass(slots=True)
class Gone:
    """What was deleted at OpenAI."""

    remote_conversations: int = 0
    remote_items: int = 0
    stored_responses: int = 0

    def one_item(self) -> None:
        """Count an item."""
        self.remote_items += 1


async def pending(tx: AsyncSession, user_id: str) -> Erasure | None:
    """The erasure of a user that is under way."""
    found: Erasure | None = await tx.scalar(sa.select(Erasure).where(Erasure.user_id == user_id).limit(1))
    return found


async def lock_out(
    tx: AsyncSession, user_id: str, phones: Sequence[str], marker: Marker, now: datetime, *, rest: float
) -> Erasure:
    """Take a user's identities away and leave tombstones; raises UserNotFound.

    `phones`: how the bot wrote the numbers. `rest`: seconds for which somebody may still be at work at OpenAI.
    """
    user = await users.lock(tx, user_id)
    await tombstones.raise_all(tx, user_id, marker, now)
    erasure = Erasure(id=new_id("erasure"), user_id=user_id, requested_at=now)
    rows = Counter(await tx.run_sync(lambda session: set_aside.erase(session.connection(), phones)))
    opened = await _taken(tx, sa.delete(Opening).where(Opening.user_id == user_id).returning(Opening.remote_id))
    await _hand_over(tx, erasure.id, [one for one in opened if one is not None], rest)
    rows["openings"] = len(opened)
    left = sa.update(RemoteGarbage).where(RemoteGarbage.of_user == user_id)  # of what was never used
    await tx.execute(left.values(erasure_id=erasure.id, of_user=None))
    named = sa.delete(UserIdentity).where(UserIdentity.user_id == user_id).returning(UserIdentity.value)
    rows["identities"] = len(await _taken(tx, named))
    await tx.execute(sa.update(Conversation).where(Conversation.user_id == user_id).values(sweep_at=None))
    user.erasure_id, user.rollout = erasure.id, ""
    erasure.rows = dict(+rows)
    tx.add(erasure)
    await tx.flush()
    return erasure


async def erase_some(tx: AsyncSession, erasure_id: str, now: datetime, *, rest: float, most: int = AT_ONCE) -> bool:
    """Erase about so many rows at most, and say whether any may be left."""
    erasure = await tx.get_one(Erasure, erasure_id, with_for_update=True)
    if erasure.user_id is None:
        return False
    rows = Counter(erasure.rows)
    is_more = False
    for model in GROWING:
        count = await _erase_growing(tx, model, erasure, now, rest, most)
        rows[model.__tablename__] += count
        if is_more := count == most:
            break
    if not is_more:
        rows.update(await _erase_rest(tx, erasure.id, erasure.user_id, rest))
        erasure.user_id = None
    erasure.rows = dict(+rows)
    return is_more


async def _erase_growing(
    tx: AsyncSession, model: type[Turn | ModelCall | Message], erasure: Erasure, now: datetime, rest: float, most: int
) -> int:
    some = sa.select(model.id).where(model.user_id == erasure.user_id).limit(most)
    gone = sa.delete(model).where(model.user_id == erasure.user_id, model.id.in_(some))
    if model is not ModelCall:
        return len(await _taken(tx, gone.returning(model.id)))
    calls = (await tx.execute(gone.returning(ModelCall.response_id, ModelCall.called_at))).all()
    stored = [call.response_id for call in calls if call.response_id is not None and call.called_at > now - STORED]
    await _hand_over(tx, erasure.id, stored, rest)
    return len(calls)


async def _erase_rest(tx: AsyncSession, erasure_id: str, user_id: str, rest: float) -> Counter[str]:
    """Whatever table has rows of the user, now that few are left, and the user."""
    ids = await _taken(tx, sa.select(Conversation.id).where(Conversation.user_id == user_id))
    await _hand_over(tx, erasure_id, ids, rest)
    rows: Counter[str] = Counter()
    for table in reversed(Base.metadata.sorted_tables):
        if "user_id" in table.c and table is not table_of(Erasure):
            rows[table.name] = await _count_deleted(tx, sa.delete(table).where(table.c.user_id == user_id))
    rows["users"] = await _count_deleted(tx, sa.delete(User).where(User.id == user_id))
    return rows


async def _hand_over(tx: AsyncSession, erasure_id: str, remote_ids: Sequence[str], rest: float) -> None:
    """Have conversations and responses deleted at OpenAI, and counted with the erasure."""
    later = float(await tx.scalar(sa.select(database_time())) or 0) + rest
    rows: list[dict[str, Any]] = [
        {"remote_id": one, "why": "erased", "not_before": later, "tries": 0, "erasure_id": erasure_id}
        for one in dict.fromkeys(remote_ids)
    ]
    await replace(tx, RemoteGarbage, "remote_id", rows)


async def count(tx: AsyncSession, erasure_id: str | None, remote_id: str, gone: Gone) -> None:
    """Write into a receipt what is gone at OpenAI, if there is one to be written."""
    if erasure_id is None:
        return
    await tx.execute(
        sa.update(Erasure)
        .where(Erasure.id == erasure_id)
        .values(
            remote_conversations=Erasure.remote_conversations + gone.remote_conversations,
            remote_items=Erasure.remote_items + gone.remote_items,
            stored_responses=Erasure.stored_responses + gone.stored_responses,
        )
    )
    if gone.remote_conversations:
        await tx.execute(sa.delete(RemoteId).where(RemoteId.remote_id == remote_id))


async def complete(tx: AsyncSession, now: datetime) -> int:
    """Complete the receipts of erasures that have nothing left to do, and say how many."""
    left = sa.exists().where(RemoteGarbage.erasure_id == Erasure.id)
    done = sa.update(Erasure).where(
        Erasure.completed_at.is_(None), Erasure.user_id.is_(None), Erasure.scrubbed, sa.not_(left)
    )
    return len((await tx.scalars(done.values(completed_at=now).returning(Erasure.id))).all())


async def _taken(tx: AsyncSession, statement: Any) -> Sequence[Any]:
    return (await tx.scalars(statement)).all()


async def _count_deleted(tx: AsyncSession, statement: sa.Delete) -> int:
    return int((await tx.execute(statement)).rowcount)  # type: ignore[attr-defined]
