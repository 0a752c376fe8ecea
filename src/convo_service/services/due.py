"""Conversations whose date has come: closed when they are over, summarised when they are quiet."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.db.models import Conversation
from convo_service.domain.rollout import Cohort
from convo_service.domain.sweep import State, plan
from convo_service.domain.window import Reason
from convo_service.llm.client import LLMClient
from convo_service.services import summaries, users, windows
from convo_service.services.arrivals import Clock
from convo_service.services.summaries import Asked, Summaries, Unasked
from convo_service.settings import Settings
from convo_service.telemetry import crash, get_logger, metrics

AT_ONCE = 200  # read in one go
IN_PARALLEL = 4  # looks, and so calls of the model
RETRY = timedelta(minutes=10)  # when a claimed summary is looked after, whatever became of it
MOST_FAILURES = 3  # of the model in one pass: then the model is left alone until the next pass

log = get_logger()

Key = tuple[str, str]  # user, conversation


@dataclass(frozen=True, slots=True)
class Due:
    """Any number may run at once: each look locks the user, sees whether it is still due, and moves its date."""

    database: Database
    llm: LLMClient
    settings: Settings
    clock: Clock

    @property
    def summaries(self) -> Summaries:
        """Who asks the model."""
        return Summaries(self.database, self.llm, self.settings, self.clock)

    async def run_once(self, at: datetime) -> Counter[str]:
        """One pass over all that is due at a time: how many were closed, kept, rejected, failed and skipped."""
        done: Counter[str] = Counter()
        seen: set[Key] = set()
        while due := [key for key in await self._due(at) if key not in seen]:
            seen.update(due)
            random.shuffle(due)  # several sweeps begin at different ends
            await self._work_off(iter(due), at, done)
        return done

    async def _work_off(self, queue: Iterator[Key], at: datetime, done: Counter[str]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(IN_PARALLEL):
                    group.create_task(self._work(queue, at, done))
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None  # the database is away, for all of them

    async def _due(self, at: datetime) -> Sequence[Key]:
        due = (
            sa.select(Conversation.user_id, Conversation.id)
            .where(Conversation.sweep_at <= at)
            .order_by(Conversation.sweep_at)
            .limit(AT_ONCE)
        )
        async with self.database.read.begin() as tx:
            return [(row.user_id, row.id) for row in await tx.execute(due)]

    async def _work(self, queue: Iterator[Key], at: datetime, done: Counter[str]) -> None:
        for key in queue:
            try:
                async with self.database.write.begin() as tx:
                    asked = await self._look(tx, key, at, done)
                if asked is not None:
                    await self._ask(asked, done)
            except Exception as error:
                # One conversation's fault must not keep the others waiting; a database that is down ends the pass.
                log.error("sweep_skipped", user=key[0], conversation=key[1], **crash(error))
                done["skipped"] += 1
                await self._put_off(key, at + RETRY)

    async def _look(self, tx: AsyncSession, key: Key, at: datetime, done: Counter[str]) -> Asked | None:
        await users.lock(tx, key[0])
        conversation = await windows.get(tx, *key)
        if conversation.sweep_at is None or conversation.sweep_at > at:
            return None  # another sweep was here meanwhile
        step = plan(await _state(tx, conversation), windows.sweep_rules(self.settings, conversation), at)
        claimed: Asked | Unasked = "not_wanted"
        if step.summarise:
            claimed = "in_progress" if done["failed"] >= MOST_FAILURES else await self.summaries.claim(tx, conversation)
            if isinstance(claimed, str):
                metrics.summaries.add(1, {"outcome": claimed})
        conversation.sweep_at = step.look_again_at
        if claimed == "in_progress" or isinstance(claimed, Asked):  # whoever asks may die of it
            conversation.sweep_at = min(step.look_again_at or at + RETRY, at + RETRY)
        await tx.flush()
        if step.close:
            await windows.close(tx, conversation, Reason.IDLE_TIMEOUT, at, sweep_at=conversation.sweep_at)
            log.info("conversation_closed", user=key[0], conversation=key[1], reason=Reason.IDLE_TIMEOUT.value)
            done["closed"] += 1
        return claimed if isinstance(claimed, Asked) else None

    async def _ask(self, asked: Asked, done: Counter[str]) -> None:
        done[await self.summaries.answer(asked)] += 1

    async def _put_off(self, key: Key, until: datetime) -> None:
        async with self.database.write.begin() as tx:
            await tx.execute(
                sa.update(Conversation)
                .where(Conversation.user_id == key[0], Conversation.id == key[1])
                .values(sweep_at=until)
            )


async def _state(tx: AsyncSession, conversation: Conversation) -> State:
    newest = await windows.current_or_last(tx, conversation.user_id, conversation.topic)
    return State(
        is_active=conversation.is_active,
        is_newest=newest is None or newest.id == conversation.id,
        endless=conversation.cohort == Cohort.HOLDOUT,
        ends_at=max(conversation.last_inbound_at, conversation.inbound_received_at) + conversation.timeout,
        active_at=max(conversation.last_message_at, conversation.inbound_received_at),
        message_count=conversation.message_count,
        read_count=await summaries.read_count(tx, conversation),
    )
