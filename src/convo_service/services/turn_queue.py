"""The line of a user's turns: each has a number and a lease, and the first that is alive is in progress."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import database_time
from convo_service.db.models import Message, Turn, User
from convo_service.domain.ids import new_id
from convo_service.errors import TurnInProgress, TurnInterrupted
from convo_service.services import users

LEASE_SECONDS = 12.0  # that whoever works on a turn is believed to be alive; he says so again before they are over
ABANDONED_SECONDS = 60.0  # after the end of a lease, when nobody has come back to the turn
PLACED_WITHIN = timedelta(seconds=10)  # a message whose request is alive has its conversation, or an error
# Spelt out as the index is, which a parameter could not be found in.
OPEN = Turn.status.in_([sa.literal_column("'waiting'"), sa.literal_column("'in_progress'")])


class TurnLost(Exception):
    """Another request has taken this turn over; nothing that we know of it counts any more."""


async def enter(
    tx: AsyncSession, user: User, message: Message, attempt_id: str, *, is_new: bool, now: datetime
) -> Turn:
    """The turn of a message: completed, or ours, and in progress when nobody is before it.

    The user is locked. `is_new`: the message was never here before, so it has no turn. Whoever comes back to a turn
    that failed, or whose process died, goes to the end of the line. Raises TurnInProgress while another request has it.
    """
    turn = None if is_new else await _of_message(tx, message)
    if turn is not None and (turn.status == "completed" or turn.attempt_id == attempt_id):
        return turn
    time, number, alive = await _line(tx, user.id)
    if turn is None:
        turn = _new(message, now)
        tx.add(turn)
    elif turn.status in ("waiting", "in_progress"):
        if turn.lease_until > time:
            raise TurnInProgress(retry_after=1)
        turn.uncertain |= turn.status == "in_progress"
    turn.number, turn.attempt_id, turn.error_code = number, attempt_id, None
    turn.status, turn.lease_until = "waiting" if alive else "in_progress", time + LEASE_SECONDS
    await tx.flush()
    return turn


async def _of_message(tx: AsyncSession, message: Message) -> Turn | None:
    found: Turn | None = await tx.scalar(
        sa.select(Turn).where(Turn.user_id == message.user_id, Turn.message_id == message.id)
    )
    return found


def _new(message: Message, now: datetime) -> Turn:
    return Turn(
        user_id=message.user_id,
        id=new_id("turn"),
        number=0,
        message_id=message.id,
        status="waiting",
        attempt_id="",
        lease_until=0,
        created_at=now,
    )


async def _line(tx: AsyncSession, user_id: str) -> tuple[float, int, bool]:
    """The database's time, the number at the end of a user's line, and whether anybody in it is alive."""
    alive = sa.func.count(sa.case((Turn.lease_until > database_time(), 1)))
    line = sa.select(database_time(), sa.func.coalesce(sa.func.max(Turn.number), 0) + 1, alive)
    time, number, living = (await tx.execute(line.where(Turn.user_id == user_id, OPEN))).one()
    return float(time), number, living > 0


async def advance(tx: AsyncSession, turn: Turn) -> Turn:
    """Take the turn when it is its time, else say that it is still waited for. Raises TurnLost."""
    await users.lock(tx, turn.user_id)
    current = await fenced(tx, turn)
    if await is_first(tx, current):
        current.status = "in_progress"
    return current


async def stay_alive(tx: AsyncSession, turn: Turn) -> None:
    """Renew the lease, while the turn is ours."""
    mine = sa.update(Turn).where(Turn.user_id == turn.user_id, Turn.id == turn.id, OPEN)
    await tx.execute(mine.where(Turn.attempt_id == turn.attempt_id).values(lease_until=database_time() + LEASE_SECONDS))


async def is_first(tx: AsyncSession, turn: Turn) -> bool:
    """Whether nobody alive is before it."""
    before = sa.select(sa.literal(1)).where(
        Turn.user_id == turn.user_id, OPEN, Turn.number < turn.number, Turn.lease_until > database_time()
    )
    return not await tx.scalar(sa.select(before.exists()))


async def overtakes(tx: AsyncSession, turn: Turn, message: Message, now: datetime) -> bool:
    """Whether a message that came just before, with a turn that is alive, has no conversation yet.

    Whoever waits for an opening looks again at moments of its own; placed in that order, a `/new` could find a later
    message in its conversation, and be too late.
    """
    if turn.status != "waiting":
        return False
    before = (
        sa.select(sa.literal(1))
        .select_from(Turn)
        .join(Message, sa.and_(Message.user_id == Turn.user_id, Message.id == Turn.message_id))
        .where(
            Turn.user_id == turn.user_id,
            OPEN,
            Turn.number < turn.number,
            Turn.lease_until > database_time(),
            Message.topic == message.topic,
            Message.conversation_id.is_(None),
            Message.received_at > now - PLACED_WITHIN,
        )
    )
    return bool(await tx.scalar(sa.select(before.exists())))


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
