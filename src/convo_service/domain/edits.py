"""What operators decide about entries of a seed: another text, a pin, or that it is never shown again."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from convo_service.domain.digest import Entry
from convo_service.domain.guard import same_statement
from convo_service.domain.record import Section


@dataclass(frozen=True, slots=True)
class Edit:
    """A decision about one entry; `was` is the entry before it was touched."""

    section: Section
    was: Entry
    text: str | None = None
    pinned: bool = False
    removed: bool = False


def entry_id(section: Section, entry: Entry) -> str:
    """The same for an entry wherever it is carried to, and whatever an operator makes of its text."""
    if entry.edited:
        return entry.edited
    # A topic is the word, whoever said it last; what was said is a piece of its message.
    parts = [section, entry.text.casefold()] if section == "topics" else [section, *entry.message_ids, entry.text]
    return "ent_" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def edited(section: Section, entries: Iterable[Entry], edits: Mapping[str, Edit]) -> list[Entry]:
    """The entries as the operators want them; pinned ones that are no longer among them come first."""
    edits = {one: edit for one, edit in edits.items() if edit.section == section}
    entries = list(entries)
    there = {entry_id(section, entry) for entry in entries}
    pinned = [edit.was for one, edit in edits.items() if edit.pinned and one not in there]
    removed = [edit.was for edit in edits.values() if edit.removed]
    return list(_applied(section, [*pinned, *entries], edits, removed))


def _applied(
    section: Section, entries: Iterable[Entry], edits: Mapping[str, Edit], removed: Sequence[Entry]
) -> Iterator[Entry]:
    for entry in entries:
        one = entry_id(section, entry)
        edit = edits.get(one)
        if edit is None:
            if not _is_said_again(entry, removed):
                yield entry
        elif not edit.removed:
            yield entry if edit.text is None else replace(entry, text=edit.text, edited=one)


def _is_said_again(entry: Entry, removed: Sequence[Entry]) -> bool:
    """Whether a model says in other words what an operator took out."""
    return entry.source == "llm" and any(same_statement(entry.text, gone.text) for gone in removed)
