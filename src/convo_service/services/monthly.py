"""The month in one page: what was said, what windows did with it, and what that saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, Note
from convo_service.services import savings
from convo_service.services.savings import Savings, Wanted

INSTANT = timedelta(microseconds=1)  # the filters of savings are exclusive, a month begins with its first moment


@dataclass(frozen=True, slots=True)
class Month:
    """Everything of one calendar month (UTC)."""

    first: datetime
    users: int
    messages: Mapping[str, int]  # by direction
    conversations: Mapping[str, int]  # by the reason for which they were opened
    open_issues: int  # now
    savings: Savings  # by day

    @property
    def name(self) -> str:
        """Such as 2026-03."""
        return f"{self.first:%Y-%m}"


def month_of(at: datetime) -> datetime:
    """The first moment of a month."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def after(first: datetime) -> datetime:
    """The first moment of the month after."""
    return month_of(first + timedelta(days=32))


async def read(tx: AsyncSession, first: datetime) -> Month:
    """Read the month that begins at `first`."""
    end = after(first)
    said = sa.and_(Message.sent_at >= first, Message.sent_at < end)
    opened = sa.and_(Conversation.created_at >= first, Conversation.created_at < end)
    return Month(
        first=first,
        users=int(await tx.scalar(sa.select(sa.func.count(sa.distinct(Message.user_id))).where(said)) or 0),
        messages=await _counts(tx, Message.direction, said),
        conversations=await _counts(tx, Conversation.created_reason, opened),
        open_issues=int(
            await tx.scalar(
                sa.select(sa.func.count()).select_from(Note).where(Note.kind == "issue", Note.status == "open")
            )
            or 0
        ),
        savings=await savings.read(tx, Wanted(after=first - INSTANT, before=end, period="day")),
    )


async def _counts(
    tx: AsyncSession, key: "sa.orm.InstrumentedAttribute[str]", where: sa.ColumnElement[bool]
) -> dict[str, int]:
    rows = await tx.execute(sa.select(key, sa.func.count()).where(where).group_by(key).order_by(sa.func.count().desc()))
    return {row[0]: row[1] for row in rows}
