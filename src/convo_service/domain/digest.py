"""A summary without a model: the sentences of a conversation that say most, retold without their function words."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import log
from typing import Literal, NamedTuple

from convo_service.domain.text import clean, cut, sentences, tokens
from convo_service.domain.words import Word, read, telegraphic

Direction = Literal["inbound", "outbound"]
Source = Literal["digest", "llm"]

PRINT_COST = 4
"""What one line costs beside its text, in tokens: the prefix `  - cliente: "`, the closing quote and the newline."""

HALF_LIFE_DAYS = 30
VALUE_FACTOR = 2.0
NAME_FACTOR = 1.3
CLIENT_FACTOR = 2.0
LONE_FACTOR = 0.5
BARE_QUESTION_WORDS = 4
COST_EXPONENT = 0.8


@dataclass(frozen=True, slots=True)
class Said:
    """One stored message as the rules see it."""

    message_id: str
    direction: Direction
    text: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of a stored message that is carried on, or a model's statement; always tied to its messages."""

    text: str
    message_id: str
    direction: Direction
    sent_at: datetime
    source: Source = "digest"
    also: tuple[str, ...] = ()  # further messages that a model's statement rests on
    whole: str = ""  # the text that this one was cut from, or that an operator wrote it in place of
    edited: bool = False  # by an operator

    @property
    def message_ids(self) -> tuple[str, ...]:
        """Every message that it rests on."""
        return (self.message_id, *self.also)

    @property
    def original(self) -> "Entry":
        """The entry as it was before it was cut or edited."""
        return replace(self, text=self.whole or self.text, whole="", edited=False)


class _Read(NamedTuple):
    """A sentence whose words were looked at once."""

    entry: Entry
    words: list[Word]

    @property
    def says(self) -> int:
        """How many words it says something with."""
        return len(_distinct(self.words))

    @property
    def has_value(self) -> bool:
        """Whether a number, a code or an address stands in it."""
        return any(word.value for word in self.words)

    @property
    def is_value(self) -> bool:
        """Whether it is numbers, codes or addresses, and nothing else."""
        return all(word.value for word in self.words)

    @property
    def is_bare_question(self) -> bool:
        """Whether it is a short question without a value or a name."""
        is_bare = self.says <= BARE_QUESTION_WORDS and not any(word.capital for word in self.words[1:])
        return self.entry.text.endswith("?") and is_bare and not self.has_value

    def asks(self, other: "_Read") -> bool:
        """Whether the other is what the other side says to this question."""
        return self.entry.text.endswith("?") and self.entry.direction != other.entry.direction


class _Candidate(NamedTuple):
    entry: Entry
    words: list[Word]
    cost: int
    factor: float


def digest(entries: Sequence[Entry], *, budget: int, now: datetime, told: Iterable[str] = ()) -> list[Entry]:
    """What to carry on of `entries`, in time order, within `budget` tokens; `told` is what the reader knows anyway.

    Greedy coverage: again and again the sentence that adds most weight not yet told, for its price. Each entry is paid
    with its own tokens and PRINT_COST. When there is any entry and the budget holds PRINT_COST and one token more,
    something is told.
    """
    candidates = _candidates(entries)
    weights = _weights(candidates, now)
    known = {key for text in told for key in _distinct(read(text))}
    chosen = _cover(candidates, weights, budget, known)
    if chosen or not candidates or budget <= PRINT_COST:
        return [candidates[place].entry for place in sorted(chosen)]
    return [_fitting(_best(candidates, weights), budget)]


def pieces(messages: Sequence[Said]) -> Iterator[Entry]:
    """The sentences of messages, retold without their function words."""
    for said in messages:
        for sentence in sentences(said.text):
            yield Entry(telegraphic(sentence), said.message_id, said.direction, said.sent_at)


def _candidates(entries: Sequence[Entry]) -> list[_Candidate]:
    """Every entry, in time order; of equal ones only one will be told, as the others add nothing to it."""
    entries = sorted(_cleaned(entries), key=lambda entry: (entry.sent_at, entry.message_id))
    row = [_Read(entry, read(entry.text)) for entry in entries]
    return [
        _Candidate(one.entry, one.words, tokens(one.entry.text) + PRINT_COST, _factor(one, before, after))
        for before, one, after in zip([None, *row], row, [*row[1:], None], strict=False)
    ]


