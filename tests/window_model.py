"""The window as one person lives it: a third reading of the contract, as a state that can be asked after each thing.

It is written from the sentences of the contract and imports nothing of ours. Where they are silent it follows README's
"Decisions", or says what it takes them to mean; `Silent:` marks each such place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

TIMEOUT = timedelta(hours=48)
AHEAD = timedelta(minutes=5)
CAP = 5
COMMANDS = ("/new", "/nuova", "/reset")
STILL_USABLE = ("idle_timeout", "message_cap")  # after these the old conversation is served while OpenAI is away


@dataclass(eq=False, slots=True)
class Message:
    """What was said; `home` is the conversation that it belongs to, `answered` the one that its sender was given."""

    direction: str
    text: str
    sent_at: datetime
    received_at: datetime
    id: str | None = None
    is_appended: bool = False  # through /messages
    late: bool = False
    home: "Conversation | None" = None
    answered: "Conversation | None" = None

    @property
    def is_command(self) -> bool:
        """Whether the user wrote `/new`; only what a user writes is one."""
        return self.direction == "inbound" and self.text.split()[0] in COMMANDS

    @property
    def said(self) -> str:
        """What of it is counted and belongs to the model: not the command."""
        return self.text.partition(" ")[2] if self.is_command else self.text


@dataclass(eq=False, slots=True)
class Conversation:
    """One window; `id` is learned from the service, whose parents and children make the same chain."""

    parent: "Conversation | None"
    created_at: datetime
    created_reason: str
    last_message_at: datetime
    last_inbound_at: datetime
    inbound_received_at: datetime
    made_at: datetime  # wall clock
    closed_at: datetime | None = None
    closed_reason: str | None = None
    message_count: int = 0
    id: str | None = None

    @property
    def is_active(self) -> bool:
        """Until it is closed."""
        return self.closed_reason is None

    def close(self, reason: str, now: datetime) -> None:
        """Once and for all."""
        if self.is_active:
            self.closed_reason, self.closed_at = reason, now

    def take(self, message: Message, *, moves: bool) -> None:
        """Count a message, and move the window when it is a current one of the user."""
        message.home = self
        if message.said:
            self.message_count += 1
            self.last_message_at = max(self.last_message_at, message.sent_at)
        if moves:
            self.last_inbound_at, self.inbound_received_at = message.sent_at, message.received_at


@dataclass(slots=True)
class Owed:
    """A rollover that was decided and is not made yet; it may wait for the message that it was promised to."""

    reason: str
    opened_at: datetime
    since: datetime  # what was said from here on belongs to the next conversation
    message: Message | None

    @property
    def waits(self) -> bool:
        """Whether its message has no conversation yet."""
        return self.message is not None and self.message.home is None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller is told."""

    status: int
    code: str | None = None
    conversation: Conversation | None = None
    message: Message | None = None
    duplicate: bool = False
    degraded: bool = False

    @property
    def is_command(self) -> bool:
        """Whether the answer is that of a `/new` that did something."""
        message = self.message
        return message is not None and message.is_command and not message.late and not message.is_appended


@dataclass(frozen=True, slots=True)
class Said:
    """What a gateway sends: no time means now."""

    text: str
    id: str | None = None
    at: datetime | None = None
    direction: str = "inbound"


