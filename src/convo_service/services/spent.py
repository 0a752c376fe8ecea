"""What single replies and windows of a user have used, as the ledger has it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import ModelCall, Turn
from convo_service.domain.savings import saving
from convo_service.services.savings import COMPARED, REPLIES

MOST_REPLIES = 300  # of a chart


@dataclass(frozen=True, slots=True)
class WindowUse:
    """Sums over the replies of one conversation; the baseline is of those that have one."""

    replies: int = 0
    cost_usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    compared_input_tokens: int = 0
    baseline_input_tokens: int = 0

    @property
    def saving(self) -> float | None:
        """The share of input tokens that one endless conversation would have needed more; None: nothing to compare."""
        return saving(self.compared_input_tokens, self.baseline_input_tokens)


async def of_messages(tx: AsyncSession, user_id: str, ids: Collection[str]) -> Mapping[str, ModelCall]:
    """The calls behind replies, by the id of the reply."""
    turns = sa.select(Turn.id, Turn.reply_message_id).where(Turn.user_id == user_id, Turn.reply_message_id.in_(ids))
    replies = {one: one for one in ids} | {row[0]: str(row[1]) for row in await tx.execute(turns)}
    calls = await tx.scalars(
        sa.select(ModelCall).where(
            ModelCall.user_id == user_id,
            ModelCall.kind.in_(("reply", "reported")),
            ModelCall.subject_id.in_(replies),
        )
    )
    return {replies[call.subject_id]: call for call in calls}


async def of_windows(tx: AsyncSession, user_id: str, ids: Collection[str]) -> Mapping[str, WindowUse]:
    """What the replies of conversations have used, by conversation."""
    compared = sa.case((COMPARED, ModelCall.input_tokens))
    sums = (ModelCall.input_tokens, ModelCall.output_tokens, compared, ModelCall.baseline_input_tokens)
    columns: list[sa.ColumnElement[Any]] = [
        sa.func.count(),
        sa.func.sum(ModelCall.cost_usd),
        *(sa.func.coalesce(sa.func.sum(one), 0) for one in sums),
    ]
    rows = await tx.execute(
        sa.select(ModelCall.conversation_id, *columns)
        .where(ModelCall.user_id == user_id, ModelCall.conversation_id.in_(ids), REPLIES)
        .group_by(ModelCall.conversation_id)
    )
    return {row[0]: WindowUse(*row[1:]) for row in rows.all()}


@dataclass(frozen=True, slots=True)
class Reply:
    """One point of a chart."""

    conversation_id: str | None
    called_at: datetime
    input_tokens: int
    baseline_input_tokens: int


async def replies(tx: AsyncSession, user_id: str, ids: Collection[str]) -> Sequence[Reply]:
    """The replies of conversations that can be compared, oldest first; of many the newest."""
    columns: tuple[sa.orm.InstrumentedAttribute[Any], ...] = (
        ModelCall.conversation_id,
        ModelCall.called_at,
        ModelCall.input_tokens,
        ModelCall.baseline_input_tokens,
    )
    found = await tx.execute(
        sa.select(*columns)
        .where(ModelCall.user_id == user_id, ModelCall.conversation_id.in_(ids), REPLIES, COMPARED)
        .order_by(ModelCall.called_at.desc(), ModelCall.id.desc())
        .limit(MOST_REPLIES)
    )
    return [Reply(*row) for row in found.all()][::-1]
