"""What a replay in one process stands on: a clock that it moves, and a worker that wakes between two messages."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from convo_service.db.models import Conversation
from convo_service.services.sweep import Sweep

WAKES = timedelta(minutes=5)  # how often the worker of a replay looks


@dataclass(slots=True)
class StillClock:
    """The time as the service sees it."""

    now: datetime

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def seconds(self) -> float:
        """The same, for who counts in seconds."""
        return self.now.timestamp()


@dataclass(slots=True)
class Worker:
    """The sweep on a replay's clock."""

    sweep: Sweep
    clock: StillClock
    passes: int = 0
    swept: Counter[str] = field(default_factory=Counter)

    async def work_until(self, then: datetime) -> None:
        """Do what is due before a time, and leave the clock where the last of it was done."""
        while (due := await self._next_due()) is not None:
            wakes = max(due, self.clock.now) + WAKES
            if wakes >= then:
                return
            self.clock.now = wakes
            self.swept += await self.sweep.run_once()
            self.passes += 1

    async def _next_due(self) -> datetime | None:
        async with self.sweep.database.read.begin() as tx:
            due: datetime | None = await tx.scalar(sa.select(sa.func.min(Conversation.sweep_at)))
            return due
