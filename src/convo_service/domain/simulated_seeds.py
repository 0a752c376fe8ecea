"""How large seeds would have been: made by the real rules for a sample of the users, estimated by those for the rest.

The real rules take milliseconds a seed, which is hours for a history of millions. But a seed's size depends on little
else than how much there is to tell, and levels off at its budget.
"""

from bisect import bisect_left
from collections import deque
from datetime import datetime
from typing import Protocol

from convo_service.domain.baseline import item_tokens
from convo_service.domain.digest import Entry, Said
from convo_service.domain.record import Client, seed_items
from convo_service.domain.seed import Material, SeedRules, compose
from convo_service.domain.text import tokens

STEPS = 16  # of what there is to tell, between a number of tokens and its double


class Seeds(Protocol):
    """The seeds of one user, conversation by conversation."""

    def hear(self, said: Said) -> None:
        """Take what was said in the current conversation."""

    def next(self, now: datetime) -> int:
        """The tokens of the items that the next conversation begins with; the current one is over."""


class NoSeeds:
    """Conversations start empty."""

    def hear(self, said: Said) -> None:
        """Forget it."""

    def next(self, now: datetime) -> int:  # noqa: ARG002 - as the others
        """Nothing."""
        return 0


class SeedSizes:
    """What seeds of one budget cost, by how many tokens they are made from."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[int, int]] = {}  # by step: what they cost together, and how many they are

    def learn(self, material: int, cost: int) -> None:
        """Take in what a real seed costs."""
        total, count = self._sums.get(_step(material), (0, 0))
        self._sums[_step(material)] = total + cost, count + 1

    def estimate(self, material: int) -> int:
        """The mean cost of seeds that were made from about as much; of the next larger known, else of the largest."""
        if not self._sums:
            return 0
        steps = sorted(self._sums)
        total, count = self._sums[steps[min(bisect_left(steps, _step(material)), len(steps) - 1)]]
        return round(total / count)


class RealSeeds:
    """Seeds made by the rules of `domain.seed`, without a model; `sizes` learns from them."""

    def __init__(self, rules: SeedRules, client: Client | None, sizes: SeedSizes, *, most: int) -> None:
        self._rules = rules
        self._client = client
        self._sizes = sizes
        self._messages: deque[Said] = deque(maxlen=most)
        self._carried: tuple[Entry, ...] = ()
        self._material = 0

    def hear(self, said: Said) -> None:
        """Keep it for the next seed."""
        self._messages.append(said)
        self._material += tokens(said.text)

    def next(self, now: datetime) -> int:
        """Make the seed."""
        messages = list(self._messages)
        seed = compose(Material(self._client, messages, self._carried), self._rules, now=now)
        cost = sum(item_tokens(item["content"]) for item in seed_items(seed.text))
        self._sizes.learn(self._material, cost)
        self._messages.clear()
        self._carried, self._material = seed.history, cost
        return cost


class EstimatedSeeds:
    """Seeds that nobody makes: each as large as others that were made from as much."""

    def __init__(self, sizes: SeedSizes) -> None:
        self._sizes = sizes
        self._material = 0

    def hear(self, said: Said) -> None:
        """Count it."""
        self._material += tokens(said.text)

    def next(self, now: datetime) -> int:  # noqa: ARG002 - as the others
        """Look the size up."""
        self._material = self._sizes.estimate(self._material)
        return self._material


def _step(material: int) -> int:
    """The step that a number of tokens is on: from 64 to 128 one begins at every fourth, from 128 at every eighth."""
    octave = material.bit_length()
    return octave * STEPS + (material * STEPS * 2 >> octave) - STEPS if octave else 0
