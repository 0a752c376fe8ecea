"""What the database and the breakers say at the moment when somebody reads the metrics.

Each query reads a bounded number of entries of an index, however large the history is, and all of them at most once in
a few seconds, however many ask.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.db.faults import is_of_database
from convo_service.db.models import Conversation, Opening, RemoteGarbage, RemoteReserve
from convo_service.llm.client import LLMClient
from convo_service.services.arrivals import Clock
from convo_service.telemetry import failure, get_logger
from convo_service.telemetry.prometheus import Kept, Meter

MOST = 100_000  # entries that are counted: ten milliseconds; who has more reads this number
FRESH_SECONDS = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = get_logger()


class Gauges:
    """Of one app."""

    def __init__(self, database: Database, llm: LLMClient, clock: Clock, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._database, self._llm, self._clock = database, llm, clock
        self._fresh_seconds, self._read_at = fresh_seconds, -fresh_seconds
        self._reading = asyncio.Lock()
        meter = self._meter = Meter("convo_service.gauges")
        self._up = meter.create_gauge("convo.database.up", "", "Whether the database answered this reading: 1 or 0.")
        self._active = meter.create_gauge(
            "convo.conversations.active", "{conversation}", f"Active conversations; counted up to {MOST:,}."
        )
        self._lag = meter.create_gauge(
            "convo.sweep.lag", "s", "How long the oldest conversation that is due has been waiting for the sweep."
        )
        self._owed = meter.create_gauge(
            "convo.openings.pending", "{opening}", "Conversations that are being opened, or owed since OpenAI failed."
        )
        self._reserve = meter.create_gauge(
            "convo.reserve", "{conversation}", "Empty conversations kept ready at OpenAI."
        )
        self._garbage = meter.create_gauge(
            "convo.garbage", "{conversation}", "What is still to be deleted at OpenAI, erasures among it."
        )
        self._breakers = meter.create_gauge(
            "convo.openai.breaker", "", "Whether OpenAI is asked: 0 yes, 1 one call to see how it is, 2 no."
        )

    async def read(self) -> Sequence[Kept]:
        """The gauges as they stand; those of the database may be some seconds old."""
        async with self._reading:
            if time.monotonic() - self._read_at >= self._fresh_seconds:
                await self._ask()
                self._read_at = time.monotonic()
        for kind, state in self._llm.breakers().items():
            self._breakers.set(state, {"kind": kind})
        return self._meter.instruments

    async def _ask(self) -> None:
        """Ask the database; one that is away takes no other metric with it."""
        try:
            async with self._database.read.begin() as tx:
                self._active.set(await _count(tx, sa.select(sa.literal(1)).where(Conversation.is_active)))
                self._lag.set(await _lag(tx, self._clock()))
                self._owed.set(await _count(tx, sa.select(Opening.user_id)))
                self._reserve.set(await _count(tx, sa.select(RemoteReserve.remote_id)))
                self._garbage.set(await _count(tx, sa.select(RemoteGarbage.remote_id)))
            self._up.set(1)
        except Exception as error:
            if not is_of_database(error):
                raise
            log.warning("gauges_failed", **failure(error))
            self._up.set(0)


async def _count(tx: AsyncSession, rows: sa.Select[Any]) -> int:
    return int(await tx.scalar(sa.select(sa.func.count()).select_from(rows.limit(MOST).subquery())) or 0)


async def _lag(tx: AsyncSession, now: datetime) -> float:
    """Rows that were taken over and that nobody has looked at yet have no date of their own, and do not count."""
    dated = sa.select(Conversation.sweep_at).where(Conversation.sweep_at > EPOCH)
    oldest = await tx.scalar(dated.order_by(Conversation.sweep_at).limit(1))
    return 0.0 if oldest is None else max((now - oldest).total_seconds(), 0.0)
