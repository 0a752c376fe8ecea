"""What a new conversation starts with: gathered from the database, made by the rules of `domain.seed`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db import models
from convo_service.db.models import Profile
from convo_service.domain.digest import Entry, Said
from convo_service.domain.seed import Client, Material, Seed, SeedRules, compose
from convo_service.domain.window import CARRIED_AT_CAP
from convo_service.services import messages, windows
from convo_service.settings import Settings

MAX_MESSAGES = 1000  # of one conversation; only an endless one has more, and its oldest talk is in nobody's mind
LONG = 200  # messages from which on the digest is made in a thread, so that the event loop stays free


@dataclass(frozen=True, slots=True)
class SeedMaker:
    """Makes seeds by the settings of this installation."""

    settings: Settings

    async def gather(self, tx: AsyncSession, user_id: str, topic: str, *, forget: bool = False) -> Material:
        """Read what the next seed of a user is made from: the newest conversation of the topic, else of any."""
        if not self.settings.include_summary:
            return Material()
        client = await self._client(tx, user_id)
        if forget:
            return Material(client)
        conversation = await windows.to_go_on_from(tx, user_id, topic)
        if conversation is None:
            return Material(client, await messages.said_outside(tx, user_id, most=MAX_MESSAGES))
        said = await messages.said_in(tx, user_id, conversation.id, most=MAX_MESSAGES)
        return Material(client, said, _carried(conversation.seed))

    async def make(self, material: Material, *, now: datetime) -> Seed:
        """Make the seed; no model is asked."""
        rules = SeedRules(
            budget=self.settings.summary_tokens,
            language=self.settings.summary_language,
            topic_messages=self.settings.max_summary_messages,
        )
        if len(material.messages) > LONG:
            return await asyncio.to_thread(compose, material, rules, now=now)
        return compose(material, rules, now=now)

    async def _client(self, tx: AsyncSession, user_id: str) -> Client | None:
        if not self.settings.include_client_summary:
            return None
        profile = await tx.get(Profile, user_id)
        if profile is None:
            return None
        return Client(profile.name, profile.last_name, profile.ragione_sociale, profile.email)


async def last_said(tx: AsyncSession, user_id: str, conversation_id: str) -> Sequence[Said]:
    """The messages that a rollover in the middle of talk repeats verbatim."""
    return await messages.said_in(tx, user_id, conversation_id, most=CARRIED_AT_CAP)


def to_json(seed: Seed) -> dict[str, Any]:
    """The form in which a seed waits in its opening."""
    return {
        "text": seed.text,
        "generator": seed.generator,
        "tokens": seed.tokens,
        "entries": [{**asdict(entry), "sent_at": entry.sent_at.isoformat()} for entry in seed.history],
        "from_message_id": seed.covered[0] if seed.covered else None,
        "to_message_id": seed.covered[-1] if seed.covered else None,
        "covered_count": len(seed.covered),
    }


def _carried(seed: models.Seed | None) -> list[Entry]:
    if seed is None:
        return []
    return [Entry(**{**entry, "sent_at": datetime.fromisoformat(entry["sent_at"])}) for entry in seed.entries]
