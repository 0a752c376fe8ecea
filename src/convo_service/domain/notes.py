"""Notes: which go into a seed, which of a summary's are new, and which of its closings count."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from convo_service.domain.guard import same_statement
from convo_service.domain.text import clean

BY_HAND = ("operator", "gateway")
OF_SUMMARIES = 5  # of each kind in a seed, the newest


@dataclass(frozen=True, slots=True)
class NoteLine:
    """A note as the rules see it."""

    id: str
    kind: str  # issue | preference | note
    text: str
    source: str  # operator | gateway | summary
    message_ids: tuple[str, ...] = ()
    resolved_at: datetime | None = None  # None: it is open
    found_kind: str | None = None  # as a summary found it, before people changed it
    found_text: str | None = None

    @property
    def wordings(self) -> set[tuple[str, str]]:
        """Each kind and text that it has or had."""
        return {(self.kind, self.text), (self.found_kind or self.kind, self.found_text or self.text)}


def is_doubled(
    kind: str, text: str, message_ids: Collection[str], newest_citation: datetime, known: Iterable[NoteLine]
) -> bool:
    """Whether a summary's statement stands already, or was settled and nothing was said of it since.

    Of the same messages it may be said in rather other words.
    """
    return any(
        (note.resolved_at is None or newest_citation <= note.resolved_at)
        and kind == known_kind
        and same_statement(known_text, text, loosely={*message_ids} <= {*note.message_ids})
        for note in known
        for known_kind, known_text in note.wordings
    )


def to_print(notes: Iterable[NoteLine], kind: str) -> list[NoteLine]:
    """The open notes of a kind in the order of a seed, newest first: people's words, then a model's, which are few.

    The same text is printed once.
    """
    by_text: dict[str, NoteLine] = {}
    for note in notes:
        if note.kind == kind and note.resolved_at is None:
            by_text.setdefault(clean(note.text), note)
    of_kind = list(by_text.values())
    by_hand = [note for note in of_kind if note.source in BY_HAND]
    return by_hand + [note for note in of_kind if note.source not in BY_HAND][:OF_SUMMARIES]
