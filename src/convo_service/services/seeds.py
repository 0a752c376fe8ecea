"""What a new conversation starts with: gathered from the database, made by the rules of `domain.seed`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Profile, TemplateVersion
from convo_service.domain.digest import Said
from convo_service.domain.record import Client
from convo_service.domain.seed import Material, Seed, SeedRules, compose, without_model
from convo_service.domain.window import CARRIED_AT_CAP
from convo_service.services import edits, entries, messages, notes, summaries, templates, windows
from convo_service.settings import Settings

MAX_MESSAGES = 1000  # of one conversation; only an endless one has more, and its oldest talk is in nobody's mind
LONG = 20_000  # characters from which on the digest is made in a thread, so that the event loop stays free


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
        lines, decided = await notes.lines(tx, user_id), await edits.of_user(tx, user_id)
        conversation = await windows.to_go_on_from(tx, user_id, topic)
        if conversation is None:
            said = await messages.said_outside(tx, user_id, most=MAX_MESSAGES)
            return Material(client, said, notes=lines, edits=decided)
        said = await messages.said_in(tx, user_id, conversation.id, most=MAX_MESSAGES)
        carried = entries.all_from_json(conversation.seed.entries) if conversation.seed is not None else []
        topics, facts = await summaries.prepared(tx, conversation)
        return Material(client, said, carried, topics, facts, lines, decided)

    async def make(self, material: Material, template: TemplateVersion | None, *, now: datetime) -> Seed:
        """Make the seed; no model is asked. When models are off nothing of what one wrote before is in it."""
        if not self.settings.summarize_old_conversations:
            material = without_model(material)
        rules = SeedRules(
            budget=self.settings.summary_tokens,
            language=templates.language(template, self.settings),
            topic_messages=self.settings.max_summary_messages,
            sections=templates.sections(template),
        )
        if sum(len(message.text) for message in material.messages) > LONG:
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
        "entries": [entries.to_json(entry) for entry in seed.history],
        "from_message_id": seed.covered[0] if seed.covered else None,
        "to_message_id": seed.covered[-1] if seed.covered else None,
        "covered_count": len(seed.covered),
    }
