"""T1 of the opening protocol: a message arrives, is stored, and finds its conversation or claims the next one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, Opening, Turn, User
from convo_service.domain.catalog import Catalog
from convo_service.domain.identities import normalise
from convo_service.domain.rollout import Cohort, Rollout
from convo_service.domain.window import Arrival, Decision, Latest, Owed, Reason, WindowPolicy
from convo_service.errors import IdentityTaken, TopicsAreOff
from convo_service.services import messages, openings, pauses, tombstones, users, windows
from convo_service.services.messages import NewMessage
from convo_service.services.openings import Attempt, Plan
from convo_service.services.pauses import Pause
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings

GENERAL = "general"

Clock = Callable[[], datetime]


def check_topic(topic: str, settings: Settings) -> None:
    """Raise TopicsAreOff for a topic that this installation does not have."""
    if topic != GENERAL and settings.topics == "off":
        raise TopicsAreOff


class Entry(Protocol):
    """Takes a place in the user's line of turns, in the transaction that stores the message."""

    attempt_id: str
    turn: Turn | None

    async def arrive(self, tx: AsyncSession, user: User, message: Message, *, is_new: bool) -> bool:
        """Enter, and say whether it is the message's time to find its conversation."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """What a gateway asks for: the conversation of this identity, for this message, and for its turn, if it has one."""

    identity: str
    aliases: Sequence[str] = ()
    message: NewMessage | None = None
    topic: str = GENERAL  # as somebody said it, unless it is open
    is_topic_open: bool = False  # nobody said it: it is the likely one, else that of what was said before
    likely_topic: str | None = None  # what the wording says
    template: str | None = None
    seed_message: bool = False
    entry: Entry | None = None

    @property
    def sends_seed(self) -> bool:
        """Whether the caller is a turn, which takes a conversation whose seed is owed, and sends it along."""
        return self.entry is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """The conversation to use at OpenAI, and what became of the message."""

    conversation: Conversation
    message: Message | None = None
    created: bool = False
    duplicate: bool = False
    degraded: bool = False
    notice: str | None = None  # what is said to a command
    pause: Pause | None = None
    missed: Sequence[dict[str, Any]] = ()  # items that whoever asks OpenAI himself has to put before the message

    @property
    def is_command(self) -> bool:
        """Whether the message was `/new`, and not a late one, which does nothing."""
        return self.message is not None and self.message.is_command and not self.message.late

    @property
    def is_silent(self) -> bool:
        """Whether a person answers in the bot's place."""
        return self.pause is not None and not self.pause.is_over

    @property
    def reply(self) -> str | None:
        """What the gateway can send when the command stood alone."""
        alone = self.is_command and self.input is None and not self.is_silent
        return self.notice if alone else None

    @property
    def input(self) -> str | None:
        """What of the message belongs to the model; None when nothing does."""
        if self.message is None or self.is_silent:
            return None
        return self.message.said or None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The opening is ours: `message` is the one that we carry, which need not be the one that it waits for."""

    attempt: Attempt
    message: Message | None
    sends_seed: bool = False  # as in the call
    pause: Pause | None = None

    @property
    def is_own(self) -> bool:
        """Whether carrying the opening through answers our own message."""
        return self.attempt.plan.message_id == (self.message.id if self.message is not None else None)


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else is opening this user's conversation of the topic, or somebody's message comes first."""

    user_id: str
    topic: str


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Places messages by the rules of this installation; every method works inside the caller's transaction."""

    settings: Settings
    rollout: Rollout
    clock: Clock

    async def arrive(
        self, tx: AsyncSession, call: Call, marker: Marker, catalog: Catalog
    ) -> Answer | IdentityTaken | Busy | Claimed:
        """T1: find the user, store the message, decide. Raises MessageErased and TemplateNotFound."""
        now = self.clock()
        at = messages.event_time(call.message.sent_at if call.message else None, now)
        names = (call.identity, call.aliases)
        user, taken = await users.arrive(tx, *names, at=at, rollout=self.rollout, marker=marker)
        pause = await pauses.judge(tx, user, now)
        found = await self._find(tx, call, marker, user, catalog, taken=taken, now=now)
        return replace(found, pause=pause) if isinstance(found, Answer | Claimed) else found

    async def _find(
        self, tx: AsyncSession, call: Call, marker: Marker, user: User, catalog: Catalog, *, taken: bool, now: datetime
    ) -> Answer | IdentityTaken | Busy | Claimed:
        """Store the message, unless it was here before, and say where it belongs."""
        message, is_time = None, True
        at = messages.event_time(call.message.sent_at if call.message else None, now)
        if (new := call.message) is not None:
            await tombstones.refuse(tx, user, new.external_id, marker, now)
            known = await messages.known(tx, user.id, new)
            call = await self._with_topic(tx, call, user, known, at)
            message = known or await self._counted(tx, call.topic, new, marker, user, now)
            message.missed |= message.conversation_id is None and pauses.is_paused(user, now)
            tx.add(message)
            if call.entry is not None and (message.conversation_id is not None or not taken):
                await tx.flush()
                is_time = await call.entry.arrive(tx, user, message, is_new=known is None)
            if message.conversation_id is not None:
                return await _known(tx, message)
        if taken:
            return IdentityTaken()
        if not is_time:
            return Busy(user.id, call.topic)
        if new is None:
            call = await self._with_topic(tx, call, user, None, at)
        return await self._place(tx, call, user, message, at, catalog)

    async def _with_topic(self, tx: AsyncSession, call: Call, user: User, known: Message | None, at: datetime) -> Call:
        """The call with its topic: in doubt that of what was said before, which holds for the holdout's one talk, too.

        A message that was here before and found no conversation keeps its topic.
        """
        if not call.is_topic_open:
            return call
        topic = known.topic if known is not None else call.likely_topic
        if topic is None or (known is None and user.cohort == Cohort.HOLDOUT):
            topic = await messages.topic_at(tx, user.id, at)
        return replace(call, topic=topic or GENERAL, is_topic_open=False)

    async def _counted(
        self, tx: AsyncSession, topic: str, new: NewMessage, marker: Marker, user: User, now: datetime
    ) -> Message:
        """The row of a new message; one that was revoked before it came says nothing."""
        is_revoked = await tombstones.is_revoked(tx, user, new.external_id, marker, now)
        said = messages.revoked(new) if is_revoked else new
        message = messages.counted(user, said, topic=topic, now=now, commands=self.settings.reset_words)
        message.revoked_at = now if is_revoked else None
        return message

    async def _place(
        self, tx: AsyncSession, call: Call, user: User, message: Message | None, at: datetime, catalog: Catalog
    ) -> Answer | Busy | Claimed:
        """Go on with the active conversation, or claim the opening of the next."""
        latest = await windows.current_or_last(tx, user.id, call.topic)
        opening = await openings.pending(tx, user.id, call.topic)
        at = message.sent_at if message is not None else at
        decision = self._decide(user, message, latest, opening, at)
        if message is not None:
            message.topic = call.topic
            message.late = decision.late
            await tx.flush()
        if decision.reason is None and latest is not None:
            if message is not None:
                await self._join(tx, message, latest)
            if latest.cohort != user.cohort:
                latest.cohort = user.cohort
            return Answer(latest, message)
        plan = Plan(
            topic=call.topic,
            reason=decision.reason or Reason.FIRST_CONTACT,
            identity=call.identity if call.identity == user.id else normalise(call.identity).value,
            opened_at=at,
            template=catalog.choose(call.template, call.topic),
            message_id=message.id if message is not None else None,
            forget=opening is not None and opening.forget and opening.reason == decision.reason,
            seed_message=call.seed_message,
        )
        attempt = await openings.claim(tx, user, plan, latest.id if latest is not None else None, opening)
        return Busy(user.id, call.topic) if attempt is None else Claimed(attempt, message, call.sends_seed)

    def _decide(
        self, user: User, message: Message | None, latest: Conversation | None, opening: Opening | None, at: datetime
    ) -> Decision:
        policy = WindowPolicy(windows.cap(self.settings, latest), endless=user.cohort == Cohort.HOLDOUT)
        arrival = Arrival(
            at, has_message=message is not None, is_command=message.is_command if message is not None else False
        )
        owed = Owed(opening.opened_at, Reason(opening.reason)) if opening is not None else None
        return policy.decide(arrival, _rules_see(latest), owed=owed, first=_first(user))

    async def _join(self, tx: AsyncSession, message: Message, current: Conversation) -> None:
        """A late message belongs to the conversation that covers its time, and is answered with the current one."""
        message.answered_conversation_id = current.id
        home = current
        if message.late:
            home = await windows.covering(tx, message.user_id, message.topic, message.sent_at)
        messages.join(message, home, moves_window=not message.late, rules=windows.sweep_rules(self.settings, home))

    async def claim_reset(
        self, tx: AsyncSession, user_id: str, topic: str, catalog: Catalog, *, forget: bool
    ) -> Busy | Claimed:
        """Claim the opening that an operator asks for, of the same template while there is one; raises UserNotFound."""
        user = await users.lock(tx, user_id)
        latest = await windows.current_or_last(tx, user_id, topic)
        plan = Plan(
            topic=topic,
            reason=Reason.OPERATOR if latest is not None else _first(user),
            identity=latest.identity if latest is not None else user_id,
            opened_at=self.clock(),
            template=catalog.choose_again(latest.template if latest is not None else None, topic),
            forget=forget,
        )
        opening = await openings.pending(tx, user_id, topic)
        attempt = await openings.claim(tx, user, plan, latest.id if latest is not None else None, opening)
        return Busy(user_id, topic) if attempt is None else Claimed(attempt, None)


async def _known(tx: AsyncSession, message: Message) -> Answer:
    """The answer of the first time; or, for a message that somebody else's request has placed meanwhile, its first."""
    if message.answered_conversation_id is not None:
        return Answer(await windows.get(tx, message.user_id, message.answered_conversation_id), message, duplicate=True)
    placed = await windows.get(tx, message.user_id, message.conversation_id or "")
    current = placed if placed.is_active else await windows.active(tx, message.user_id, message.topic) or placed
    message.answered_conversation_id = current.id
    return Answer(current, message)


def _first(user: User) -> Reason:
    return Reason.TOPIC_CHANGE if user.conversation_count else Reason.FIRST_CONTACT


def _rules_see(latest: Conversation | None) -> Latest | None:
    if latest is None:
        return None
    return Latest(
        last_inbound_at=latest.last_inbound_at,
        timeout=latest.timeout,
        message_count=latest.message_count,
        closed_reason=None if latest.is_active else Reason(latest.closed_reason or Reason.OPERATOR),
    )
