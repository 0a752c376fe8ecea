"""What becomes of a bot's conversations here: which one stays open, and which message belongs to which."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from convo_service.domain.legacy import BotConversation, BotMessage, Person
from convo_service.domain.window import Reason


@dataclass(slots=True)
class Window:
    """A conversation of the user, as an adoption finds it and leaves it."""

    id: str
    number: int
    identity: str
    created_at: datetime
    last_message_at: datetime
    last_inbound_at: datetime
    is_active: bool = False
    created_reason: str = Reason.IMPORTED
    closed_reason: str | None = None
    parent_id: str | None = None
    message_count: int = 0
    inbound_received_at: datetime | None = None  # None, as closed_at: by what was said
    closed_at: datetime | None = None
    is_new: bool = False
    is_changed: bool = False

    @property
    def is_imported(self) -> bool:
        """Whether it was the bot's."""
        return self.created_reason == Reason.IMPORTED

    def close(self, reason: Reason) -> None:
        """Make it history."""
        self.is_active, self.closed_reason, self.is_changed = False, reason, True

    def hold(self, messages: Sequence[BotMessage], now: datetime) -> None:
        """Take in messages that were said in it; what claims to be of the future holds no window open."""
        inbound = [min(one.at, now) for one in messages if one.direction == "inbound"]
        newest = max(one.at for one in messages)
        if self.message_count == 0 and self.is_new:
            self.last_message_at = newest
            self.last_inbound_at = max(inbound, default=self.created_at)
        self.last_message_at = max(self.last_message_at, newest)
        self.last_inbound_at = max(self.last_inbound_at, *inbound) if inbound else self.last_inbound_at
        self.message_count += len(messages)
        self.is_changed = True


class Stored(NamedTuple):
    """A message that is here: its conversation, and the time that it was taken for."""

    home: str | None
    at: datetime


@dataclass(slots=True)
class Settled:
    """What is to be written for one user; a home is the id of a conversation, or None."""

    windows: list[Window]
    stored: list[tuple[BotMessage, str | None]] = field(default_factory=list)
    placed: list[tuple[BotMessage, str]] = field(default_factory=list)  # stored before, without a conversation
    superseded: int = 0  # open conversations of the bot's that are closed behind a newer one


def settle(person: Person, known: Sequence[Window], there: Mapping[str, Stored], now: datetime) -> Settled:
    """Decide for one user, of whom `known` conversations and `there` messages (by id) are here already.

    An imported message counts as if it had arrived at its time, so it is never late; it belongs to the bot's
    conversation that covers its time, and never to one that was opened here, whose model has not seen it.
    """
    before, after = _fresh(person, known, now)
    settled = Settled([*before, *known, *after])
    if _may_take_over(known):
        settled.superseded = _choose_active(person, known, after)
    homes = sorted((one for one in settled.windows if one.is_imported), key=lambda one: (one.created_at, one.number))
    for message in {one.id: one for one in person.messages}.values():
        _place(settled, message, there.get(message.id), homes)
    for window in homes:
        if held := [one for one, home in (*settled.stored, *settled.placed) if home == window.id]:
            window.hold(held, now)
    return settled


def _place(settled: Settled, message: BotMessage, stored: Stored | None, homes: Sequence[Window]) -> None:
    """Find a message its home, unless it has one here."""
    if stored is not None:
        message = message._replace(at=stored.at)
    place = bisect_right(homes, message.at, key=lambda window: window.created_at)
    home = homes[max(place - 1, 0)].id if homes else None
    if stored is None:
        settled.stored.append((message, home))
    elif home is not None and stored.home is None:
        settled.placed.append((message, home))


def _may_take_over(known: Iterable[Window]) -> bool:
    """An import never takes a user away from this service: once a conversation was opened here, all else is history."""
    return all(window.is_imported for window in known)


def _fresh(person: Person, known: Sequence[Window], now: datetime) -> tuple[list[Window], list[Window]]:
    """The conversations that are new here, in their order: those before what is known, and those after it."""
    start = min((one.at for one in person.messages if one.at < now), default=now)
    ids = {window.id for window in known}
    listed = [(one.created_at or start, one) for one in person.conversations if one.id not in ids]
    earliest: dict[str, tuple[datetime, BotConversation]] = {}  # of an id that two of her numbers have
    for at, one in sorted(listed, key=lambda pair: pair[0]):
        earliest.setdefault(one.id, (at, one))
    dated = list(earliest.values())
    if not known:
        return [], _chain(dated, 1)
    first, last = (choose(known, key=lambda window: window.number) for choose in (min, max))
    latest = max(window.created_at for window in known)
    split = bisect_left(dated, latest, key=lambda pair: pair[0]) if _may_take_over(known) else len(dated)
    before, after = _chain(dated[:split], first.number - split), _chain(dated[split:], last.number + 1)
    if after:
        after[0].parent_id = last.id
    return before, after


def _chain(dated: Sequence[tuple[datetime, BotConversation]], first: int) -> list[Window]:
    """Windows that follow from one another, closed as the bot left them closed."""
    windows: list[Window] = []
    for number, (at, one) in enumerate(dated, first):
        window = Window(one.id, number, one.identity, at, at, at, is_new=True)
        window.closed_reason = Reason.IMPORTED if one.is_open else Reason.IDLE_TIMEOUT
        window.parent_id = windows[-1].id if windows else None
        windows.append(window)
    return windows


def _choose_active(person: Person, known: Sequence[Window], after: Sequence[Window]) -> int:
    """Let the newest open conversation of the bot's stay open, unless talk here went on after it began.

    Returns how many open ones are closed behind it.
    """
    is_open = {one.id for one in person.conversations if one.is_open}
    candidates = [window for window in after if window.id in is_open]
    if not candidates:
        return 0
    newest = candidates[-1]
    if any(window.last_inbound_at >= _heard(person, window, newest) for window in known):
        return len(candidates)
    newest.is_active, newest.closed_reason = True, None
    replaced = [window for window in known if window.is_active]
    for window in replaced:
        window.close(Reason.IMPORTED)
    return len(candidates) - 1 + len(replaced)


def _heard(person: Person, window: Window, newest: Window) -> datetime:
    """Until when talk in a known conversation is the bot's own: until it began the newest.

    One that the bot has no more was replaced by the newest, whenever that claims to have begun; then until after the
    last thing that the bot heard.
    """
    if window.id in {one.id for one in person.conversations}:
        return newest.created_at
    heard = max((one.at for one in person.messages if one.direction == "inbound"), default=newest.created_at)
    return max(newest.created_at, heard + timedelta.resolution)
