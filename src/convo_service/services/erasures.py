"""Erasing people: begun by an operator, carried out by whoever comes first, and never half done for good."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import crashing
from convo_service.crashing import crash_point
from convo_service.db import set_aside
from convo_service.db.engine import Database
from convo_service.db.models import Erasure, RemoteGarbage, Tombstone, UserIdentity
from convo_service.db.scrubbing import scrub
from convo_service.errors import ErasureNotFound
from convo_service.services import erasing, tombstones
from convo_service.services.arrivals import Clock
from convo_service.services.openings import GARBAGE_REST_SECONDS
from convo_service.services.patience import in_background
from convo_service.services.pepper import Pepper
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings
from convo_service.telemetry import crash, get_logger

log = get_logger()


@dataclass(frozen=True, slots=True)
class Receipt:
    """An erasure, and how many conversations and responses are still to be deleted at OpenAI."""

    erasure: Erasure
    remotes_left: int


@dataclass(frozen=True, slots=True)
class Erasures:
    """Any number may carry out the same erasure at once: each step locks it, and takes what is there."""

    database: Database
    settings: Settings
    clock: Clock
    pepper: Pepper

    async def begin(self, user_id: str) -> Receipt:
        """Lock a user out, and go on in the background; who is being erased already keeps the receipt.

        Raises UserNotFound.
        """
        erasure = await self.lock_out(user_id)
        receipt = await self.receipt(erasure.id)
        in_background(self.carry_out(erasure.id))
        return receipt

    async def lock_out(self, user_id: str) -> Erasure:
        """From here on the user is gone for everybody. Raises UserNotFound."""
        marker = Marker(await self.pepper.read())
        async with self.database.read.begin() as tx:
            phones = await _phones(tx, user_id)
        async with self.database.write.begin() as tx:
            erasure = await erasing.pending(tx, user_id)
            if erasure is not None:
                return erasure
            erasure = await erasing.lock_out(tx, user_id, phones, marker, self.clock(), rest=self._rest)
        log.info("erasure_begun", erasure=erasure.id)
        crash_point(crashing.ERASURE_BEGUN)
        return erasure

    async def carry_out(self, erasure_id: str) -> None:
        """Take the rows, and then their bytes; what lies at OpenAI is the garbage's."""
        is_more = True
        while is_more:
            async with self.database.write.begin() as tx:
                is_more = await erasing.erase_some(tx, erasure_id, self.clock(), rest=self._rest)
            crash_point(crashing.ERASING)
        is_scrubbed = await scrub(self.database)
        crash_point(crashing.SCRUBBED)
        if is_scrubbed:
            async with self.database.write.begin() as tx:
                await tx.execute(sa.update(Erasure).where(Erasure.id == erasure_id).values(scrubbed=True))
                await erasing.complete(tx, self.clock())

    async def run_once(self) -> Counter[str]:
        """Go on with what was begun, complete what is done: how many erasures are; and clear old tombstones."""
        async with self.database.read.begin() as tx:
            begun = list(await tx.scalars(sa.select(Erasure.id).where(Erasure.completed_at.is_(None))))
            is_due = await tx.scalar(sa.select(sa.exists().where(Tombstone.until <= self.clock())))
        if not begun and not is_due:
            return Counter()  # as nearly always; the write lock is for others
        for erasure_id in await self._unfinished():
            try:
                await self.carry_out(erasure_id)
            except Exception as error:  # one that fails must not keep the others waiting
                log.error("erasure_skipped", erasure=erasure_id, **crash(error))
        async with self.database.write.begin() as tx:
            completed = await erasing.complete(tx, self.clock())
            cleared = await tombstones.clear(tx, self.clock())
        return +Counter(erased=completed, tombstones_cleared=cleared)

    async def receipt(self, erasure_id: str) -> Receipt:
        """How far it is; raises ErasureNotFound."""
        left = sa.select(sa.func.count()).where(RemoteGarbage.erasure_id == erasure_id)
        async with self.database.read.begin() as tx:
            erasure = await tx.get(Erasure, erasure_id)
            remotes_left = await tx.scalar(left) or 0
        if erasure is None:
            raise ErasureNotFound
        return Receipt(erasure, remotes_left)

    @property
    def _rest(self) -> float:
        """Seconds until nobody who was at work in one of the conversations can be so still."""
        return GARBAGE_REST_SECONDS + self.settings.openai_timeout_seconds

    async def _unfinished(self) -> list[str]:
        begun = sa.select(Erasure.id).where(Erasure.completed_at.is_(None), ~Erasure.scrubbed)
        async with self.database.read.begin() as tx:
            found = list(await tx.scalars(begun))
        random.shuffle(found)  # several workers begin at different ends
        return found


async def _phones(tx: AsyncSession, user_id: str) -> Sequence[str]:
    """How the bot wrote a user's numbers; read ahead, because it has to look at all of them."""
    values = set(await tx.scalars(sa.select(UserIdentity.value).where(UserIdentity.user_id == user_id)))
    return await tx.run_sync(lambda session: set_aside.spellings(session.connection(), values))
