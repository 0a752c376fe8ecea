"""A file of messages as exchanges: what a customer said, and what the bot answered."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bench.reading import Line

PAUSE = timedelta(days=3)  # between the talk of one person and that of the next, who is taken for the same


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn: the message's id, time and text, and the bot's own reply to it."""

    identity: str
    id: str
    sent_at: datetime
    text: str
    reply: str


def chained(lines: Sequence[Line], people: int) -> list[Line]:
    """The talk of so many people at a time as one person's, one after the other with a pause; in time order."""
    if people < 2:
        return list(lines)
    talk: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        talk[line.identity].append(line)
    names = list(talk)
    longer: list[Line] = []
    for start in range(0, len(names), people):
        longer += _one_after_the_other([talk[name] for name in names[start : start + people]])
    return sorted(longer, key=lambda line: line.sent_at)


def _one_after_the_other(talks: Sequence[Sequence[Line]]) -> Iterator[Line]:
    identity, ends = talks[0][0].identity, talks[0][0].sent_at
    for talk in talks:
        shift = ends - talk[0].sent_at
        yield from (replace(line, identity=identity, sent_at=line.sent_at + shift) for line in talk)
        ends = talk[-1].sent_at + shift + PAUSE


def exchanges(lines: Sequence[Line]) -> list[Exchange]:
    """The turns in time order: what has no answer goes with the next message, and what the bot says twice is one."""
    asked: dict[str, list[Line]] = defaultdict(list)
    answered: dict[str, list[str]] = defaultdict(list)
    found: list[Exchange] = []
    for line in lines:
        if line.direction == "outbound":
            answered[line.identity].append(line.text)
            continue
        found += _finished(asked, answered, line.identity)
        asked[line.identity].append(line)
    for identity in list(asked):
        found += _finished(asked, answered, identity)
    return sorted(found, key=lambda one: one.sent_at)


def _finished(asked: dict[str, list[Line]], answered: dict[str, list[str]], identity: str) -> list[Exchange]:
    """The exchange of an identity that has an answer by now, taken out."""
    if not asked[identity] or not answered[identity]:
        return []
    lines, replies = asked.pop(identity), answered.pop(identity)
    last = lines[-1]
    text = "\n".join(line.text for line in lines)
    return [Exchange(identity, last.id or "", last.sent_at, text, "\n".join(replies))]
