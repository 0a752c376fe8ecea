"""Conversations and responses at OpenAI that no row of ours uses: deleted there, by whoever comes first."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import crashing
from convo_service.crashing import crash_point
from convo_service.db.engine import Database, database_time
from convo_service.db.models import Conversation, RemoteGarbage
from convo_service.errors import UpstreamRefused, UpstreamUnavailable
from convo_service.llm.client import LLMClient
from convo_service.services import erasing, openings
from convo_service.services.erasing import Gone
from convo_service.telemetry import get_logger

AT_ONCE = 50  # in a pass
DELETE_SECONDS = 30.0
LEASE_SECONDS = 60.0  # the call, and then some
LONGEST_REST_SECONDS = 86_400.0
MOST_FAILURES = 3  # in a pass
# A database that does not take OpenAI's new id gets it again after so long, and so often.
ASIDE_SECONDS = 1.0
ASIDE_TRIES = 60
RESPONSE = "resp_"  # how the id of a response begins, and none of a conversation

log = get_logger()


@dataclass(frozen=True, slots=True)
class Garbage:
    """Any number may run at once: an id is claimed by moving its date."""

    database: Database
    llm: LLMClient

    async def run_once(self) -> Counter[str]:
        """Delete what has rested long enough: how many are gone."""
        done: Counter[str] = Counter()
        failures = 0
        for remote_id in await self._rested():
            if failures == MOST_FAILURES:
                break
            async with self.database.write.begin() as tx:
                tries = await _claim(tx, remote_id)
            if tries is None:
                continue
            if await self._delete(remote_id, tries):
                done["remote_deleted"] += 1
            else:
                failures += 1
        return done

    async def _rested(self) -> list[str]:
        rested = sa.select(RemoteGarbage.remote_id).where(RemoteGarbage.not_before <= database_time())
        async with self.database.read.begin() as tx:
            return list(await tx.scalars(rested.order_by(RemoteGarbage.not_before).limit(AT_ONCE)))

    async def _delete(self, remote_id: str, tries: int) -> bool:
        row, gone = RemoteGarbage.remote_id == remote_id, Gone()
        try:
            await self._delete_there(remote_id, gone)
        except UpstreamRefused:
            log.warning("remote_refused", remote=remote_id)  # such as an id that was never one: there is nothing there
        except UpstreamUnavailable:
            rest = min(LEASE_SECONDS * 2.0 ** min(tries, 20), LONGEST_REST_SECONDS)
            async with self.database.write.begin() as tx:
                later = sa.update(RemoteGarbage).where(row).values(not_before=database_time() + rest)
                await erasing.count(tx, await tx.scalar(later.returning(RemoteGarbage.erasure_id)), remote_id, gone)
            return False
        crash_point(crashing.GARBAGE_DELETED)
        async with self.database.write.begin() as tx:
            erasure_id = await tx.scalar(sa.delete(RemoteGarbage).where(row).returning(RemoteGarbage.erasure_id))
            await erasing.count(tx, erasure_id, remote_id, gone)
        log.info("remote_deleted", remote=remote_id)
        return True

    async def _delete_there(self, remote_id: str, gone: Gone) -> None:
        deadline = time.monotonic() + DELETE_SECONDS
        if remote_id.startswith(RESPONSE):
            await self.llm.delete_response(remote_id, deadline=deadline)
            gone.stored_responses += 1
        else:
            await self.llm.delete_conversation(remote_id, deadline=deadline, on_item=gone.one_item)
            gone.remote_conversations += 1


async def _claim(tx: AsyncSession, remote_id: str) -> int | None:
    """Take an id for the time of a lease and say how often it was tried; never one that a conversation of ours has."""
    tries: int | None = await tx.scalar(
        sa.update(RemoteGarbage)
        .where(RemoteGarbage.remote_id == remote_id, RemoteGarbage.not_before <= database_time())
        .values(not_before=database_time() + LEASE_SECONDS, tries=RemoteGarbage.tries + 1)
        .returning(RemoteGarbage.tries)
    )
    if tries is None:
        return None
    used = sa.select(Conversation.id).where(Conversation.id == remote_id, Conversation.released_at.is_(None))
    if await tx.scalar(used.limit(1)) is None:
        return tries
    log.error("garbage_in_use", conversation=remote_id)
    await tx.execute(sa.delete(RemoteGarbage).where(RemoteGarbage.remote_id == remote_id))
    return None


async def put_aside(database: Database, remote_id: str) -> None:
    """Have an id that the database did not take deleted at OpenAI, as soon as the database is back.

    The transaction may have been carried out all the same: then the id is known, and belongs where it was written down.
    """
    for _ in range(ASIDE_TRIES):
        await asyncio.sleep(ASIDE_SECONDS)
        with suppress(Exception):
            async with database.write.begin() as tx:
                if await openings.take_id(tx, remote_id):
                    await openings.discard(tx, remote_id, "not_remembered")
            return
    log.warning("remote_left_behind", conversation=remote_id)
