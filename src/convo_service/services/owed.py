"""Openings that nobody works on: what a process that died, or an OpenAI that was away, left to be done."""

import random
from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from convo_service.db.engine import Database, database_time
from convo_service.db.models import Opening
from convo_service.errors import ConvoError
from convo_service.llm.client import LLMClient
from convo_service.services.arrivals import Clock
from convo_service.services.conversations import ConversationService
from convo_service.settings import Settings
from convo_service.telemetry import crash, get_logger

AT_ONCE = 100  # in a pass
MOST_FAILURES = 3  # in a pass: then OpenAI is left alone

log = get_logger()


@dataclass(frozen=True, slots=True)
class Owed:
    """Any number may run at once: an opening is claimed by its lease, as by a message."""

    database: Database
    llm: LLMClient
    settings: Settings
    clock: Clock

    async def run_once(self) -> Counter[str]:
        """Carry through what is owed: how many were opened."""
        service = ConversationService(self.database, self.llm, self.settings, self.clock)
        done: Counter[str] = Counter()
        failures = 0
        unclaimed = await self._unclaimed()
        random.shuffle(unclaimed)  # what fails for ever keeps nobody waiting for ever
        for user_id, topic in unclaimed:
            if failures == MOST_FAILURES:
                break
            try:
                done["opened"] += await service.make_up(user_id, topic)
            except ConvoError:
                failures += 1  # said by the client of OpenAI
            except Exception as error:
                log.error("owed_skipped", user=user_id, **crash(error))
                failures += 1
        return +done

    async def _unclaimed(self) -> list[tuple[str, str]]:
        free = sa.select(Opening.user_id, Opening.topic).where(Opening.lease_until <= database_time())
        async with self.database.read.begin() as tx:
            rows = await tx.execute(free.order_by(Opening.opened_at).limit(AT_ONCE))
            return [(row.user_id, row.topic) for row in rows]
