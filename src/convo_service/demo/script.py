"""How the demo's story is written down: scenes of a customer, line by line, and the order in which they happen.

@ 2 06:31          a scene: days since the Monday on which the story begins, and the time in Italy
> Buongiorno ...   the customer writes
  e poi ...        the same message goes on
< Buongiorno! ...  the bot answers
> +5400s ...       the customer writes again, 5,400 seconds later
=                  WhatsApp delivers the customer's last message once more
~ -10800s ...      a message arrives that was written 10,800 seconds ago, without a network
! ...              an operator opens a new conversation by hand, and why
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

START = datetime(2026, 9, 28, tzinfo=timezone(timedelta(hours=2), "CEST"))  # a Monday
_SCENE = re.compile(r"@ (\d+) (\d\d):(\d\d)")
_LINE = re.compile(r"([><=~!])(?: ([+-]\d+)s)?(?: (.+))?")


class Side(StrEnum):
    """Who acts, by the sign that opens a line."""

    CUSTOMER = ">"
    BOT = "<"
    AGAIN = "="
    LATE = "~"
    OPERATOR = "!"


PAUSES = {Side.CUSTOMER: 70, Side.BOT: 20, Side.AGAIN: 9, Side.LATE: 45, Side.OPERATOR: 900}  # seconds, unless said


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happens: so many seconds after the line before, and, if it is late, so long after it was said."""

    seconds: int
    side: Side
    text: str
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """A talk without a long pause."""

    start: timedelta
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Customer:
    """Who writes: an identity, what the gateway's own records know of her, and her scenes."""

    identity: str
    profile: Mapping[str, str]
    scenes: tuple[Scene, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One line at its place in time."""

    at: datetime
    sent_at: datetime
    customer: Customer
    side: Side
    text: str


def customer(identity: str, script: str, **profile: str) -> Customer:
    """A customer whose scenes are written as a script; raises ValueError for a line that is none."""
    return Customer(identity, profile, tuple(_scenes(script)))


def events(cast: Iterable[Customer]) -> list[Event]:
    """All that happens, in the order in which it happens."""
    return sorted((event for one in cast for event in _events(one)), key=lambda event: event.at)


def _events(one: Customer) -> Iterator[Event]:
    for scene in one.scenes:
        at = START.astimezone(UTC) + scene.start
        for line in scene.lines:
            at += timedelta(seconds=line.seconds)
            yield Event(at, at - timedelta(seconds=line.delay), one, line.side, line.text)


def _scenes(script: str) -> Iterator[Scene]:
    for block in re.split(r"^(?=@)", script.strip(), flags=re.MULTILINE)[1:]:
        head, _, body = block.partition("\n")
        found = _SCENE.fullmatch(head)
        if found is None:
            raise ValueError(f"no scene: {head!r}")
        days, hours, minutes = map(int, found.groups())
        yield Scene(timedelta(days=days, hours=hours, minutes=minutes), tuple(_lines(body)))


def _lines(body: str) -> Iterator[Line]:
    for text in re.sub(r"\n +", " ", body.strip()).splitlines():
        found = _LINE.fullmatch(text)
        if found is None:
            raise ValueError(f"no line: {text!r}")
        yield _line(Side(found[1]), int(found[2] or 0), found[3] or "")


def _line(side: Side, seconds: int, text: str) -> Line:
    if side is Side.LATE:
        return Line(PAUSES[side], side, text, delay=-seconds)
    return Line(seconds or PAUSES[side], side, text)
