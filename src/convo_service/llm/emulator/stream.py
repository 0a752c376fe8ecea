"""Server-sent events of a response, numbered as the Responses API numbers them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from convo_service.llm.emulator.wire import Json, encode

_WORD = re.compile(r"\s*\S+\s*|\s+")


class Events:
    """Numbers the events of one stream."""

    def __init__(self) -> None:
        self._number = 0

    def event(self, kind: str, **fields: object) -> bytes:
        """One event as it goes over the wire."""
        data = encode({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return f"event: {kind}\ndata: ".encode() + data + b"\n\n"

    def message(self, item: Json) -> Iterator[bytes]:
        """A message being said: its text comes word by word."""
        part = item["content"][0]
        empty_part = {**part, "text": ""}
        whole = {"output_index": 0}
        inner = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        yield self.event("response.output_item.added", **whole, item={**item, "status": "in_progress", "content": []})
        yield self.event("response.content_part.added", **inner, part=empty_part)
        for word in _WORD.findall(part["text"]):
            yield self.event("response.output_text.delta", **inner, delta=word, logprobs=[])
        yield self.event("response.output_text.done", **inner, text=part["text"], logprobs=[])
        yield self.event("response.content_part.done", **inner, part=part)
        yield self.event("response.output_item.done", **whole, item=item)
