"""The line of a user's turns: each has a number and a lease, and the first that is alive is in progress."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import database_time
from convo_service.db.models import Message, Turn, User
from convo_service.domain.ids import new_id
from convo_service.errors import TurnInProgress
from convo_service.services import users

WAITING_SECONDS = 8.0  # that a waiting turn is believed to be alive; it says so again before they are over
OPEN = Turn.status.in_(("waiting", "in_progress"))


class TurnLost(Exception):
    """Another request has taken this turn over; nothing that we know of it counts any more."""


async def enter(
    tx: AsyncSession, user: User, message: Message, attempt_id: str, *, seconds: float, now: datetime
) -> Turn:
    """The turn of a message: completed, or ours, with a lease of `seconds` when nobody is before it.

    The user is locked. Whoever comes back to a turn that failed, or whose process died, goes to the end of the line.
    Raises TurnInProgress while another request has it.
    """
    turn = await tx.scalar(sa.select(Turn).where(Turn.user_id == user.id, Turn.message_id == message.id))
    if turn is not None and (turn.status == "completed" or turn.attempt_id == attempt_id):
        return turn
    time, is_next = await _line(tx, user.id, user.turn_count + 1)
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
    _place(turn, time, seconds, is_next=is_next)
    await tx.flush()
    return turn


async def advance(tx: AsyncSession, turn: Turn, *, seconds: float) -> Turn:
    """Take the turn when it is its time, else say that it is still waited for. Raises TurnLost."""
    await users.lock(tx, turn.user_id)
    current = await fenced(tx, turn)
    time, is_next = await _line(tx, current.user_id, current.number)
    _place(current, time, seconds, is_next=is_next)
    await tx.flush()
    return current


async def is_first(tx: AsyncSession, turn: Turn) -> bool:
    """Whether nobody alive is before it."""
    return (await _line(tx, turn.user_id, turn.number))[1]


async def fenced(tx: AsyncSession, turn: Turn) -> Turn:
    """The turn as it is now, while it is ours; the user has to be locked. Raises TurnLost."""
    current = await tx.get(Turn, (turn.user_id, turn.id), populate_existing=True)
    if current is None or current.attempt_id != turn.attempt_id or current.status not in ("waiting", "in_progress"):
        raise TurnLost
    return current


def _place(turn: Turn, time: float, seconds: float, *, is_next: bool) -> None:
    turn.status = "in_progress" if is_next else "waiting"
    turn.lease_until = time + (seconds if is_next else WAITING_SECONDS)


async def _line(tx: AsyncSession, user_id: str, number: int) -> tuple[float, bool]:
    """The database's time, and whether nobody alive is before this number in the line: one statement."""
    before = sa.select(sa.literal(1)).where(
        Turn.user_id == user_id, OPEN, Turn.number < number, Turn.lease_until > database_time()
    )
    time, is_taken = (await tx.execute(sa.select(database_time(), before.exists()))).one()
    return float(time), not is_taken
