"""Summaries by a model: claimed, asked outside of any transaction, held against the messages, kept as versions."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database, database_time
from convo_service.db.models import Conversation, Message, Profile, Seed, Summary, User
from convo_service.domain.digest import Entry
from convo_service.domain.edits import edited
from convo_service.domain.ids import new_id
from convo_service.domain.summary import Checked, Evidence, Numbers, OpenNote, checked, instructions, transcript
from convo_service.domain.usage import Prices, Usage
from convo_service.errors import UpstreamRefused, UpstreamUnavailable
from convo_service.llm.client import LLMClient, Question
from convo_service.llm.replies import Reply
from convo_service.llm.summary import SCHEMA, Unreadable, prompt_hash, read_summary
from convo_service.services import edits, entries, findings, ledger, messages, metering, notes, templates, users
from convo_service.services.arrivals import Clock
from convo_service.settings import Settings
from convo_service.telemetry import get_logger, metrics

ASK_SECONDS = 60.0
LEASE_SECONDS = 90.0  # the call and our transactions, plus a quarter
COUNTED_MESSAGES = 1000  # the newest, when a user's history is measured
MOST_TRIES = 3  # that bring nothing, until something new is said
DAY = timedelta(days=1)

Unasked = Literal["in_progress", "budget_spent", "not_wanted"]
State = Literal["asked", "kept", "rejected", "failed", "late"]

log = get_logger()


@dataclass(frozen=True, slots=True)
class Asked:
    """A claimed summary: what to ask, and under which numbers the model is shown messages and notes."""

    id: str
    user_id: str
    conversation_id: str
    question: Question
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Summaries:
    """Asks the model of this installation, when there is one."""

    database: Database
    llm: LLMClient
    settings: Settings
    clock: Clock

    async def claim(self, tx: AsyncSession, conversation: Conversation, *, by_hand: bool = False) -> Asked | Unasked:
        """Reserve the summary of a conversation whose user is locked, or say why nobody is to be asked.

        `by_hand`: an operator wants it, however short the history is.
        """
        user_id = conversation.user_id
        tokens = await _history_tokens(tx, user_id)
        model = self.settings.model_for_summary_of(tokens)
        if model is None or not self.settings.include_summary:
            return "not_wanted"
        if not by_hand and tokens < self.settings.summary_min_tokens:
            return "not_wanted"
        await _give_up_expired(tx, user_id)
        if await _is_asked(tx, conversation):
            return "in_progress"
        if await _paid(tx, user_id, self.clock()) >= self.settings.user_summaries_per_day:
            return "budget_spent"
        return await self._reserve(tx, conversation, model)

    async def answer(self, asked: Asked) -> State:
        """Ask the model and keep what may stand; says what became of it."""
        started = time.monotonic()
        reply, state = await self._ask(asked, started + ASK_SECONDS)
        found = await self._checked(asked, reply) if reply is not None else None
        if reply is not None and found is None:
            state = "rejected"
        state = await self._settle(asked, reply, state, found)
        metrics.summaries.add(1, {"outcome": state})
        log.info(
            "summary_answered",
            state=state,
            user=asked.user_id,
            conversation=asked.conversation_id,
            summary=asked.id,
            model=asked.question.model,
            status=reply.status if reply is not None else None,
            input_tokens=reply.usage.input_tokens if reply is not None and reply.usage is not None else 0,
            output_tokens=reply.usage.output_tokens if reply is not None and reply.usage is not None else 0,
            dropped=dict(found.dropped) if found is not None else {},
            seconds=round(time.monotonic() - started, 3),
        )
        return state

    async def _ask(self, asked: Asked, deadline: float) -> tuple[Reply | None, State]:
        try:
            return await self.llm.ask_for_json(asked.question, deadline=deadline), "kept"
        except UpstreamRefused:
            return None, "rejected"  # the same question would be refused again
        except UpstreamUnavailable:
            return None, "failed"

    async def _reserve(self, tx: AsyncSession, conversation: Conversation, model: str) -> Asked | Unasked:
        template = await templates.at(tx, conversation.template, conversation.template_version)
        user_id, language = conversation.user_id, templates.language(template, self.settings)
        said = await messages.said_in(tx, user_id, conversation.id, most=self.settings.max_context_messages)
        if not said:
            return "not_wanted"
        earlier = await _earlier(tx, conversation)
        shown = [OpenNote(note.id, note.kind, note.text) for note in await notes.lines(tx, user_id)]
        row = Summary(
            user_id=user_id,
            id=new_id("sum"),
            conversation_id=conversation.id,
            state="asked",
            asked_at=self.clock(),
            lease_until=await _database_seconds(tx) + LEASE_SECONDS,
            model=model,
            prompt_hash=prompt_hash(language),
            from_message_id=said[0].message_id,
            to_message_id=said[-1].message_id,
            covered_count=len(said),
            message_count=conversation.message_count,
        )
        tx.add(row)
        content, numbers = transcript(said, earlier, shown)
        question = Question(
            model=model,
            instructions=instructions(language),
            content=content,
            schema=SCHEMA,
            user_hash=hashlib.sha256(f"convo_service {user_id}".encode()).hexdigest(),
        )
        return Asked(row.id, user_id, conversation.id, question, numbers)

    async def _checked(self, asked: Asked, reply: Reply) -> Checked | None:
        """What of the answer may stand, judged in a thread because it takes time; None when it is no summary."""
        try:
            draft = read_summary(reply.text, asked.numbers)
        except Unreadable:
            return None
        async with self.database.read.begin() as tx:
            rows = await messages.by_ids(tx, asked.user_id, asked.numbers.message_ids)
            evidence = Evidence({one.id: one.said for one in rows.values()}, await names_of(tx, asked.user_id))
        return await asyncio.to_thread(checked, draft, evidence)

    async def _settle(self, asked: Asked, reply: Reply | None, state: State, found: Checked | None) -> State:
        prices = await ledger.look_up_prices(asked.question.model, self.settings)
        async with self.database.write.begin() as tx:
            user = await users.lock(tx, asked.user_id)
            row = await tx.get_one(Summary, (asked.user_id, asked.id))
            if reply is not None:
                await self._enter(tx, user, row, reply, prices)
            if row.state != "asked":  # our lease was over, and somebody asked anew
                row.state = "late" if reply is not None else row.state
                return "late"
            row.state = state
            if found is not None:
                await findings.keep(tx, row, found, shown=asked.numbers.note_ids, now=self.clock())
            return state

    async def _enter(self, tx: AsyncSession, user: User, row: Summary, reply: Reply, prices: Prices | None) -> None:
        """What it used stands with the summary, and in the ledger among all calls of models."""
        used = reply.usage or Usage()
        call = ledger.Call("summary", row.id, row.model, reply.usage, self.clock(), prices)
        entered = ledger.entry(user, await tx.get_one(Conversation, (user.id, row.conversation_id)), call)
        tx.add(entered)
        metering.entered(tx, entered)
        row.input_tokens, row.cached_input_tokens = used.input_tokens, used.cached_input_tokens
        row.output_tokens, row.cost_usd = used.output_tokens, entered.cost_usd


async def read_count(tx: AsyncSession, conversation: Conversation) -> int:
    """How many messages the conversation had when a model answered last, or was given up on."""
    counts = (
        sa.select(Summary.message_count)
        .where(Summary.user_id == conversation.user_id, Summary.conversation_id == conversation.id)
        .group_by(Summary.message_count)
        .having(
            sa.or_(
                sa.func.sum(sa.case((Summary.state.in_(("kept", "rejected")), 1), else_=0)) > 0,
                sa.func.count() >= MOST_TRIES,
            )
        )
    )
    return int(await tx.scalar(sa.select(sa.func.max(counts.subquery().c.message_count))) or 0)


async def prepared(tx: AsyncSession, conversation: Conversation) -> tuple[list[Entry], list[Entry]]:
    """The topics and facts of the newest summary that was kept."""
    kept = sa.select(Summary).where(
        Summary.user_id == conversation.user_id,
        Summary.conversation_id == conversation.id,
        Summary.state == "kept",
    )
    newest = await tx.scalar(kept.order_by(Summary.id.desc()).limit(1))
    if newest is None:
        return [], []
    return entries.all_from_json(newest.entries["topics"]), entries.all_from_json(newest.entries["facts"])


async def _database_seconds(tx: AsyncSession) -> float:
    return float(await tx.scalar(sa.select(database_time())) or 0)


async def _give_up_expired(tx: AsyncSession, user_id: str) -> None:
    """Whoever asked and never came back has failed: it costs the user nothing, and its answer is too late from now."""
    await tx.execute(
        sa.update(Summary)
        .where(Summary.user_id == user_id, Summary.state == "asked", Summary.lease_until <= database_time())
        .values(state="failed")
    )


async def _is_asked(tx: AsyncSession, conversation: Conversation) -> bool:
    asked = sa.select(Summary.id).where(
        Summary.user_id == conversation.user_id,
        Summary.conversation_id == conversation.id,
        Summary.state == "asked",
    )
    return await tx.scalar(asked.limit(1)) is not None


async def _paid(tx: AsyncSession, user_id: str, now: datetime) -> int:
    """How many calls of the last 24 hours count; one that brought no answer does not."""
    paid = sa.select(sa.func.count()).where(
        Summary.user_id == user_id, Summary.asked_at > now - DAY, Summary.state != "failed"
    )
    return int(await tx.scalar(paid) or 0)


async def _history_tokens(tx: AsyncSession, user_id: str) -> int:
    newest = (
        sa.select(sa.func.length(Message.text).label("chars"))
        .where(Message.user_id == user_id)
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(COUNTED_MESSAGES)
        .subquery()
    )
    return -(-int(await tx.scalar(sa.select(sa.func.sum(newest.c.chars))) or 0) // 4)


async def _earlier(tx: AsyncSession, conversation: Conversation) -> list[Entry]:
    """Pieces of earlier messages that the conversation began with: never a model's words, nor an operator's."""
    seed = await tx.get(Seed, (conversation.user_id, conversation.id))
    if seed is None:
        return []
    kept = edited("history", entries.all_from_json(seed.entries), await edits.of_user(tx, conversation.user_id))
    return [entry for entry in kept if entry.source == "digest" and not entry.edited]


async def names_of(tx: AsyncSession, user_id: str) -> list[str]:
    """The verified names of a user, which a statement may say beside what was said."""
    profile = await tx.get(Profile, user_id)
    if profile is None:
        return []
    return [name for name in (profile.name, profile.last_name, profile.ragione_sociale) if name]
