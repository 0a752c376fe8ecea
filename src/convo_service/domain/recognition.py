"""Which of the described topics a message opens, by its wording alone; in doubt none, so that talk stays where it is.

Not to be confused with `domain.topics`: those are words that a seed repeats, these are topics that operators describe.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from convo_service.domain.text import sentences
from convo_service.domain.topics import is_vague
from convo_service.domain.words import CALENDAR, read

NAME_WEIGHT = 2.0  # of the words of a topic's name
WORD_WEIGHT = 1.0  # of a word that stands alone in the description, between commas
PHRASE_WEIGHT = 0.7  # of the words of a phrase: one of them says little, two of them enough
LEAST = 1.0
MARGIN = 0.51  # of the best one's weight, by which the next one has to lie below
MOST_READ = 2000  # characters of a message: who writes more says at the beginning what it is about

_ITEMS = re.compile(r"[,;:.\n]|\s(?:e|ed|o|oppure|and|or)\s")


@dataclass(frozen=True)
class Recogniser:
    """Knows the topics of an installation by their descriptions: words and phrases between commas."""

    descriptions: Mapping[str, str]

    def recognise(self, text: str) -> str | None:
        """The topic that a message is surely about; None when its words name none, or several nearly alike."""
        best = self.scores(text).most_common(2)
        if not best or best[0][1] < LEAST:
            return None
        next_ = best[1][1] if len(best) > 1 else 0.0
        return best[0][0] if best[0][1] - next_ >= MARGIN * best[0][1] else None

    def scores(self, text: str) -> Counter[str]:
        """What speaks for each topic: the weights of its words that the message has, each once."""
        found: Counter[str] = Counter()
        for word in sorted(set(_stems(text[:MOST_READ]))):
            found.update(self._weights.get(word, {}))
        return found

    @cached_property
    def _weights(self) -> dict[str, dict[str, float]]:
        """For each word the topics that it speaks for; a word of several says less of each."""
        weights: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for topic, description in self.descriptions.items():
            for item in _ITEMS.split(description):
                words = set(_stems(item))
                for word in words:
                    weight = WORD_WEIGHT if len(words) == 1 else PHRASE_WEIGHT
                    weights[word][topic] = max(weight, weights[word].get(topic, 0.0))
            for word in set(_stems(re.sub("[-_]", " ", topic))):
                weights[word][topic] = NAME_WEIGHT
        return {word: {one: weight / len(of) for one, weight in of.items()} for word, of in weights.items()}


def _stems(text: str) -> Iterator[str]:
    """The stems of the words that name something."""
    for sentence in sentences(text):
        for word in read(sentence):
            if not (word.value or word.core in CALENDAR or is_vague(word)):
                yield from word.keys
