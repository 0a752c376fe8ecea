"""The seed as operators see it: what the next conversation would start with, and their say in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convo_service.db.engine import Database
from convo_service.db.models import Message
from convo_service.domain.seed import Material, Part, Seed
from convo_service.errors import SummaryBudgetSpent, SummaryFailed, SummaryInProgress
from convo_service.services import edits, messages, templates, users, windows
from convo_service.services.arrivals import GENERAL, Clock, check_topic
from convo_service.services.catalog import Catalogs
from convo_service.services.seeds import SeedMaker
from convo_service.services.summaries import Asked, Summaries
from convo_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Preview:
    """A seed as it would be now, with the messages behind its entries, by id.

    `removed`: entries that operators took out, or changed and that have no place in it.
    """

    seed: Seed
    removed: Sequence[Part]
    messages: Mapping[str, Message]


@dataclass(frozen=True, slots=True)
class Previews:
    """Shows seeds, and changes what they will be."""

    database: Database
    summaries: Summaries
    settings: Settings
    clock: Clock
    catalogs: Catalogs

    async def show(self, user_id: str, *, topic: str = GENERAL, template: str | None = None) -> Preview:
        """What the next conversation would start with, as of now. Raises UserNotFound and TemplateNotFound."""
        seed, material = await self._make(user_id, topic, template)
        removed = edits.not_in(seed, material.edits)
        cited = {one for part in (*seed.parts, *removed) for one in part.message_ids}
        async with self.database.read.begin() as tx:
            return Preview(seed, removed, await messages.by_ids(tx, user_id, cited))

    async def change(self, user_id: str, entry_id: str, given: Mapping[str, Any], *, topic: str = GENERAL) -> Preview:
        """Change an entry; the seed as it is then. Raises EntryNotFound."""
        seed, _ = await self._make(user_id, topic)
        async with self.database.write.begin() as tx:
            await edits.change(tx, user_id, entry_id, seed, given, now=self.clock())
        return await self.show(user_id, topic=topic)

    async def regenerate(self, user_id: str, *, topic: str = GENERAL) -> Preview:
        """Have the model read the last conversation again, now; without a model the digest is made anew anyway.

        Raises SummaryInProgress, SummaryBudgetSpent, and SummaryFailed: the seed is then what it was.
        """
        check_topic(topic, self.settings)
        asked = await self._claim(user_id, topic)
        if asked is not None and await self.summaries.answer(asked) == "failed":
            raise SummaryFailed
        return await self.show(user_id, topic=topic)

    async def _claim(self, user_id: str, topic: str) -> Asked | None:
        async with self.database.write.begin() as tx:
            await users.lock(tx, user_id)
            conversation = await windows.to_go_on_from(tx, user_id, topic)
            if conversation is None:
                return None
            claimed = await self.summaries.claim(tx, conversation, by_hand=True)
        if claimed == "in_progress":
            raise SummaryInProgress(retry_after=5)
        if claimed == "budget_spent":
            raise SummaryBudgetSpent(retry_after=3600)
        return claimed if isinstance(claimed, Asked) else None

    async def _make(self, user_id: str, topic: str, template: str | None = None) -> tuple[Seed, Material]:
        check_topic(topic, self.settings)
        maker, chosen = SeedMaker(self.settings), (await self.catalogs.read()).choose(template, topic)
        async with self.database.read.begin() as tx:
            await users.get(tx, user_id)
            material = await maker.gather(tx, user_id, topic)
            version = await templates.at(tx, *chosen)
        return await maker.make(material, version, now=self.clock()), material
