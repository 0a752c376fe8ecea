"""The report of an adoption: what was taken, known, joined, repaired and refused."""

from collections import Counter
from enum import StrEnum


class Count(StrEnum):
    """What a report counts, in its words."""

    PEOPLE = "people"
    CONVERSATIONS = "conversations"
    MESSAGES = "messages"
    PROFILES = "profiles"
    PEOPLE_KNOWN = "people that are known"
    CONVERSATIONS_KNOWN = "conversations that are known"
    MESSAGES_KNOWN = "messages that are known"
    NUMBERS_JOINED = "numbers that another spelling stands for"
    CONVERSATIONS_CLOSED = "older conversations, closed behind the newest of the same person"
    PROFILES_JOINED = "profiles added to one that is there"
    MESSAGES_PLACED = "messages that found their conversation"
    TEXTS_MISSING = "messages without a text"
    TEXTS_MENDED = "texts with bytes or characters that cannot be stored"
    SENDERS_UNKNOWN = "messages of an unknown sender, taken as the bot's"
    HOMELESS = "messages without a conversation"
    TIMES_TWICE = "times in an hour that exists twice, read as the first"
    TIMES_SKIPPED = "times in an hour that does not exist, moved behind it"
    TIMES_MISSING = "times missing or unreadable, taken from a message beside"
    TIMES_IN_FUTURE = "times in the future"
    PROFILES_INCOMPLETE = "incomplete profiles"
    IDENTITIES_REFUSED = "rows of a number that is none"
    IDS_REFUSED = "conversations without an id that could be used"
    ERASED = "people who were erased here"
    IDS_TAKEN = "conversations whose id belongs to somebody else"


REPORT = {
    "taken": (Count.PEOPLE, Count.CONVERSATIONS, Count.MESSAGES, Count.PROFILES),
    "known": (Count.PEOPLE_KNOWN, Count.CONVERSATIONS_KNOWN, Count.MESSAGES_KNOWN),
    "joined": (Count.NUMBERS_JOINED, Count.CONVERSATIONS_CLOSED, Count.PROFILES_JOINED, Count.MESSAGES_PLACED),
    "repaired": (
        Count.TEXTS_MISSING, Count.TEXTS_MENDED, Count.SENDERS_UNKNOWN, Count.HOMELESS, Count.TIMES_TWICE,
        Count.TIMES_SKIPPED, Count.TIMES_MISSING, Count.TIMES_IN_FUTURE, Count.PROFILES_INCOMPLETE,
    ),
    "refused": (Count.IDENTITIES_REFUSED, Count.IDS_REFUSED, Count.IDS_TAKEN, Count.ERASED),
}  # fmt: skip

Tally = Counter[Count]
Oddities = tuple[Count, ...]  # what had to be repaired of one row; counted when the row is taken


def report(tally: Tally) -> list[str]:
    """What was taken, known, joined, repaired and refused, a line each; nothing when there was nothing to take."""
    lines = [
        f"{verb:<9}{tally[what]:>10,}  {what}" for verb, counts in REPORT.items() for what in counts if tally[what]
    ]
    if refused := sum(tally[what] for what in REPORT["refused"]):
        lines.append(f"What was refused ({refused:,}) stays where it was, in the bot's own tables.")
    return lines
