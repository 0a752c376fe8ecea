"""The warm path: a message that goes on with its conversation, which is nearly every one, without a session.

It does what `arrivals` does in this case, in one short piece of work; whenever anything has to be decided, or the
database fails, it leaves the message to `arrivals`.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.faults import is_of_database
from convo_service.db.models import Conversation, Message, Seed, Turn
from convo_service.db.prepared import Row
from convo_service.db.records import made, record
from convo_service.domain.baseline import item_tokens
from convo_service.domain.commands import command_length
from convo_service.domain.identities import USER_ID, normalise
from convo_service.domain.ids import new_id
from convo_service.domain.rollout import Rollout
from convo_service.domain.sweep import near_cap
from convo_service.services import messages, warm_statements, windows
from convo_service.services.arrivals import Answer, Call, Clock
from convo_service.services.messages import NewMessage
from convo_service.services.warm_statements import Kind, TopicOf
from convo_service.settings import Settings
from convo_service.telemetry import Seldom, failure, get_logger, metrics

SILENT_SECONDS = 10.0  # between two lines about a database that does not answer
PATIENCE_SECONDS = 3.0  # with a database that does not answer; the long way has the rest of the request's time

log = get_logger()


@dataclass(frozen=True, slots=True)
class Warm:
    """Takes messages by the rules of this installation."""

    database: Database
    settings: Settings
    rollout: Rollout
    clock: Clock
    is_time_to_say: Seldom = field(default_factory=lambda: Seldom(SILENT_SECONDS))

    async def arrive(self, call: Call) -> Answer | None:
        """Store the message and return its conversation; None when something has to be decided first.

        Raises SentAtInFuture and InvalidIdentity.
        """
        new = call.message
        if new is None or new.external_id is None:
            return None
        if command_length(new.text, self.settings.reset_words):
            return None
        now = self.clock()
        kind, given = self._given(call, new, now)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                work = partial(warm_statements.arrive, kind=kind, given=given)
                row = await self.database.lane.run(work)
        except Exception as error:
            if not is_of_database(error):
                raise
            self._failed(error)
            return None
        return None if row is None else _answer(call, row, given)

    def _failed(self, error: Exception) -> None:
        """The database's fault: whoever decides meets it again, and answers. It is counted, and said now and then."""
        metrics.quick_failures.add(1, {"error.type": type(error).__name__})
        if self.is_time_to_say():
            log.warning("quick_way_failed", **failure(error))

    def _given(self, call: Call, new: NewMessage, now: datetime) -> tuple[Kind, dict[str, Any]]:
        at = messages.event_time(new.sent_at, now)
        rules, entry = windows.sweep_rules(self.settings), call.entry
        by_user_id = USER_ID.fullmatch(call.identity) is not None
        given: dict[str, Any] = {
            "identity": call.identity if by_user_id else normalise(call.identity).value,
            "topic": call.likely_topic or call.topic,
            "rollout": self.rollout.mark,
            "cap": rules.cap,
            "near_cap": near_cap(rules.cap),
            "quiet_seconds": rules.idle_summary_after.total_seconds(),
            "quiet_at": now + rules.idle_summary_after,
            "sent_at": at,
            "sent_epoch": at.timestamp(),
            "received_at": now,
            "message_id": new_id("msg"),
            "external_id": new.external_id,
            "text": new.text,
            "tokens": item_tokens(new.text),
        }
        given |= {f"alias_{number}": normalise(one).value for number, one in enumerate(call.aliases)}
        if entry is not None:
            given |= {"turn_id": new_id("turn"), "attempt_id": entry.attempt_id}
        topic: TopicOf = "said" if not call.is_topic_open else "current" if call.likely_topic is None else "likely"
        return Kind(by_user_id, len(call.aliases), entry is not None, topic), given


def _answer(call: Call, row: Row, given: dict[str, Any]) -> Answer:
    conversation = record(Conversation, row)
    seed = record(Seed, row) if row["seeds.user_id"] is not None else None
    sa.orm.attributes.set_committed_value(conversation, "seed", seed)
    message = made(
        Message,
        user_id=conversation.user_id,
        id=given["message_id"],
        topic=conversation.topic,
        conversation_id=conversation.id,
        answered_conversation_id=conversation.id,
        direction="inbound",
        text=given["text"],
        command_length=0,
        external_id=given["external_id"],
        sent_at=given["sent_at"],
        received_at=given["received_at"],
        late=False,
    )
    if call.entry is not None:
        call.entry.turn = made(
            Turn,
            user_id=conversation.user_id,
            id=given["turn_id"],
            number=1,
            message_id=message.id,
            status="in_progress",
            attempt_id=call.entry.attempt_id,
            lease_until=0.0,  # the database has it
            uncertain=False,
            created=False,
            created_at=given["received_at"],
        )
    return Answer(conversation, message)
