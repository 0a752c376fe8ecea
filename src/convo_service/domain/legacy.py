"""The existing bot's rows made sense of: times without a zone, one person under two numbers, what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple
from zoneinfo import ZoneInfo

from convo_service.domain.digest import Direction
from convo_service.domain.identities import Identity, normalise
from convo_service.domain.ids import FREE_BITS, id_of
from convo_service.domain.tally import Count, Oddities, Tally
from convo_service.errors import InvalidIdentity

Raw = bytes | str | int | float | datetime | None  # as a driver gives it: SQLite's columns hold what they were given

YEARS = range(1970, 9001)  # what the API takes, too
MAX_ID_CHARS = 128
MAX_NAME_CHARS = 200
SENDERS: dict[str, Direction] = {"user": "inbound", "bot": "outbound", "assistant": "outbound"}
NO = {"0", "0.0", "false", "f", "no", "n", "off", ""}  # how a column that is called is_active says that it is not
HASH_BITS = 34
FIELDS = ("name", "last_name", "ragione_sociale", "email")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - it is compared with local times, whose zone does not matter there
_NEVER = _EPOCH.replace(tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class LocalTime(NamedTuple):
    """A time as it was written, the instant that it means, and what was odd about it."""

    written: datetime | None
    at: datetime | None
    oddity: Count | None = None


def read_time(raw: Raw, zone: ZoneInfo) -> LocalTime:
    """Read a local time without a zone, in any ISO spelling; one that brings its own offset is taken by it.

    An hour that exists twice is read as the first one; a time in an hour that does not exist keeps the offset from
    before the gap, so 02:30 becomes what the clocks showed as 03:30.
    """
    written = _parsed(raw)
    if written is None or written.year not in YEARS:
        return LocalTime(None, None, Count.TIMES_MISSING)
    if written.tzinfo is not None:
        at = written.astimezone(UTC)
        return LocalTime(at.replace(tzinfo=None), at)
    local = written.replace(tzinfo=zone)
    at = local.astimezone(UTC)
    if local.utcoffset() == local.replace(fold=1).utcoffset():
        return LocalTime(written, at)
    exists = at.astimezone(zone).replace(tzinfo=None) == written
    return LocalTime(written, at, Count.TIMES_TWICE if exists else Count.TIMES_SKIPPED)


def _parsed(raw: Raw) -> datetime | None:
    if isinstance(raw, datetime):
        return raw
    try:
        return datetime.fromisoformat(text_of(raw)[0].strip())
    except ValueError:
        return None


def text_of(raw: Raw) -> tuple[str, bool]:
    """A value as a text that every database can store, and whether something had to give way for it."""
    text, mended = _decoded(raw) if isinstance(raw, bytes) else ("" if raw is None else str(raw), False)
    return text.replace("\x00", ""), mended or "\x00" in text


def _decoded(raw: bytes) -> tuple[str, bool]:
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), True


@dataclass(frozen=True, slots=True)
class BotConversation:
    """A conversation of the bot's; `created_at` None: nobody knows."""

    id: str
    identity: str
    created_at: datetime | None
    is_open: bool
    oddities: Oddities = ()


class BotMessage(NamedTuple):
    """A message of the bot's."""

    id: str
    direction: Direction
    text: str
    at: datetime
    oddities: Oddities = ()


@dataclass(frozen=True, slots=True)
class BotProfile:
    """What the bot knew of a client."""

    fields: dict[str, str | None]
    updated_at: datetime | None = None
    oddities: Oddities = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return all(self.fields[name] for name in FIELDS)


@dataclass(frozen=True, slots=True)
class Person:
    """All that the bot had of one person, whatever spellings of the number it came under."""

    identities: list[Identity]
    conversations: list[BotConversation] = field(default_factory=list)
    messages: list[BotMessage] = field(default_factory=list)
    profiles: list[BotProfile] = field(default_factory=list)

    def joined(self, other: "Person") -> "Person":
        """Both as one: their identities belong to the same user."""
        return Person(
            self.identities + other.identities,
            self.conversations + other.conversations,
            self.messages + other.messages,
            self.profiles + other.profiles,
        )


RawMessage = tuple[Raw, Raw, Raw, Raw, Raw]  # id, phone_number, sender, message, timestamp


