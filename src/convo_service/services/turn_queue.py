"""The line of a user's turns: each has a number and a lease, and the first that is alive is in progress."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import database_time
from convo_service.db.models import Message, Turn, User
from convo_service.domain.ids import new_id
from convo_service.errors import TurnInProgress, TurnInterrupted
from convo_service.services import users

LEASE_SECONDS = 12.0  # that whoever works on a turn is believed to be alive; he says so again before they are over
ABANDONED_SECONDS = 60.0  # after the end of a lease, when nobody has come back to the turn
OPEN = Turn.status.in_(("waiting", "in_progress"))


class TurnLost(Exception):
    """Another request has taken this turn over; nothing that we know of it counts any more."""


async def enter(tx: AsyncSession, user: User, message: Message, attempt_id: str, *, now: datetime) -> Turn:
    """The turn of a message: completed, or ours, and in progress when nobody is before it.

    The user is locked. Whoever comes back to a turn that failed, or whose process died, goes to the end of the line.
    Raises TurnInProgress while another request has it.
    """
    turn = await tx.scalar(sa.select(Turn).where(Turn.user_id == user.id, Turn.message_id == message.id))
    if turn is not None and (turn.status == "completed" or turn.attempt_id == attempt_id):
        return turn
    time = await _database_seconds(tx)
    if turn is None:
        turn = Turn(
            user_id=user.id,
            id=new_id("turn"),
            number=0,
            message_id=message.id,
            status="failed",
            attempt_id=attempt_id,
            lease_until=0,
            created_at=now,
        )
        tx.add(turn)
    elif turn.status in ("waiting", "in_progress"):
        if turn.lease_until > time:
            raise TurnInProgress(retry_after=1)
        turn.uncertain |= turn.status == "in_progress"
    user.turn_count += 1
    turn.number, turn.attempt_id, turn.error_code = user.turn_count, attempt_id, None
    await _place(tx, turn, time)
    return turn


async def advance(tx: AsyncSession, turn: Turn) -> Turn:
    """Take the turn when it is its time, else say that it is still waited for. Raises TurnLost."""
    await users.lock(tx, turn.user_id)
    current = await fenced(tx, turn)
    await _place(tx, current, await _database_seconds(tx))
    return current


async def stay_alive(tx: AsyncSession, turn: Turn) -> None:
    """Renew the lease, while the turn is ours."""
    mine = sa.update(Turn).where(Turn.user_id == turn.user_id, Turn.id == turn.id, OPEN)
    await tx.execute(mine.where(Turn.attempt_id == turn.attempt_id).values(lease_until=database_time() + LEASE_SECONDS))


async def is_first(tx: AsyncSession, turn: Turn) -> bool:
    """Whether nobody alive is before it."""
    return await _is_first(tx, turn)


async def fenced(tx: AsyncSession, turn: Turn) -> Turn:
    """The turn as it is now, while it is ours; the user has to be locked. Raises TurnLost."""
    current = await tx.get(Turn, (turn.user_id, turn.id), populate_existing=True)
    if current is None or current.attempt_id != turn.attempt_id or current.status not in ("waiting", "in_progress"):
        raise TurnLost
    return current


async def give_up_abandoned(tx: AsyncSession, now: datetime) -> int:
    """Say of turns whose process ended that they have failed; whoever repeats the message takes them up again."""
    abandoned = sa.update(Turn).where(OPEN, Turn.lease_until < database_time() - ABANDONED_SECONDS)
    done = await tx.execute(
        abandoned.values(
            uncertain=sa.or_(Turn.uncertain, Turn.status == "in_progress"),
            status="failed",
            error_code=TurnInterrupted.code,
            finished_at=now,
        ).returning(Turn.id)
    )
    return len(done.all())


async def _place(tx: AsyncSession, turn: Turn, time: float) -> None:
    turn.lease_until = time + LEASE_SECONDS
    await tx.flush()
    turn.status = "in_progress" if await _is_first(tx, turn) else "waiting"
    await tx.flush()


async def _is_first(tx: AsyncSession, turn: Turn) -> bool:
    before = sa.select(sa.literal(1)).where(
        Turn.user_id == turn.user_id, OPEN, Turn.number < turn.number, Turn.lease_until > database_time()
    )
    return not await tx.scalar(sa.select(before.exists()))


async def _database_seconds(tx: AsyncSession) -> float:
    return float(await tx.scalar(sa.select(database_time())) or 0)