def _cleaned(entries: Sequence[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if text := clean(entry.text):
            yield entry if text == entry.text else replace(entry, text=text)


def _factor(one: _Read, before: _Read | None, after: _Read | None) -> float:
    """How much a sentence counts where it stands: the client's twice, and so the question that names his bare number.

    A short question of the client does not, because it says little without its answer; a single word counts half,
    unless it is an answer.
    """
    is_client = one.entry.direction == "inbound"
    if not one.has_value and one.says == 1 and not (before is not None and before.asks(one)):
        return LONE_FACTOR * (CLIENT_FACTOR if is_client else 1.0)
    if is_client:
        return 1.0 if one.is_bare_question else CLIENT_FACTOR
    return CLIENT_FACTOR if after is not None and one.asks(after) and after.is_value else 1.0


def _weights(candidates: Sequence[_Candidate], now: datetime) -> list[dict[str, float]]:
    """What each word of each candidate is worth: rare, recent, a value, a name."""
    # The first word of a sentence is a name only when it is written as one elsewhere.
    names = {key for candidate in candidates for key in _named(candidate.words[1:])}
    found = Counter(key for candidate in candidates for key in _distinct(candidate.words))
    rarity = {key: log(1 + len(candidates) / count) for key, count in found.items()}
    return [_weight(candidate, rarity, names, now) for candidate in candidates]


def _weight(candidate: _Candidate, rarity: dict[str, float], names: set[str], now: datetime) -> dict[str, float]:
    freshness = _freshness(candidate.entry.sent_at, now)
    return {
        key: rarity[key] * freshness * (VALUE_FACTOR if word.value else NAME_FACTOR if key in names else 1.0)
        for word in candidate.words
        for key in word.keys
    }


def _distinct(words: Iterable[Word]) -> set[str]:
    return {key for word in words for key in word.keys}


def _named(words: Iterable[Word]) -> Iterator[str]:
    for word in words:
        if word.capital:
            yield from word.keys


def _freshness(sent_at: datetime, now: datetime) -> float:
    days = max((now - sent_at).total_seconds(), 0.0) / 86_400
    return float(0.5 ** (days / HALF_LIFE_DAYS))


def _cover(
    candidates: Sequence[_Candidate], weights: Sequence[dict[str, float]], budget: int, told: set[str]
) -> list[int]:
    """The places of the candidates that cover most for their price, in the order they were taken.

    The heap is lazy: a score only falls while others are told, so one that is still ahead after a look is the best.
    """
    chosen: list[int] = []
    heap = [(-_score(candidates[place], weights[place], told), place) for place in range(len(candidates))]
    heapq.heapify(heap)
    while heap and budget > PRINT_COST:
        _, place = heapq.heappop(heap)
        if candidates[place].cost > budget:
            continue
        score = _score(candidates[place], weights[place], told)
        if score <= 0:
            continue
        if heap and (-score, place) > heap[0]:
            heapq.heappush(heap, (-score, place))
            continue
        chosen.append(place)
        told.update(weights[place])
        budget -= candidates[place].cost
    return chosen


def _score(candidate: _Candidate, weights: dict[str, float], told: set[str]) -> float:
    new = sum(weight for key, weight in weights.items() if key not in told)
    return candidate.factor * new / float(candidate.cost**COST_EXPONENT)


def _best(candidates: Sequence[_Candidate], weights: Sequence[dict[str, float]]) -> Entry:
    """What stands alone when no sentence fits or none says anything: the weightiest, else the client's last."""

    def rank(place: int) -> tuple[float, bool, int]:
        candidate = candidates[place]
        return _score(candidate, weights[place], set()), candidate.entry.direction == "inbound", place

    return candidates[max(range(len(candidates)), key=rank)].entry


def _fitting(entry: Entry, budget: int) -> Entry:
    return replace(entry, text=cut(entry.text, (budget - PRINT_COST) * 4), whole=entry.whole or entry.text)
