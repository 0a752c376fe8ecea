"""Asking the model for the reply of a turn, so that no message is ever answered twice."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.db.models import Conversation, Message, Turn
from convo_service.domain.record import missed_items
from convo_service.errors import UpstreamLocked, UpstreamRefused
from convo_service.llm.client import LLMClient
from convo_service.llm.replies import RECENT_ITEMS, Heard, OnDelta, Prompt, Reply
from convo_service.services import messages, windows
from convo_service.services.arrivals import Answer

LOCKED_SECONDS = 0.25  # between two questions whether OpenAI is done with another answer


@dataclass(frozen=True, slots=True)
class Role:
    """Which model answers, and what it is told to be."""

    model: str
    instructions: str | None


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks for so many seconds at most."""

    database: Database
    llm: LLMClient
    seconds: float

    async def ask(self, turn: Turn, answer: Answer, role: Role, on_delta: OnDelta | None, *, is_first: bool) -> Reply:
        """What the model says to the message of an answer, in its conversation: a reply, or that it has none.

        `is_first`: nobody can have asked in the conversation before, so what it is to start with is not there.

        Raises UpstreamLost when the conversation is not there any more, and UpstreamUnavailable.
        """
        prompt = Prompt(
            model=role.model,
            conversation_id=answer.conversation.id,
            text=answer.input or "",
            instructions=role.instructions,
            turn_id=turn.id,
            user_hash=hashlib.sha256(f"convo_service {turn.user_id}".encode()).hexdigest(),
            start=await self._owed(answer.conversation, is_first=is_first),
            missed=await self._missed(answer),
        )
        return await self._ask(turn, prompt, on_delta, is_first=is_first)

    async def _owed(self, conversation: Conversation, *, is_first: bool) -> Sequence[dict[str, Any]]:
        """What the conversation still has to start with: a turn that was before this one may have seen to it."""
        if conversation.owed_items is not None and not is_first:
            async with self.database.read.begin() as tx:
                conversation = await windows.get(tx, conversation.user_id, conversation.id)
        return conversation.owed_items or ()

    async def _missed(self, answer: Answer) -> Sequence[dict[str, Any]]:
        """What was said while a person answered, as far as the model was not told."""
        if answer.pause is None:
            return ()
        async with self.database.read.begin() as tx:
            return missed_items(await messages.missed_in(tx, answer.conversation, but=answer.message))

    async def _ask(self, turn: Turn, prompt: Prompt, on_delta: OnDelta | None, *, is_first: bool) -> Reply:
        """Ask until OpenAI is done with other answers here; what it may have said already is looked for first."""
        deadline = time.monotonic() + self.seconds
        while True:
            if turn.uncertain and (found := await self._find(turn, prompt, deadline)) is not None:
                return found
            if prompt.start and not is_first:
                there = await self.llm.holds_anything(prompt.conversation_id, deadline=deadline)
                prompt = replace(prompt, start=()) if there else prompt
            if prompt.missed and not is_first:  # a turn that nobody heard the answer of may have brought it
                told = await self.llm.holds(prompt.conversation_id, prompt.missed, deadline=deadline)
                prompt = replace(prompt, missed=()) if told else prompt
            try:
                return await self._reply(prompt, deadline, on_delta)
            except UpstreamLocked:
                if time.monotonic() + LOCKED_SECONDS > deadline:
                    raise
            is_first = False  # whoever is being answered may have sent the seed
            await asyncio.sleep(LOCKED_SECONDS)

    async def _reply(self, prompt: Prompt, deadline: float, on_delta: OnDelta | None) -> Reply:
        """Ask; when OpenAI refuses, and takes the message alone, what was to stand before it is left out for good."""
        try:
            return await self.llm.reply(prompt, deadline=deadline, on_delta=on_delta)
        except UpstreamRefused:
            if not prompt.start and not prompt.missed:
                raise
            alone = replace(prompt, start=(), missed=())
            reply = await self.llm.reply(alone, deadline=deadline, on_delta=on_delta)
            return replace(reply, start_refused=True)

    async def _find(self, turn: Turn, prompt: Prompt, deadline: float) -> Reply | None:
        async with self.database.read.begin() as tx:
            known = await _heard(tx, await windows.get(tx, turn.user_id, prompt.conversation_id))
        return await self.llm.find_reply(prompt, known, deadline=deadline)


async def _heard(tx: AsyncSession, conversation: Conversation) -> Heard:
    """The replies that belong to other messages: those of turns by their items, and others, of which we know no item.

    What a rollover carried along stands among the items, too: so the parent's last words are other messages' as well.
    """
    where = (Message.user_id == conversation.user_id, Message.direction == "outbound")
    said = sa.select(Message.text, Message.conversation_id, Turn.reply_item_id).outerjoin(
        Turn, sa.and_(Turn.user_id == Message.user_id, Turn.reply_message_id == Message.id)
    )
    rows: list[Any] = []
    for one in (conversation.id, conversation.parent_conversation_id):
        newest = said.where(*where, Message.conversation_id == one).order_by(Message.sent_at.desc(), Message.id.desc())
        rows += (await tx.execute(newest.limit(RECENT_ITEMS))).all() if one is not None else []
    ours = {row.reply_item_id for row in rows if row.reply_item_id is not None}
    others = {row.text for row in rows if row.reply_item_id is None or row.conversation_id != conversation.id}
    return Heard(frozenset(ours), frozenset(others))
