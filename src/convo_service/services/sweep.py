"""The sweep, one pass of the worker: what is due, owed, abandoned, to be erased, left at OpenAI or in reserve there."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from convo_service.db.engine import Database
from convo_service.errors import TurnInterrupted
from convo_service.llm.client import LLMClient
from convo_service.services import counts, turn_queue
from convo_service.services.arrivals import Clock
from convo_service.services.due import Due
from convo_service.services.erasures import Erasures
from convo_service.services.garbage import Garbage
from convo_service.services.owed import Owed
from convo_service.services.pepper import Pepper
from convo_service.services.reserve import Reserve
from convo_service.services.retention import Retention
from convo_service.services.tallying import Tallying
from convo_service.settings import Settings
from convo_service.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Sweep:
    """Any number may run at once, in any number of processes."""

    database: Database
    llm: LLMClient
    settings: Settings
    clock: Clock

    async def run_once(self, *, now: datetime | None = None) -> Counter[str]:
        """One pass; `now` is when windows and quiet talk are judged, by default this moment. Counts what was done."""
        done: Counter[str] = Counter()
        if self.llm.has_key:
            done += await Owed(self.database, self.llm, self.settings, self.clock).run_once()
            done += await Garbage(self.database, self.llm).run_once()
            done += await Reserve(self.database, self.llm, self.settings.conversation_reserve).run_once()
        pepper = Pepper(self.database, self.settings)
        done += await Erasures(self.database, self.settings, self.clock, pepper).run_once()
        done += await Retention(self.database, self.settings, self.clock).run_once()
        async with self.database.write.begin() as tx:
            done["turns_given_up"] = await turn_queue.give_up_abandoned(tx, self.clock())
            await counts.clear(tx, self.clock().timestamp())
        if abandoned := done["turns_given_up"]:
            metrics.turns.add(abandoned, {"status": "failed", "error.type": TurnInterrupted.code})
        done += await Due(self.database, self.llm, self.settings, self.clock).run_once(now or self.clock())
        await Tallying(self.database, self.clock, self.settings.analytics_timezone).run_once()
        return +done
