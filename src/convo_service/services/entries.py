"""Entries of seeds and summaries as they are stored."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from convo_service.domain.digest import Entry


def to_json(entry: Entry) -> dict[str, Any]:
    """The stored form of an entry: as it was before it was cut or edited."""
    fields = {**asdict(entry.original), "sent_at": entry.sent_at.isoformat(), "also": list(entry.also)}
    return {name: value for name, value in fields.items() if name not in ("whole", "edited")}


def from_json(stored: dict[str, Any]) -> Entry:
    """An entry as it was stored; older rows have fewer fields."""
    sent_at = datetime.fromisoformat(stored["sent_at"])
    return Entry(**{**stored, "sent_at": sent_at, "also": tuple(stored.get("also", ()))})


def all_from_json(stored: Iterable[dict[str, Any]]) -> list[Entry]:
    """Entries as they were stored."""
    return [from_json(one) for one in stored]
