"""How a recogniser does on a labelled set: a table of confusion, and what it got wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from convo_service.domain.recognition import Recogniser
from tests.recognition.messages import Message

STAY = ""


@dataclass(frozen=True)
class Verdict:
    """`counts` by (label, what was recognised); `errors` with label, what was recognised, and text."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All messages."""
        return self.counts.total()

    @property
    def accuracy(self) -> float:
        """The share of messages that went, or stayed, where a person would have put them."""
        return sum(count for (label, got), count in self.counts.items() if label == got) / self.total

    @property
    def wrong_switches(self) -> int:
        """Messages that were put where they do not belong: worse than one that stays where the talk is."""
        return sum(count for (label, got), count in self.counts.items() if got not in (STAY, label))

    @property
    def precision(self) -> float:
        """The share of switches that were right."""
        switches = sum(count for (_, got), count in self.counts.items() if got != STAY)
        return 1 - self.wrong_switches / switches

    @property
    def recall(self) -> float:
        """The share of messages with a topic that were recognised as of it."""
        of_topics = sum(count for (label, _), count in self.counts.items() if label != STAY)
        return sum(count for (label, got), count in self.counts.items() if label == got != STAY) / of_topics


def judged(recogniser: Recogniser, messages: Sequence[Message]) -> Verdict:
    """Recognise each message, and compare."""
    verdict = Verdict()
    for label, text in messages:
        got = recogniser.recognise(text) or STAY
        verdict.counts[label, got] += 1
        if got != label:
            verdict.errors.append((label, got, text))
    return verdict


def table(verdict: Verdict, topics: Sequence[str]) -> list[str]:
    """A row for each label, a column for what was recognised."""
    names = [*topics, STAY]
    width = max(map(len, names)) + 2
    head = " " * width + "".join(f"{name or 'stays':>{width}}" for name in names)
    rows = [
        f"{label or '(stay)':<{width}}" + "".join(f"{verdict.counts[label, got] or '.':>{width}}" for got in names)
        for label in names
    ]
    said = (
        f"{verdict.total} messages: {verdict.accuracy:.1%} right, {verdict.wrong_switches} wrong switches; "
        f"precision {verdict.precision:.1%}, recall {verdict.recall:.1%}"
    )
    return [head, *rows, said]
