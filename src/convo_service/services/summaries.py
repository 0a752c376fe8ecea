"""Summaries by a model: claimed, asked outside of any transaction, held against the messages, kept as versions."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database, database_time
from convo_service.db.models import Conversation, Message, Profile, Summary
from convo_service.domain.digest import Entry
from convo_service.domain.edits import edited
from convo_service.domain.ids import new_id
from convo_service.domain.notes import NoteLine, is_doubled
from convo_service.domain.summary import (
    Checked,
    Closed,
    Evidence,
    OpenNote,
    Statement,
    checked,
    instructions,
    transcript,
)
from convo_service.errors import UpstreamUnavailable
from convo_service.llm.client import LLMClient, Question, Reply
from convo_service.llm.prices import cost_usd
from convo_service.llm.summary import SCHEMA, Unreadable, prompt_hash, read_summary
from convo_service.services import edits, entries, messages, notes, users, windows
from convo_service.services.arrivals import Clock
from convo_service.settings import Settings
from convo_service.telemetry import get_logger

ASK_SECONDS = 60.0
LEASE_SECONDS = 90.0  # the call and our transactions, plus a quarter
COUNTED_MESSAGES = 1000  # the newest, when a user's history is measured
DAY = timedelta(days=1)

log = get_logger()


@dataclass(frozen=True, slots=True)
class Asked:
    """A claimed summary: what to ask, and which messages and notes the model is shown."""

    id: str
    user_id: str
    conversation_id: str
    question: Question
    message_ids: Sequence[str]
    note_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Summaries:
    """Asks the model of this installation, when there is one."""

    database: Database
    llm: LLMClient
    settings: Settings
    clock: Clock

    @property
    def is_on(self) -> bool:
        """Whether summaries are wanted and there is a model to write them."""
        return self.settings.include_summary and self.settings.model_for_summaries is not None

    async def claim(
        self, tx: AsyncSession, conversation: Conversation, now: datetime, *, by_hand: bool = False
    ) -> Asked | None:
        """Reserve the summary of a conversation whose user is locked; None when there is none to be made.

        `by_hand`: an operator wants it, however short the history is.
        """
        model = self.settings.model_for_summaries
        if model is None or not self.is_on or await is_asked(tx, conversation):
            return None
        if not await self.is_within_budget(tx, conversation.user_id, now):
            return None
        if not by_hand and await _history_tokens(tx, conversation.user_id) < self.settings.summary_min_tokens:
            return None
        return await self._reserve(tx, conversation, model, now)

    async def answer(self, asked: Asked) -> str:
        """Ask the model and keep what may stand; says what became of it: kept, rejected, failed or late."""
        started = time.monotonic()
        try:
            reply = await self.llm.ask_for_json(asked.question, deadline=started + ASK_SECONDS)
        except UpstreamUnavailable:
            reply = None
        state, dropped = await self._settle(asked, reply)
        log.info(
            "summary_answered",
            state=state,
            user=asked.user_id,
            conversation=asked.conversation_id,
            summary=asked.id,
            model=asked.question.model,
            status=reply.status if reply is not None else None,
            input_tokens=reply.input_tokens if reply is not None else 0,
            output_tokens=reply.output_tokens if reply is not None else 0,
            dropped=dict(dropped),
            seconds=round(time.monotonic() - started, 3),
        )
        return state

    async def is_within_budget(self, tx: AsyncSession, user_id: str, now: datetime) -> bool:
        """Whether a user has a summary left within the last 24 hours; one that never came back costs nothing."""
        paid = sa.select(sa.func.count()).where(
            Summary.user_id == user_id, Summary.asked_at > now - DAY, Summary.state != "failed"
        )
        return int(await tx.scalar(paid) or 0) < self.settings.user_summaries_per_day

    async def _reserve(self, tx: AsyncSession, conversation: Conversation, model: str, now: datetime) -> Asked | None:
        user_id, language = conversation.user_id, self.settings.summary_language
        said = await messages.said_in(tx, user_id, conversation.id, most=self.settings.max_context_messages)
        if not said:
            return None
        earlier = await _earlier(tx, conversation)
        shown = [OpenNote(note.id, note.kind, note.text) for note in await notes.lines(tx, user_id)]
        row = Summary(
            user_id=user_id,
            id=new_id("sum"),
            conversation_id=conversation.id,
            state="asked",
            asked_at=now,
            lease_until=float(await tx.scalar(sa.select(database_time())) or 0) + LEASE_SECONDS,
            model=model,
            prompt_hash=prompt_hash(language),
            from_message_id=said[0].message_id,
            to_message_id=said[-1].message_id,
            covered_count=len(said),
            message_count=conversation.message_count,
        )
        tx.add(row)
        question = Question(
            model=model,
            instructions=instructions(language),
            content=transcript(said, earlier, shown),
            schema=SCHEMA,
            user_hash=hashlib.sha256(f"convo_service {user_id}".encode()).hexdigest(),
        )
        ids = [*(one.message_id for one in said), *(one for entry in earlier for one in entry.message_ids)]
        return Asked(row.id, user_id, conversation.id, question, ids, frozenset(note.id for note in shown))

    async def _settle(self, asked: Asked, reply: Reply | None) -> tuple[str, Counter[str]]:
        cost = await self._cost(asked.question.model, reply) if reply is not None else None
        async with self.database.write.begin() as tx:
            await users.lock(tx, asked.user_id)
            row = await tx.get_one(Summary, (asked.user_id, asked.id))
            if reply is None:
                row.state = "failed"
                return row.state, Counter()
            row.input_tokens, row.cached_input_tokens = reply.input_tokens, reply.cached_input_tokens
            row.output_tokens, row.cost_usd = reply.output_tokens, cost
            if await _is_late(tx, row):
                row.state = "failed"
                return "late", Counter()
            try:
                draft = read_summary(reply.text)
            except Unreadable:
                row.state = "rejected"
                return row.state, Counter()
            rows = await _cited(tx, asked)
            evidence = Evidence({one.id: one.said for one in rows.values()}, await _names(tx, asked.user_id))
            found = checked(draft, evidence)
            await _keep(tx, row, asked, found, rows, self.clock())
            return row.state, found.dropped

    async def _cost(self, model: str, reply: Reply) -> float | None:
        return await asyncio.to_thread(
            cost_usd,
            model,
            base_url=self.settings.openai_base_url,
            input_tokens=reply.input_tokens,
            cached_input_tokens=reply.cached_input_tokens,
            output_tokens=reply.output_tokens,
        )


async def read_count(tx: AsyncSession, conversation: Conversation) -> int:
    """How many messages the conversation had when a model last answered about it."""
    answered = _of(conversation).where(Summary.state.in_(("kept", "rejected")))
    newest = await tx.scalar(answered)
    return newest.message_count if newest is not None else 0


async def is_asked(tx: AsyncSession, conversation: Conversation) -> bool:
    """Whether somebody is asking a model about it at this moment."""
    now = float(await tx.scalar(sa.select(database_time())) or 0)
    newest = await tx.scalar(_of(conversation))
    return newest is not None and newest.state == "asked" and newest.lease_until > now


async def prepared(tx: AsyncSession, conversation: Conversation) -> tuple[list[Entry], list[Entry]]:
    """The topics and facts of the newest summary that was kept."""
    newest = await tx.scalar(_of(conversation).where(Summary.state == "kept"))
    if newest is None:
        return [], []
    return entries.all_from_json(newest.entries["topics"]), entries.all_from_json(newest.entries["facts"])


def _of(conversation: Conversation) -> sa.Select[Summary]:
    return (
        sa.select(Summary)
        .where(Summary.user_id == conversation.user_id, Summary.conversation_id == conversation.id)
        .order_by(Summary.id.desc())
        .limit(1)
    )


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
    conversation = await windows.get(tx, conversation.user_id, conversation.id)
    if conversation.seed is None:
        return []
    carried = entries.all_from_json(conversation.seed.entries)
    kept = edited("history", carried, await edits.of_user(tx, conversation.user_id))
    return [entry for entry in kept if entry.source == "digest" and not entry.edited]


async def _is_late(tx: AsyncSession, row: Summary) -> bool:
    """Whether somebody asked anew because our lease was over."""
    newer = sa.select(Summary.id).where(
        Summary.user_id == row.user_id, Summary.conversation_id == row.conversation_id, Summary.id > row.id
    )
    return row.state != "asked" or await tx.scalar(newer.limit(1)) is not None


async def _cited(tx: AsyncSession, asked: Asked) -> dict[str, Message]:
    rows = await tx.scalars(
        sa.select(Message).where(Message.user_id == asked.user_id, Message.id.in_(asked.message_ids))
    )
    return {row.id: row for row in rows}


async def _names(tx: AsyncSession, user_id: str) -> list[str]:
    profile = await tx.get(Profile, user_id)
    if profile is None:
        return []
    return [name for name in (profile.name, profile.last_name, profile.ragione_sociale) if name]


async def _keep(
    tx: AsyncSession, row: Summary, asked: Asked, found: Checked, rows: dict[str, Message], now: datetime
) -> None:
    """Keep the version; its issues and preferences become notes, and notes that are settled are closed."""
    draft = found.draft
    row.state = "kept"
    row.dropped = dict(found.dropped)
    row.entries = {
        "topics": _stored(draft.topics, rows),
        "facts": _stored(draft.facts, rows),
        "open_issues": _stored(draft.open_issues, rows),
        "preferences": _stored(draft.preferences, rows),
    }
    known = await notes.lines(tx, row.user_id, only_open=False)
    for kind, statements in (("issue", draft.open_issues), ("preference", draft.preferences)):
        for statement in statements:
            newest = max(rows[one].received_at for one in statement.message_ids)
            if not is_doubled(kind, statement.text, newest, known):
                new = notes.found(
                    tx, row.user_id, kind=kind, text=statement.text, message_ids=statement.message_ids, now=now
                )
                known.append(new)
    for closed in draft.closed:
        if _is_settled(closed, asked, known, rows):
            await notes.settle(tx, row.user_id, closed.note_id, closed.message_ids, now)


def _is_settled(closed: Closed, asked: Asked, known: Sequence[NoteLine], rows: dict[str, Message]) -> bool:
    """Whether a summary may close it: its own note, still open, and a message that came after it says so."""
    note = next((note for note in known if note.id == closed.note_id and note.id in asked.note_ids), None)
    if note is None or note.source != "summary" or note.resolved_at is not None:
        return False
    return any(one not in note.message_ids and _is_after(rows[one], note, rows) for one in closed.message_ids)


def _is_after(message: Message, note: NoteLine, rows: dict[str, Message]) -> bool:
    rests_on = [rows[one].sent_at for one in note.message_ids if one in rows]
    return not rests_on or message.sent_at > max(rests_on)


def _stored(statements: Iterable[Statement], rows: dict[str, Message]) -> list[dict[str, object]]:
    return [entries.to_json(_entry(statement, rows)) for statement in statements]


def _entry(statement: Statement, rows: dict[str, Message]) -> Entry:
    """A statement in its place in time: that of the newest message it rests on."""
    newest, *others = sorted(statement.message_ids, key=lambda one: (rows[one].sent_at, one), reverse=True)
    return Entry(statement.text, newest, "inbound", rows[newest].sent_at, source="llm", also=tuple(others))
