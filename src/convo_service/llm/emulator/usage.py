"""Counting tokens as the project's budgets do, and the part of a prompt that was sent before."""

from __future__ import annotations

from typing import NamedTuple

from convo_service.llm.emulator.items import text_of
from convo_service.llm.emulator.wire import Json

_PER_ITEM = 4
_CACHE_FROM, _CACHE_STEP = 1024, 128


class Segment(NamedTuple):
    """A piece of a prompt: what it is equal to, and its tokens."""

    key: int
    tokens: int


def item_tokens(item: Json) -> int:
    """A quarter of the characters, rounded up, and four for the item."""
    return _tokens(text_of(item)) + _PER_ITEM


def prompt(model: str, instructions: object, items: list[Json]) -> list[Segment]:
    """A whole prompt; the model comes first because no cache is shared between models."""
    told = instructions if isinstance(instructions, str) else ""
    head = [Segment(hash(model), 0), Segment(hash(told), _tokens(told))]
    return head + [Segment(hash((item["role"], text_of(item))), item_tokens(item)) for item in items]


def report(segments: list[Segment], cached: int, output: list[Json]) -> Json:
    """The usage object of a response."""
    sent, said = sum(segment.tokens for segment in segments), sum(map(item_tokens, output))
    return {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sent + said,
    }


def _tokens(text: str) -> int:
    return -(-len(text) // 4)


class PromptCache:
    """What was last sent for each conversation; in memory only, as a real cache is lost within minutes too."""

    def __init__(self) -> None:
        self._last: dict[str, list[Segment]] = {}

    def swap(self, conversation_id: str | None, segments: list[Segment]) -> int:
        """The cached tokens of this prompt (from 1,024, in steps of 128), which is what the next is compared with."""
        if conversation_id is None:
            return 0
        before = self._last.get(conversation_id, [])
        self._last[conversation_id] = segments
        common = 0
        for old, new in zip(before, segments, strict=False):
            if old != new:
                break
            common += new.tokens
        return common // _CACHE_STEP * _CACHE_STEP if common >= _CACHE_FROM else 0
