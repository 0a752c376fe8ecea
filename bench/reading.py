"""What the conversations of a file must be: a second reading of the window's rules, made without the service's code.

It is written from the sentences of the contract alone and imports nothing of ours. Two readings that agree say more
than one that was tested against itself, so it must stay that way.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

COMMANDS = frozenset({"/new", "/nuova", "/reset"})
FACTS = ("created_at", "created_reason", "closed_reason", "is_active", "message_count", "last_message_at")
_ZERO_WIDTH = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))


class Unreadable(ValueError):
    """A line that cannot be replayed; the text names it by its number."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message of the file; `number` is its place there, `id` is the gateway's (inbound only)."""

    number: int
    identity: str
    direction: str
    text: str
    sent_at: datetime
    id: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """A message as the file and the service both know it; the line's number is for the reader of a difference."""

    direction: str
    text: str
    sent_at: datetime
    id: str | None
    late: bool = False
    number: int | None = field(default=None, compare=False)


@dataclass(slots=True)
class Conversation:
    """A conversation as far as the rules decide it; messages that are commands belong to none."""

    created_at: datetime
    created_reason: str
    last_message_at: datetime
    closed_reason: str | None = None
    is_active: bool = True
    message_count: int = 0
    messages: list[Said] = field(default_factory=list)


def parse(rows: Iterable[str], users: int | None = None) -> list[Line]:
    """The lines of a file in its order, of the first so many users; blank rows are skipped."""
    lines: list[Line] = []
    known: set[str] = set()
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        line = _line(number, row)
        if line.identity not in known:
            if users is not None and len(known) == users:
                continue
            if line.direction == "outbound":
                raise Unreadable(f"line {number}: no inbound message before it, so no conversation to append it to")
            known.add(line.identity)
        lines.append(line)
    return lines


def _line(number: int, row: str) -> Line:
    try:
        raw = json.loads(row)
        sent_at = datetime.fromisoformat(raw["sent_at"])
        line = Line(number, raw["identity"], raw["direction"], raw["text"], sent_at, raw.get("id"))
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"line {number}: {error!r}") from error
    if line.direction not in ("inbound", "outbound") or sent_at.tzinfo is None:
        raise Unreadable(f"line {number}: needs a direction and a time with its zone")
    if line.direction == "inbound" and not line.id:
        raise Unreadable(f"line {number}: an inbound message needs the gateway's id")
    return line


def read(lines: Iterable[Line], cap: int, timeout: timedelta) -> dict[str, list[Conversation]]:
    """The conversations of each identity, oldest first."""
    people: dict[str, _Person] = {}
    for line in lines:
        person = people.setdefault(line.identity, _Person(cap, timeout))
        if line.direction == "inbound":
            person.hears(line)
        else:
            person.is_answered(line)
    return {identity: person.conversations for identity, person in people.items()}


@dataclass(slots=True)
class _Person:
    """One user while the file is read; with one topic, the last inbound of the user is that of the window."""

    cap: int
    timeout: timedelta
    conversations: list[Conversation] = field(default_factory=list)
    last_inbound_at: datetime | None = None

    def hears(self, line: Line) -> None:
        """An inbound message: late, or in the current conversation, or the first of a new one."""
        rest = after_command(line.text)
        late = self.last_inbound_at is not None and line.sent_at < self.last_inbound_at
        if not late:
            reason = self._reason(line.sent_at, commanded=rest is not None)
            if reason is not None:
                self._open(line.sent_at, reason)
            self.last_inbound_at = line.sent_at
        if rest == "":  # "not counted in message_count", and a late one "does nothing"
            return
        # Text behind a late command is no less said than other late text, so it counts; the contract is silent there.
        conversation = self._covering(line.sent_at) if late else self.conversations[-1]
        _add(conversation, line, late=late, kept=rest is None)

    def is_answered(self, line: Line) -> None:
        """An outbound message goes where the last inbound was answered, which is the active conversation."""
        _add(self.conversations[-1], line)

    def _reason(self, at: datetime, *, commanded: bool) -> str | None:
        """Why this message opens a conversation: "command, then idle, then cap"; None when it stays."""
        if self.last_inbound_at is None:
            return "first_contact"
        if commanded:
            return "user_reset"
        if at - self.last_inbound_at >= self.timeout:
            return "idle_timeout"
        if self.conversations[-1].message_count >= self.cap:
            return "message_cap"
        return None

    def _open(self, at: datetime, reason: str) -> None:
        if self.conversations:
            self.conversations[-1].closed_reason = reason
            self.conversations[-1].is_active = False
        self.conversations.append(Conversation(created_at=at, created_reason=reason, last_message_at=at))

    def _covering(self, at: datetime) -> Conversation:
        """The conversation that was open at a time, "else the oldest one"."""
        begun = [one for one in self.conversations if one.created_at <= at]
        return begun[-1] if begun else self.conversations[0]


def _add(conversation: Conversation, line: Line, *, late: bool = False, kept: bool = True) -> None:
    conversation.message_count += 1
    conversation.last_message_at = max(conversation.last_message_at, line.sent_at)
    if kept:  # the contract does not say in which conversation's thread the row of a command stands
        conversation.messages.append(said(line, late=late))


def said(line: Line, *, late: bool = False) -> Said:
    """A line as a message."""
    return Said(line.direction, line.text, line.sent_at, line.id, late, line.number)


def after_command(text: str) -> str | None:
    """What follows a command for a new conversation, empty when it stands alone; None when there is none."""
    plain = unicodedata.normalize("NFKC", text).translate(_ZERO_WIDTH).strip()
    first, rest = [*plain.split(maxsplit=1), "", ""][:2]
    return rest if first.casefold() in COMMANDS else None


Readings = Mapping[str, Sequence[Conversation]]


def differences(expected: Readings, found: Readings) -> Iterator[str]:
    """Where two readings differ, in words that hold neither a text nor an identity."""
    for place, (identity, wanted) in enumerate(expected.items(), 1):
        had = found.get(identity, ())
        if len(wanted) != len(had):
            yield f"user {place}: {len(had)} conversations, expected {len(wanted)}"
        for number, (want, have) in enumerate(zip(wanted, had, strict=False), 1):
            yield from (f"user {place}, conversation {number}: {text}" for text in _between(want, have))


def miscounted(lines: Iterable[Line], stored: Mapping[str, Iterable[Said]]) -> Iterator[str]:
    """Messages of the file that are not stored exactly once, and stored ones that the file does not have."""
    wanted = Counter((line.identity, _regardless(said(line))) for line in lines)
    had = Counter((identity, _regardless(one)) for identity, thread in stored.items() for one in thread)
    for _, one in wanted - had:
        yield f"line {one.number} is not stored"
    if had - wanted:
        yield f"{(had - wanted).total()} messages are stored twice or are not in the file"


def _regardless(message: Said) -> Said:
    """Whether it came late is no part of which message it is."""
    return replace(message, late=False)


def _between(want: Conversation, have: Conversation) -> Iterator[str]:
    for name in FACTS:
        wanted, had = getattr(want, name), getattr(have, name)
        if wanted != had:
            yield f"{name} is {had}, expected {wanted}"
    wanted_here, here = Counter(want.messages), Counter(one for one in have.messages if not _is_command(one))
    lines = sorted(one.number or 0 for one in wanted_here - here)
    if lines:
        yield f"lines {lines} are missing or differ"
    if here - wanted_here:
        yield f"{(here - wanted_here).total()} messages that do not belong here"


def _is_command(message: Said) -> bool:
    return message.direction == "inbound" and after_command(message.text) is not None