@dataclass(slots=True)
class Person:
    """One user, without topics; `remote` says of each call that OpenAI gets whether it is answered."""

    identity: str
    endless: bool = False
    conversations: list[Conversation] = field(default_factory=list)  # as they were opened
    messages: list[Message] = field(default_factory=list)
    owed: Owed | None = None

    @property
    def newest(self) -> Conversation | None:
        """The active conversation, or the last that was closed: nothing is opened while another is active."""
        return self.conversations[-1] if self.conversations else None

    @property
    def last_inbound_at(self) -> datetime | None:
        """What `late` is judged against: the last inbound of the (user, topic).

        Silent: which those are, when some did not move a window; here those that the windows are judged on.
        """
        return max((one.last_inbound_at for one in self.conversations), default=None)

    def ends_at(self, conversation: Conversation) -> datetime | None:
        """When its window ends if nobody writes."""
        return None if self.endless else conversation.last_inbound_at + TIMEOUT

    def hears(self, said: Said, now: datetime, remote: Iterator[bool]) -> Answer:
        """POST /conversations."""
        refused = self._refused(said, now)
        if refused is not None:
            return refused
        known = self._known(said)
        if known is not None and known.home is not None:
            return self._again(known)
        # Silent: a message that was kept after a 503 keeps the time of its first arrival, too.
        message = known or self._store(said, now)
        status = 200
        while (reason := self._reason(message)) is not None:
            owed = self._claim(reason, message.sent_at, message)
            if not next(remote):
                return self._without_openai(owed, message)
            opened = self._open(owed, now)
            status = 201
            if owed.message is message:
                message.answered = opened
                return Answer(status, conversation=opened, message=message)
        return Answer(status, conversation=self._place(message), message=message)

    def appends(self, conversation: Conversation, batch: Sequence[Said], now: datetime) -> Answer:
        """POST /conversations/{id}/messages: all of it or nothing."""
        for said in batch:
            if (refused := self._refused(said, now)) is not None:
                return refused
        for said in batch:
            if self._known(said) is None:
                self._settle(self._store(said, now), conversation)
        return Answer(201, conversation=conversation)

    def reset(self, now: datetime, remote: Iterator[bool]) -> Answer:
        """The operator's `/new`; README: a `/new` that failed is carried out before what came after it."""
        while True:
            owed = self._claim("operator" if self.conversations else "first_contact", now, None)
            if not next(remote):
                return Answer(503, "upstream_unavailable")
            opened = self._open(owed, now)
            if owed.message is None:
                return Answer(201, conversation=opened)

    def is_made_up(self, now: datetime, remote: Iterator[bool]) -> None:
        """The worker carries out what is owed, as it was promised."""
        if self.owed is not None and next(remote):
            self._open(self.owed, now)

    def is_over(self, conversation: Conversation, now: datetime) -> bool:
        """For the sweep the window has to have passed since the last inbound, and since that message was received."""
        since = max(conversation.last_inbound_at, conversation.inbound_received_at)
        return conversation.is_active and not self.endless and now >= since + TIMEOUT

    def swept(self, now: datetime) -> None:
        """Whatever is over is closed."""
        for conversation in self.conversations:
            if self.is_over(conversation, now):
                conversation.close("idle_timeout", now)

    def _refused(self, said: Said, now: datetime) -> Answer | None:
        if said.at is not None and said.at - now > AHEAD:
            return Answer(422, "sent_at_in_future")
        known = self._known(said)
        if known is not None and (known.text, known.direction) != (said.text, said.direction):
            return Answer(422, "message_id_reused")
        return None

    def _known(self, said: Said) -> Message | None:
        return next((one for one in self.messages if said.id is not None and one.id == said.id), None)

    def _store(self, said: Said, now: datetime) -> Message:
        message = Message(said.direction, said.text, said.at or now, now, said.id)
        self.messages.append(message)
        return message

    def _again(self, known: Message) -> Answer:
        """Only successes are remembered: what was 503 and placed by the next message is answered anew, once."""
        if known.answered is not None:
            return Answer(200, conversation=known.answered, message=known, duplicate=True)
        newest = self.newest
        known.answered = newest if newest is not None and newest.is_active else known.home
        return Answer(200, conversation=known.answered, message=known)

    def _reason(self, message: Message) -> str | None:
        """Why this message opens a conversation: command, then idle, then cap; None when it does not."""
        newest, last = self.newest, self.last_inbound_at
        message.late = last is not None and message.sent_at < last
        if newest is None:
            return "first_contact"
        if message.is_command and not message.late:
            return "user_reset"
        if newest.closed_reason is not None:
            # Silent: "a late /new does nothing" and "any new message opens one"; README decides for the second.
            return newest.closed_reason
        return None if message.late else self._rollover(message, newest)

    def _rollover(self, message: Message, newest: Conversation) -> str | None:
        # Silent: what was said before a rollover that is owed is judged as if nothing was owed.
        owed = self.owed if self.owed is not None and message.sent_at >= self.owed.since else None
        if owed is not None and owed.reason not in STILL_USABLE:  # Silent: a wish that is owed comes before idle
            return owed.reason
        if not self.endless and message.sent_at - newest.last_inbound_at >= TIMEOUT:
            return "idle_timeout"
        if owed is not None:
            return owed.reason
        return "message_cap" if newest.message_count >= CAP and not self.endless else None

    def _claim(self, reason: str, at: datetime, message: Message | None) -> Owed:
        """README: an opening keeps its plan while its message has no answer; else whoever takes over brings a plan."""
        if self.owed is None or not self.owed.waits:
            since = at if self.owed is None else min(at, self.owed.since)
            self.owed = Owed(reason, at, since, message)
        return self.owed

    def _open(self, owed: Owed, now: datetime) -> Conversation:
        newest, at = self.newest, owed.opened_at
        if newest is not None:
            newest.close(owed.reason, now)
        opened = Conversation(newest, at, owed.reason, at, at, inbound_received_at=now, made_at=now)
        self.conversations.append(opened)
        self.owed = None
        if owed.message is not None and owed.message.home is None:
            opened.take(owed.message, moves=True)
        return opened

    def _without_openai(self, owed: Owed, message: Message) -> Answer:
        """A timeout or cap rollover is answered with the old conversation, swept or not; all else is 503.

        Silent: a late `/new` that finds nothing active is "on `/new`", too, so it is 503.
        """
        stale = self.newest
        if owed.reason not in STILL_USABLE or message.is_command or stale is None:
            return Answer(503, "upstream_unavailable")
        if owed.message is message:
            owed.message = None
        stale.take(message, moves=False)
        message.answered = stale
        return Answer(200, conversation=stale, message=message, degraded=True)

    def _place(self, message: Message) -> Conversation:
        """Into the active conversation, or, late, where its time belongs; answered with the active one."""
        active = self.conversations[-1]
        home = self._covering(message.sent_at) if message.late else active
        home.take(message, moves=not message.late)
        message.answered = active
        return active

    def _covering(self, at: datetime) -> Conversation:
        """The conversation that was the current one at a time, else the oldest; of two of one second the second."""
        by_time = sorted(self.conversations, key=lambda one: one.created_at)
        return [by_time[0], *(one for one in by_time if one.created_at <= at)][-1]

    def _settle(self, message: Message, conversation: Conversation) -> None:
        """README: what is appended after a window's end does not revive it, and an appended `/new` does nothing.

        Silent: a late message that is appended belongs to the conversation that is named, not to the one of its time;
        and one that is appended at the cap moves the window, because the cap is looked at when a message arrives.
        """
        message.is_appended = True
        inbound, last, ends_at = message.direction == "inbound", self.last_inbound_at, self.ends_at(conversation)
        message.late = not conversation.is_active or (inbound and last is not None and message.sent_at < last)
        inside = ends_at is None or message.sent_at < ends_at
        conversation.take(message, moves=inbound and inside and not message.late and not message.is_command)
        message.answered = conversation
