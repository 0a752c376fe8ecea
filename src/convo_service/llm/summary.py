"""The wire form of a model's summary: the schema it has to keep, and reading what it answered."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from convo_service.domain.summary import Closed, Draft, Statement, instructions


class _Strict(BaseModel):
    """Nothing optional and nothing more: what OpenAI's structured outputs ask of a schema."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _Entry(_Strict):
    text: str
    message_ids: list[str]


class _Closed(_Strict):
    note_id: str
    message_ids: list[str]


class _Summary(_Strict):
    topics: list[_Entry]
    open_issues: list[_Entry]
    preferences: list[_Entry]
    facts: list[_Entry]
    closed: list[_Closed]


class Unreadable(Exception):
    """The model did not answer with a summary."""


SCHEMA: dict[str, Any] = _Summary.model_json_schema()


def prompt_hash(language: str) -> str:
    """Which prompt a summary was made with: its instructions and its schema."""
    told = json.dumps([instructions(language), SCHEMA], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def read_summary(text: str) -> Draft:
    """What the model made of it; raises Unreadable."""
    try:
        found = _Summary.model_validate_json(text)
    except ValidationError:
        raise Unreadable from None
    return Draft(
        topics=_statements(found.topics),
        open_issues=_statements(found.open_issues),
        preferences=_statements(found.preferences),
        facts=_statements(found.facts),
        closed=tuple(Closed(one.note_id, tuple(one.message_ids)) for one in found.closed),
    )


def _statements(entries: list[_Entry]) -> tuple[Statement, ...]:
    return tuple(Statement(entry.text, tuple(entry.message_ids)) for entry in entries)
