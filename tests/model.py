"""A model for the emulator that summarises as a test tells it to, and has one reply to everything else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
REPLY = "Certo, ci penso io."
LISTS = ("topics", "open_issues", "preferences", "facts")


def read(shown: Json) -> Json | None:
    """A message with its side and its text, a note or an earlier statement as it is; a time is none of these."""
    for side in ("customer", "assistant"):
        if side in shown:
            return {"n": shown["n"], "by": side, "text": shown[side]}
    return None if "at" in shown else shown


def inputs(request: Json) -> list[Json]:
    """The items of a request; a string is one, of a user."""
    given = request["input"]
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given)


def newest(request: Json) -> str:
    """What a request asks to be answered: the last of its items."""
    return str(inputs(request)[-1]["content"])


def echo(request: Json) -> str:
    """A model that says what it was asked."""
    return f"Risposta a {newest(request)}"


@dataclass
class Model:
    """Says the given statements about whatever it is shown; each cites the shown messages that hold a piece of text.

    A piece such as #7 cites that number, and an empty one cites nothing.
    """

    summary: dict[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    closed: Sequence[tuple[str, str]] = ()  # a piece of a note's text, a piece of a message's
    shown: list[Json] = field(default_factory=list)  # what it was shown last

    def __call__(self, request: Json) -> str:
        """The summary of what the request shows; a message gets its reply."""
        if "format" not in (request.get("text") or {}):
            return REPLY
        (content,) = [item["content"] for item in request["input"]]
        self.shown = [told for one in json.loads(content) if (told := read(one))]
        notes = [one for one in self.shown if "note" in one]
        answer: Json = {
            kind: [{"text": text, "n": self._citing(piece)} for text, piece in self.summary.get(kind, ())]
            for kind in LISTS
        }
        answer["closed"] = [
            {"note": note["note"], "n": self._citing(piece)}
            for text, piece in self.closed
            for note in notes
            if text in note["text"]
        ]
        return json.dumps(answer)

    def _citing(self, piece: str) -> list[int]:
        if not piece or piece.startswith("#"):
            return [int(piece[1:])] if piece else []
        messages = [(one["n"], one["text"]) for one in self.shown if "n" in one]
        messages += [(number, one["text"]) for one in self.shown for number in one.get("earlier", ())]
        return [number for number, text in messages if piece in text]
