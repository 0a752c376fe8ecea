"""The wire form of a model's summary: the schema it has to keep, and reading what it answered."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from convo_service.domain.summary import Closed, Draft, Numbers, Statement, instructions


class _Strict(BaseModel):
    """Nothing optional and nothing more: what OpenAI's structured outputs ask of a schema."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _Entry(_Strict):
    text: str
    n: list[int]


class _Closed(_Strict):
    note: int
    n: list[int]


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


def read_summary(text: str, numbers: Numbers) -> Draft:
    """What the model made of it, with the ids behind its numbers; raises Unreadable."""
    try:
        found = _Summary.model_validate_json(text)
    except ValidationError:
        raise Unreadable from None
    return Draft(
        topics=_statements(found.topics, numbers),
        open_issues=_statements(found.open_issues, numbers),
        preferences=_statements(found.preferences, numbers),
        facts=_statements(found.facts, numbers),
        closed=tuple(Closed(numbers.note(one.note), numbers.messages(one.n)) for one in found.closed),
    )


def _statements(entries: list[_Entry], numbers: Numbers) -> tuple[Statement, ...]:
    return tuple(Statement(entry.text, numbers.messages(entry.n)) for entry in entries)