class RawPerson(NamedTuple):
    """The rows of one person as they stand in the bot's tables."""

    identity: Identity
    conversations: Sequence[tuple[Raw, Raw, Raw]]  # id, created_at, is_active
    messages: Sequence[RawMessage]
    profiles: Sequence[tuple[Raw, ...]]  # FIELDS, updated_at


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads rows of the bot's into a Person, and counts what it had to refuse."""

    zone: ZoneInfo
    now: datetime
    tally: Tally = field(default_factory=Tally)

    def person(self, raw: RawPerson) -> Person:
        """Make sense of one person's rows."""
        found = (self._conversation(raw.identity, *row) for row in raw.conversations)
        conversations = [one for one in found if one is not None]
        began = min((one.created_at for one in conversations if one.created_at is not None), default=None)
        return Person(
            identities=[raw.identity],
            conversations=conversations,
            messages=self._messages(raw.identity, raw.messages, began),
            profiles=[self._profile(*row) for row in raw.profiles],
        )

    def _conversation(self, identity: Identity, id_: Raw, created_at: Raw, is_active: Raw) -> BotConversation | None:
        remote_id = text_of(id_)[0].strip()
        if not (0 < len(remote_id) <= MAX_ID_CHARS and remote_id.isprintable()):
            self.tally[Count.IDS_REFUSED] += 1
            return None
        is_open = is_active is None or text_of(is_active)[0].strip().lower() not in NO
        at, oddities = self._past_time(created_at)
        return BotConversation(remote_id, identity.value, at, is_open, oddities)

    def _profile(self, *row: Raw) -> BotProfile:
        *given, updated_at = row
        fields = dict(zip(FIELDS, (_one_line(value) for value in given), strict=True))
        return BotProfile(fields, *self._past_time(updated_at))

    def _past_time(self, raw: Raw) -> tuple[datetime | None, Oddities]:
        """A time that may be missing: that is no oddity here. One of the future is as good as none."""
        time = read_time(raw, self.zone)
        if time.at is not None and time.at > self.now:
            return None, (Count.TIMES_IN_FUTURE,)
        return time.at, () if raw is None or time.oddity is None else (time.oddity,)

    def _messages(self, who: Identity, rows: Sequence[RawMessage], began: datetime | None) -> list[BotMessage]:
        """Messages in the order of their numbers; one without a time takes that of the message before it.

        Those before the first time take that one, or the beginning of the conversation if it is earlier.
        """
        times = [read_time(row[-1], self.zone) for row in rows]
        first = next((time for time in times if time.at is not None), LocalTime(None, None))
        last = min((at for at in (first.at, began) if at is not None), default=self.now)
        written = first.written
        messages = []
        for row, time in zip(rows, times, strict=True):
            last, written = time.at or last, time.written or written
            text, mended = text_of(row[3])
            direction = _direction(who, row[2])
            odd = (
                time.oddity,
                Count.TIMES_IN_FUTURE if last > self.now else None,
                Count.TEXTS_MISSING if row[3] is None else None,
                Count.TEXTS_MENDED if mended else None,
                Count.SENDERS_UNKNOWN if direction is None else None,
            )
            oddities = tuple(one for one in odd if one is not None) if any(odd) else ()
            messages.append(BotMessage(_message_id(written, row), direction or "outbound", text, last, oddities))
        return messages


def _direction(who: Identity, sender: Raw) -> Direction | None:
    """Whose words they are. None is read as the bot's: those move no window, and no seed takes them for facts."""
    name = text_of(sender)[0].strip().lower()
    return SENDERS.get(name) or ("inbound" if identity_of(name) == who else None)


def identity_of(phone: str) -> Identity | None:
    """Who a phone number of the bot's stands for; None when it is none."""
    try:
        return normalise(phone)
    except InvalidIdentity:
        return None


def _message_id(written: datetime | None, row: RawMessage) -> str:
    """The id of a row: the same row gives the same id, whenever and from whichever copy it is read.

    It is made from what is written there, not from what it is taken for: another zone makes no second message. In one
    millisecond the bot's own number decides the order; `written` is the time of the row, or of the one before it.
    """
    number = row[0] if isinstance(row[0], int) else 0
    milliseconds = 0 if written is None else (written - _EPOCH) // _MILLISECOND
    content = int.from_bytes(blake2b(repr(row).encode(), digest_size=8).digest())
    order = number & ((1 << FREE_BITS - HASH_BITS) - 1)
    return id_of("msg", milliseconds, order << HASH_BITS | content & ((1 << HASH_BITS) - 1))


def _one_line(raw: Raw) -> str | None:
    """A profile's field as the API would take it; None when there is nothing to be seen."""
    text = "".join(mark if mark.isprintable() else " " for mark in text_of(raw)[0])
    return text.strip()[:MAX_NAME_CHARS].strip() or None


def merged(profiles: Sequence[BotProfile]) -> BotProfile | None:
    """One profile of several: what is newer counts, and the older one fills what it leaves open."""
    if not profiles:
        return None
    newest_first = sorted(
        profiles, key=lambda one: (one.updated_at is not None, one.updated_at or _NEVER), reverse=True
    )
    fields = {name: next((one.fields[name] for one in newest_first if one.fields[name]), None) for name in FIELDS}
    return BotProfile(fields, newest_first[0].updated_at, newest_first[0].oddities)


def added(known: BotProfile, given: BotProfile, *, first: bool = False) -> dict[str, str]:
    """The fields of the bot's profile that go into one that is there: all when it is newer, else what is missing.

    After the `first` time one that was changed here is left alone: an operator may have emptied a field on purpose.
    """
    is_newer = given.updated_at is not None and (known.updated_at is None or given.updated_at > known.updated_at)
    if known.updated_at is not None and not is_newer and not first:
        return {}
    return {
        name: value
        for name, value in given.fields.items()
        if value and value != known.fields[name] and (is_newer or not known.fields[name])
    }
