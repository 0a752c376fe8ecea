"""What the emulator says: a scripted text, an echo that admits there is no model, or the emptiest valid JSON."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from convo_service.llm.emulator.items import text_of
from convo_service.llm.emulator.wire import Json

_ECHOED = 80


Model = Callable[[Json], str]
"""Says something to a request of responses.create."""


@dataclass
class Voice:
    """What the emulator says next: the scripted texts first, then what a given model says, else what it says itself."""

    model: Model | None = None
    scripted: deque[str] = field(default_factory=deque)

    def reply(self, request: Json, inputs: list[Json]) -> str:
        """The text of the next response."""
        if self.scripted:
            return self.scripted.popleft()
        return self.model(request) if self.model is not None else _own(request, inputs)


def _own(request: Json, inputs: list[Json]) -> str:
    wanted = (request.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        schema = wanted.get("schema") or {}
        return json.dumps(emptiest(schema, schema), ensure_ascii=False)
    if wanted.get("type") == "json_object":
        return "{}"
    said = next((text_of(item) for item in reversed(inputs) if item["role"] == "user"), "")
    return f'[emulatore OpenAI: nessun modello dietro] Ho ricevuto: "{said[:_ECHOED]}"'


def emptiest(schema: Json, root: Json) -> Any:
    """The emptiest value that is valid for a JSON schema; it claims nothing, as nothing has thought about it."""
    if "$ref" in schema:
        return emptiest(_definition(schema["$ref"], root), root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return None if None in schema["enum"] else schema["enum"][0]
    options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if options:
        empty_first = sorted(options, key=lambda option: "null" not in _types(option))
        return emptiest(empty_first[0], root)
    return _emptiest_of_type(schema, root)


def _emptiest_of_type(schema: Json, root: Json) -> Any:
    kinds = _types(schema)
    if not kinds or "null" in kinds:
        return None
    match kinds[0]:
        case "object":
            return {name: emptiest(schema["properties"][name], root) for name in schema.get("required", [])}
        case "array":
            return [emptiest(schema.get("items", {}), root) for _ in range(schema.get("minItems", 0))]
        case "string":
            return " " * schema.get("minLength", 0)
        case "boolean":
            return False
        case _:
            return max(0, schema.get("minimum", 0))


def _types(schema: Json) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else kind


def _definition(ref: str, root: Json) -> Json:
    found = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")] if step else found
    return found
