"""Counting tokens, by default as the project's budgets do, and the part of a prompt that was sent before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from convo_service.llm.emulator.items import text_of
from convo_service.llm.emulator.wire import Json

_PER_ITEM = 4
_CACHE_FROM, _CACHE_STEP, _CACHE_SECONDS = 1024, 128, 3600.0

Count = Callable[[str], int]
"""Says how many tokens a text has."""


def quarter(text: str) -> int:
    """A quarter of the characters, rounded up."""
    return -(-len(text) // 4)


class Segment(NamedTuple):
    """A piece of a prompt: what it is equal to, and its tokens."""

    key: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts prompts and replies, text by text."""

    count: Count = quarter

    def item(self, item: Json) -> int:
        """The text of an item, and four for the item."""
        return self.count(text_of(item)) + _PER_ITEM

    def prompt(self, model: str, instructions: object, items: list[Json]) -> list[Segment]:
        """A whole prompt; the model comes first because no cache is shared between models."""
        told = instructions if isinstance(instructions, str) else ""
        head = [Segment(hash(model), 0), Segment(hash(told), self.count(told))]
        return head + [Segment(hash((item["role"], text_of(item))), self.item(item)) for item in items]

    def report(self, segments: list[Segment], cached: int, output: list[Json]) -> Json:
        """The usage object of a response."""
        sent, said = sum(segment.tokens for segment in segments), sum(map(self.item, output))
        return {
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sent + said,
        }


class PromptCache:
    """What was last sent for each conversation, forgotten after an hour; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, tuple[float, list[Segment]]] = {}

    def swap(self, conversation_id: str | None, segments: list[Segment]) -> int:
        """The cached tokens of this prompt (from 1,024, in steps of 128), which is what the next is compared with."""
        if conversation_id is None:
            return 0
        now = self._clock()
        at, before = self._last.get(conversation_id, (now, []))
        self._last[conversation_id] = now, segments
        common = 0 if now - at > _CACHE_SECONDS else _common(before, segments)
        return common // _CACHE_STEP * _CACHE_STEP if common >= _CACHE_FROM else 0


def _common(before: list[Segment], segments: list[Segment]) -> int:
    common = 0
    for old, new in zip(before, segments, strict=False):
        if old != new:
            break
        common += new.tokens
    return common
