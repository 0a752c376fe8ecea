"""S2 to T4 of the opening protocol: the seed, the calls to OpenAI, and what is written after each of them."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import crashing
from convo_service.crashing import crash_point
from convo_service.db.engine import Database
from convo_service.db.models import Message
from convo_service.domain.record import carried_items, item, seed_items, without_controls
from convo_service.domain.window import Reason
from convo_service.errors import UpstreamUnavailable
from convo_service.llm.client import LLMClient
from convo_service.services import openings, seeds
from convo_service.services.openings import Attempt, FenceLost
from convo_service.services.patience import Patience, in_background
from convo_service.services.seeds import SeedMaker
from convo_service.telemetry import get_logger

# A database that does not take OpenAI's new id gets it again after so long, and so often.
ASIDE_SECONDS = 1.0
ASIDE_TRIES = 60

# What an opening keeps when OpenAI refused its seed: a conversation that starts empty is better than none.
WITHOUT: dict[str, Any] = {"text": "", "carried": [], "message": None}

log = get_logger()


@dataclass(frozen=True, slots=True)
class Opener:
    """Carries a claimed opening through."""

    database: Database
    llm: LLMClient
    seeds: SeedMaker

    async def open(self, attempt: Attempt, patience: Patience, *, answers: bool, now: datetime) -> str:
        """Run S2 to T4 and return the id of the new conversation.

        `answers`: the caller carries the message that the opening waits for, and waits until `patience` is over.

        Raises UpstreamUnavailable (the opening stays claimed: release it) and FenceLost.
        """
        deadline = patience.openai_deadline
        attempt = await self._seeded(attempt, now)
        assert attempt.seed is not None  # noqa: S101 - what _seeded is for
        crash_point(crashing.AFTER_SEED)
        remote_id = await self.llm.create_conversation(attempt.id, deadline=deadline)
        crash_point(crashing.CREATED)
        await self._remember(attempt, remote_id)
        crash_point(crashing.AFTER_T3)
        if items := _items(attempt.seed):
            await self.llm.add_items(remote_id, items, deadline=deadline)
        crash_point(crashing.SEEDED)
        await self._finish(attempt, remote_id, now, answers=answers and not patience.is_over)
        crash_point(crashing.AFTER_T4)
        return remote_id

    async def _seeded(self, attempt: Attempt, now: datetime) -> Attempt:
        """S2: make the seed, and save it, so that whoever takes over uses the same."""
        if attempt.seed is not None:
            return attempt
        seed = await self._made(attempt, now) if attempt.may_seed else dict(WITHOUT)
        async with self.database.write.begin() as tx:
            (await openings.fenced(tx, attempt)).seed = seed
        return replace(attempt, seed=seed)

    async def _made(self, attempt: Attempt, now: datetime) -> dict[str, Any]:
        plan = attempt.plan
        async with self.database.read.begin() as tx:
            material = await self.seeds.gather(tx, attempt.user_id, plan.topic, forget=plan.forget)
            carried = await _carried(tx, attempt)
            opener = await _opening_text(tx, attempt)
        crash_point(crashing.IN_SEED)
        seed = seeds.to_json(await self.seeds.make(material, now=now))
        return seed | {"carried": carried, "message": opener}

    async def _remember(self, attempt: Attempt, remote_id: str) -> None:
        """T3: from here on the id is ours; an id that we already know is no answer."""
        try:
            async with self.database.write.begin() as tx:
                is_new = await openings.take_id(tx, remote_id)
                if is_new:
                    opening = await openings.fenced_or_discard(tx, attempt, remote_id)
                    if opening is not None:
                        opening.remote_id = remote_id
                        opening.state = "seeding"
        except Exception:
            in_background(self._put_aside(remote_id))
            raise
        if not is_new:
            log.warning("openai_gave_a_known_id", conversation=remote_id)
            raise UpstreamUnavailable
        if opening is None:
            raise FenceLost

    async def _put_aside(self, remote_id: str) -> None:
        """Have an id that T3 could not write down deleted at OpenAI, as soon as the database is back.

        T3 may have been carried out all the same: then the id is known, and whoever takes over throws it away.
        """
        for _ in range(ASIDE_TRIES):
            await asyncio.sleep(ASIDE_SECONDS)
            with suppress(Exception):
                async with self.database.write.begin() as tx:
                    if await openings.take_id(tx, remote_id):
                        await openings.discard(tx, remote_id, "not_remembered")
                return
        log.warning("remote_left_behind", conversation=remote_id)

    async def _finish(self, attempt: Attempt, remote_id: str, now: datetime, *, answers: bool) -> None:
        """T4: close the old, insert the new, link the message, delete the opening."""
        async with self.database.write.begin() as tx:
            opening = await openings.fenced_or_discard(tx, attempt, remote_id)
            if opening is not None:
                await openings.finish(tx, opening, remote_id, now=now, settings=self.seeds.settings, answers=answers)
        if opening is None:
            raise FenceLost
        log.info(
            "conversation_created",
            conversation=remote_id,
            user=attempt.user_id,
            reason=attempt.plan.reason.value,
            topic=attempt.plan.topic,
            parent=attempt.parent_id,
            seed_tokens=(attempt.seed or {}).get("tokens", 0),
        )


def _items(seed: dict[str, Any]) -> list[dict[str, Any]]:
    said = [item("user", seed["message"])] if seed["message"] else []
    return [*seed_items(seed["text"]), *seed["carried"], *said]


async def _carried(tx: AsyncSession, attempt: Attempt) -> list[dict[str, Any]]:
    if attempt.plan.reason is not Reason.MESSAGE_CAP or attempt.parent_id is None:
        return []
    return carried_items(await seeds.last_said(tx, attempt.user_id, attempt.parent_id))


async def _opening_text(tx: AsyncSession, attempt: Attempt) -> str | None:
    """The message itself, when the gateway wants it inside the new conversation."""
    if not attempt.plan.seed_message or attempt.plan.message_id is None:
        return None
    message = await tx.get_one(Message, (attempt.user_id, attempt.plan.message_id))
    return without_controls(message.said) or None
