"""Items: what a client may send as one, and the form in which OpenAI keeps and shows it."""

from __future__ import annotations

from collections.abc import Collection

from convo_service.llm.emulator import checks
from convo_service.llm.emulator.wire import Json, new_id

_MAX_ITEMS = 20
_ROLES = ("user", "assistant", "system", "developer")
_WRITTEN_PARTS = ("input_text", "input_image", "input_file")
_SPOKEN_PARTS = ("output_text", "refusal")


def message(role: str, content: list[Json]) -> Json:
    """A message item with an id of its own."""
    return {"id": new_id("msg"), "type": "message", "status": "completed", "role": role, "content": content}


def text_of(item: Json) -> str:
    """All text of an item."""
    return "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])


def from_create(value: object) -> list[Json]:
    """The items of one create call, at most 20."""
    if isinstance(value, list) and len(value) > _MAX_ITEMS:
        raise checks.above("items", "array", "length", f"array too long, at most {_MAX_ITEMS}")
    return _items(value, "items")


def from_input(value: object) -> list[Json]:
    """The input of a response; a string is one user message."""
    return _items([{"role": "user", "content": value}] if isinstance(value, str) else value, "input")


def _items(value: object, where: str) -> list[Json]:
    if value is None:
        raise checks.missing(where)
    if not isinstance(value, list):
        raise checks.invalid_type(where, "an array of input items", value)
    return [_item(entry, f"{where}[{index}]") for index, entry in enumerate(value)]


def _item(entry: object, where: str) -> Json:
    if not isinstance(entry, dict):
        raise checks.invalid_type(where, "an object", entry)
    checks.one_of(entry.get("type", "message"), ("message",), f"{where}.type")
    role = checks.one_of(entry.get("role"), _ROLES, f"{where}.role")
    return message(role, _content(entry.get("content"), role, f"{where}.content"))


def _content(value: object, role: str, where: str) -> list[Json]:
    if isinstance(value, str):
        value = [{"type": "output_text" if role == "assistant" else "input_text", "text": value}]
    if not isinstance(value, list):
        raise checks.invalid_type(where, "one of a string or array of content parts", value)
    allowed = _SPOKEN_PARTS if role == "assistant" else _WRITTEN_PARTS
    return [_part(part, allowed, f"{where}[{index}]") for index, part in enumerate(value)]


def _part(part: object, allowed: Collection[str], where: str) -> Json:
    if not isinstance(part, dict):
        raise checks.invalid_type(where, "an object", part)
    kind = checks.one_of(part.get("type"), allowed, where)
    if kind.endswith("_text") and not isinstance(part.get("text"), str):
        raise checks.invalid_type(f"{where}.text", "a string", part.get("text"))
    return {"annotations": [], "logprobs": [], **part} if kind == "output_text" else part
