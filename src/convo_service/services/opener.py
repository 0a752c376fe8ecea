"""S2 to T4 of the opening protocol: the seed, the calls to OpenAI, and what is written after each of them.

With an id of the reserve S2 and T3 are one transaction. When nothing has to be sent before the conversation is used,
because it starts empty or its first turn has the seed to send along (services.owing), T4 is in it, too.
"""

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
from convo_service.errors import UpstreamLost, UpstreamUnavailable
from convo_service.llm.client import LLMClient
from convo_service.services import metering, openings, reserve, seeds, templates
from convo_service.services.garbage import put_aside
from convo_service.services.openings import Attempt, FenceLost, Finish, Opened
from convo_service.services.patience import Patience, in_background
from convo_service.services.seeds import SeedMaker
from convo_service.telemetry import get_logger

# What an opening keeps when OpenAI refused its seed: a conversation that starts empty is better than none.
WITHOUT: dict[str, Any] = {"text": "", "carried": [], "message": None}

log = get_logger()


@dataclass(frozen=True, slots=True)
class Opener:
    """Carries a claimed opening through."""

    database: Database
    llm: LLMClient
    seeds: SeedMaker

    async def open(
        self, attempt: Attempt, patience: Patience, *, answers: bool, sends_seed: bool, now: datetime
    ) -> Opened:
        """Run S2 to T4 and return the new conversation.

        `answers`: the caller carries the message that the opening waits for, and waits until `patience` is over.
        `sends_seed`: the caller asks the model in it next, and sends the seed along.

        Raises UpstreamUnavailable (the opening stays claimed: release it) and FenceLost.
        """
        deadline = patience.openai_deadline
        attempt = await self._seeded(attempt, now)
        items = _items(attempt.seed or WITHOUT)
        to_send, owed = ([], items) if sends_seed else (items, [])

        def finish() -> Finish:
            return Finish(self.seeds.settings, now, answers and not patience.is_over, attempt.seed, owed)

        reserved = await self._reserved(attempt, None if to_send else finish())
        if isinstance(reserved, Opened):
            opened = reserved
        else:
            remote_id = await self._filled(attempt, reserved, to_send, deadline)
            opened = await self._finish(attempt, remote_id, finish())
        metering.opened(attempt.plan.reason, attempt.seed)
        log.info(
            "conversation_created",
            conversation=opened.conversation.id,
            user=attempt.user_id,
            reason=attempt.plan.reason.value,
            topic=attempt.plan.topic,
            parent=attempt.parent_id,
            seed_tokens=(attempt.seed or {}).get("tokens", 0),
        )
        crash_point(crashing.AFTER_T4)
        return opened

    async def _reserved(self, attempt: Attempt, finish: Finish | None) -> Opened | str | None:
        """Save the seed, so that whoever takes over uses the same, and take an id of the reserve, if there is one.

        `finish`: nothing has to be sent before the conversation is used, so that an id is all that is needed. Where
        OpenAI has lost one conversation, those of the reserve may be lost, too.
        """
        async with self.database.write.begin() as tx:
            opening = await openings.fenced(tx, attempt)
            lost = attempt.plan.reason is Reason.LOST_UPSTREAM
            remote_id = None if lost else await reserve.take(tx)
            if remote_id is not None and finish is not None:
                return await openings.finish(tx, opening, remote_id, finish)
            opening.seed = attempt.seed
            if remote_id is not None:
                opening.remote_id, opening.state = remote_id, "seeding"
        if remote_id is None:
            crash_point(crashing.AFTER_SEED)
        return remote_id

    async def _filled(
        self, attempt: Attempt, remote_id: str | None, items: list[dict[str, Any]], deadline: float
    ) -> str:
        """S3 to S4: the id of a conversation that holds these items; one of the reserve that is lost is replaced."""
        if remote_id is None:
            remote_id = await self._created(attempt, deadline)
        crash_point(crashing.AFTER_T3)
        if items:
            try:
                await self.llm.add_items(remote_id, items, deadline=deadline)
            except UpstreamLost:
                remote_id = await self._created(attempt, deadline)
                await self.llm.add_items(remote_id, items, deadline=deadline)
        crash_point(crashing.SEEDED)
        return remote_id

    async def _created(self, attempt: Attempt, deadline: float) -> str:
        """S3 and T3."""
        remote_id = await self.llm.create_conversation(attempt.id, deadline=deadline)
        crash_point(crashing.CREATED)
        await self._remember(attempt, remote_id)
        return remote_id

    async def _seeded(self, attempt: Attempt, now: datetime) -> Attempt:
        """S2: with its seed, which an earlier attempt may have made."""
        if attempt.seed is not None:
            return attempt
        return replace(attempt, seed=await self._made(attempt, now) if attempt.may_seed else dict(WITHOUT))

    async def _made(self, attempt: Attempt, now: datetime) -> dict[str, Any]:
        plan = attempt.plan
        async with self.database.read.begin() as tx:
            material = await self.seeds.gather(tx, attempt.user_id, plan.topic, forget=plan.forget)
            carried = await _carried(tx, attempt)
            opener = await _opening_text(tx, attempt)
            template = await templates.at(tx, *plan.template)
        crash_point(crashing.IN_SEED)
        seed = seeds.to_json(await self.seeds.make(material, template, now=now))
        return seed | {"carried": carried, "message": opener}

    async def _remember(self, attempt: Attempt, remote_id: str) -> None:
        """T3: from here on the id is ours; an id that we already know is no answer."""
        try:
            async with self.database.write.begin() as tx:
                is_new = await openings.take_id(tx, remote_id)
                if is_new:
                    opening = await openings.fenced_or_discard(tx, attempt, remote_id)
                    if opening is not None:
                        if opening.remote_id is not None:
                            await openings.discard(tx, opening.remote_id, "lost")
                        opening.remote_id, opening.state = remote_id, "seeding"
        except Exception:
            in_background(put_aside(self.database, remote_id))
            raise
        if not is_new:
            log.warning("openai_gave_a_known_id", conversation=remote_id)
            raise UpstreamUnavailable
        if opening is None:
            raise FenceLost

    async def _finish(self, attempt: Attempt, remote_id: str, finish: Finish) -> Opened:
        """T4: close the old, insert the new, link the message, delete the opening."""
        async with self.database.write.begin() as tx:
            opening = await openings.fenced_or_discard(tx, attempt, remote_id)
            if opening is not None:
                return await openings.finish(tx, opening, remote_id, finish)
        raise FenceLost


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
