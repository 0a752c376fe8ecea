"""What operators decide about entries of a seed: another text, a pin, or that it is never shown again."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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

    @property
    def is_put_back(self) -> bool:
        """Whether nothing is left of it but that the entry shall be there."""
        return self.text is None and not self.pinned and not self.removed


def entry_id(section: Section, entry: Entry) -> str:
    """The same for an entry wherever it is carried to, and whatever an operator makes of its text."""
    text = entry.whole or entry.text
    # A topic is the word, whoever said it last; what was said is a piece of its message.
    parts = [section, text.casefold()] if section == "topics" else [section, *entry.message_ids, text]
    return "ent_" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def edited(section: Section, entries: Iterable[Entry], edits: Mapping[str, Edit]) -> list[Entry]:
    """The entries as the operators want them, each once, the pinned ones first.

    A pinned entry that is no longer among them is put in, and so is one that was taken out and put back.
    """
    edits = {one: edit for one, edit in edits.items() if edit.section == section}
    back = {one: edit.was for one, edit in edits.items() if edit.pinned or edit.is_put_back}
    there: dict[str, Entry] = {}
    for entry in entries:
        there.setdefault(entry_id(section, entry), entry)
    there = {one: there.get(one, was) for one, was in back.items()} | there
    corrected = [edit.was for edit in edits.values() if edit.removed or edit.text is not None]
    return [_applied(entry, edits.get(one)) for one, entry in there.items() if _stays(entry, edits.get(one), corrected)]


def is_overruled(text: str, edits: Mapping[str, Edit]) -> bool:
    """Whether a model says in other words what an operator took out of the history or corrected there."""
    corrected = [
        edit for edit in edits.values() if edit.section == "history" and (edit.removed or edit.text is not None)
    ]
    return any(same_statement(text, edit.was.text) for edit in corrected)


def _applied(entry: Entry, edit: Edit | None) -> Entry:
    if edit is None or edit.text is None:
        return entry
    return replace(entry, text=edit.text, whole=entry.whole or entry.text, edited=True)


def _stays(entry: Entry, edit: Edit | None, corrected: Sequence[Entry]) -> bool:
    if edit is not None:
        return not edit.removed
    return entry.source != "llm" or not any(same_statement(entry.text, was.text) for was in corrected)
