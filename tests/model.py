"""A model for the emulator that summarises as a test tells it to, and has one reply to everything else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
REPLY = "Certo, ci penso io."
LISTS = ("topics", "open_issues", "preferences", "facts")


@dataclass
class Model:
    """Says the given statements about whatever it is shown; each cites the shown messages that hold a piece of text.

    A piece that starts with `msg_` is cited as it is, and an empty one cites nothing.
    """

    summary: dict[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    closed: Sequence[tuple[str, str]] = ()  # a piece of a note's text, a piece of a message's
    shown: list[Json] = field(default_factory=list)  # what it was shown last

    def __call__(self, request: Json) -> str:
        """The summary of what the request shows; a message gets its reply."""
        if "format" not in (request.get("text") or {}):
            return REPLY
        (content,) = [item["content"] for item in request["input"]]
        self.shown = json.loads(content)
        notes = [one for one in self.shown if one["kind"] == "open_note"]
        answer: Json = {
            kind: [{"text": text, "message_ids": self._citing(piece)} for text, piece in self.summary.get(kind, ())]
            for kind in LISTS
        }
        answer["closed"] = [
            {"note_id": note["id"], "message_ids": self._citing(piece)}
            for text, piece in self.closed
            for note in notes
            if text in note["text"]
        ]
        return json.dumps(answer)

    def _citing(self, piece: str) -> list[str]:
        if not piece or piece.startswith("msg_"):
            return [piece] if piece else []
        messages = [(one["id"], one["text"]) for one in self.shown if one["kind"] == "message"]
        messages += [(id_, one["text"]) for one in self.shown if one["kind"] == "earlier" for id_ in one["message_ids"]]
        return [id_ for id_, text in messages if piece in text]
