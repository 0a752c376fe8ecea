"""Empty conversations at OpenAI, made ahead by the sweep, so that an opening need not wait for one.

An id is in one place at a time: here, with an opening, with a conversation, or in the garbage; it moves from one to the
next within a transaction. What OpenAI made and nobody wrote down is empty, and holds nothing of anybody.
"""

import time
from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import crashing
from convo_service.crashing import crash_point
from convo_service.db.engine import Database, database_time
from convo_service.db.models import RemoteReserve
from convo_service.errors import UpstreamUnavailable
from convo_service.llm.client import LLMClient
from convo_service.services import openings
from convo_service.services.garbage import put_aside
from convo_service.services.patience import in_background, to_its_end
from convo_service.telemetry import get_logger

MAKE_SECONDS = 8.0
OLDEST_SECONDS = 7 * 86_400.0
PURPOSE = "reserve"  # in the place of an attempt's id, at OpenAI

log = get_logger()


@dataclass(frozen=True, slots=True)
class Reserve:
    """Any number may run at once: each looks again before it makes one more, so a few may be too many."""

    database: Database
    llm: LLMClient
    size: int

    async def run_once(self) -> Counter[str]:
        """Throw away what is too old or too much, and fill up until OpenAI fails: how many were made."""
        done: Counter[str] = Counter()
        async with self.database.write.begin() as tx:
            done["reserve_discarded"] = await _discard(tx, self.size)
        try:
            while await self._has_room():
                # What OpenAI has begun to make is written down, though the service stops.
                done["reserved"] += await to_its_end(self._make())
        except UpstreamUnavailable:
            log.warning("reserve_not_filled", made=done["reserved"])
        return +done

    async def _has_room(self) -> bool:
        async with self.database.read.begin() as tx:
            return await _count(tx) < self.size

    async def _make(self) -> bool:
        """One more; raises UpstreamUnavailable, also when OpenAI gives an id that is known, which is no answer."""
        remote_id = await self.llm.create_conversation(PURPOSE, deadline=time.monotonic() + MAKE_SECONDS)
        crash_point(crashing.RESERVE_MADE)
        try:
            async with self.database.write.begin() as tx:
                is_new = await openings.take_id(tx, remote_id)
                if is_new:
                    row = sa.insert(RemoteReserve).values(remote_id=remote_id, made_at=database_time())
                    await tx.execute(row)
        except Exception:
            in_background(put_aside(self.database, remote_id))
            raise
        if not is_new:
            raise UpstreamUnavailable
        return True


async def take(tx: AsyncSession) -> str | None:
    """The oldest id, which is the caller's from here on; None when there is none. Two callers never get the same."""
    oldest = sa.select(RemoteReserve.remote_id).order_by(RemoteReserve.made_at).limit(1)
    # Whoever is taking one keeps nobody from the next. Looked up once, as a scalar: IN may be looked up more often.
    one = oldest.with_for_update(skip_locked=True).scalar_subquery()
    taken: str | None = await tx.scalar(
        sa.delete(RemoteReserve).where(RemoteReserve.remote_id == one).returning(RemoteReserve.remote_id)
    )
    return taken


async def _count(tx: AsyncSession) -> int:
    return await tx.scalar(sa.select(sa.func.count()).select_from(RemoteReserve)) or 0


async def _discard(tx: AsyncSession, size: int) -> int:
    """Move to the garbage what is too old, and the oldest of what is more than the reserve is to hold."""
    too_old = sa.func.count(sa.case((RemoteReserve.made_at < database_time() - OLDEST_SECONDS, 1)))
    total, old = (await tx.execute(sa.select(sa.func.count(RemoteReserve.remote_id), too_old))).one()
    discarded = 0
    for _ in range(max(total - size, old)):
        if (remote_id := await take(tx)) is not None:
            await openings.discard(tx, remote_id, "not_needed")
            discarded += 1
    return discarded
