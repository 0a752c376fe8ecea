"""The seed of a new conversation: the profile, notes and topics first, then what was said, within a budget."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from convo_service.domain.digest import PRINT_COST, Entry, Said, digest, pieces
from convo_service.domain.edits import Edit, edited, entry_id
from convo_service.domain.guard import held, stated
from convo_service.domain.notes import BY_HAND, NoteLine, to_print
from convo_service.domain.record import LABELS, SECTIONS, Client, Head, Labels, Section, render
from convo_service.domain.text import clean, cut, tokens
from convo_service.domain.topics import MAX_CHARS as MAX_TOPIC_CHARS
from convo_service.domain.topics import MOST, recent_topics
from convo_service.domain.words import stem

MAX_CHARS = 3000
MAX_NOTE_CHARS = 2000  # of notes written by people: they are printed whole, whatever the budget
SHARES = (0.5, 0.25)  # of the budget for a model's notes; the smaller one when they push out what was said

Generator = Literal["llm", "digest", "none"]
NOTE_SECTIONS: Mapping[str, Section] = {"issue": "issues", "preference": "preferences", "note": "notes"}


@dataclass(frozen=True, slots=True)
class Material:
    """All that a seed is made from: the profile, the closed conversation, and the entries of its own seed.

    `topics` and `facts` are a model's, prepared while the user was away. Entries are as they were said: what operators
    made of them is in `edits` alone, so that it can be undone.
    """

    client: Client | None = None
    messages: Sequence[Said] = ()
    carried: Sequence[Entry] = ()
    topics: Sequence[Entry] = ()
    facts: Sequence[Entry] = ()
    notes: Sequence[NoteLine] = ()  # open ones, newest first
    edits: Mapping[str, Edit] = field(default_factory=dict)  # by entry id


@dataclass(frozen=True, slots=True)
class SeedRules:
    """The settings of a seed: a budget in tokens, a language, what the topic line is made from, and which sections."""

    budget: int = 300
    language: str = "it"
    topic_messages: int = 20
    sections: Collection[str] = SECTIONS


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a seed, the messages it rests on, and where it came from; the profile has no id."""

    section: Section
    text: str
    source: Literal["profile", "note", "llm", "digest"]
    message_ids: tuple[str, ...] = ()
    pinned: bool = False
    id: str | None = None
    entry: Entry | None = None  # what it was made of; a note and the profile are no entries


@dataclass(frozen=True, slots=True)
class Seed:
    """`text` is what the model reads; `history` is carried on into the next seed."""

    text: str = ""
    generator: Generator = "none"
    parts: tuple[Part, ...] = ()
    history: tuple[Entry, ...] = ()
    covered: tuple[str, ...] = field(default=())  # ids of the messages it was made from, oldest first

    @property
    def tokens(self) -> int:
        """The size of the text."""
        return tokens(self.text)


def compose(material: Material, rules: SeedRules, *, now: datetime) -> Seed:
    """Make a seed, without a model. It is never empty when anything is stored, and never longer than MAX_CHARS.

    What a model wrote may not cost a value or a name of the client's, when the seed has room for all of them.
    """
    material = _wanted(material, rules)
    plain = _draft(without_model(material), rules, now)
    if not _has_model(material):
        return plain
    said = [message.text for message in material.messages if message.direction == "inbound"]
    wanted = frozenset[str]().union(*map(stated, said))
    kept = wanted if wanted <= held(plain.text) else frozenset()
    drafts = (_draft(material, rules, now, share) for share in SHARES)
    return next((seed for seed in drafts if kept <= held(seed.text)), plain)


def _wanted(material: Material, rules: SeedRules) -> Material:
    """The material without what the sections leave out; but history stays, because the next seed may want it."""
    notes = [note for note in material.notes if NOTE_SECTIONS[note.kind] in rules.sections]
    return replace(material, client=material.client if "profile" in rules.sections else None, notes=notes)


def without_model(material: Material) -> Material:
    """The same without anything that a model wrote; what an operator pinned is his own by now."""
    notes = [note for note in material.notes if note.source in BY_HAND]
    carried = [entry for entry in material.carried if entry.source != "llm"]
    return replace(material, topics=(), facts=(), carried=carried, notes=notes)


def _has_model(material: Material) -> bool:
    from_model = any(entry.source == "llm" for entry in material.carried)
    return bool(material.topics or material.facts) or from_model or any(n.source not in BY_HAND for n in material.notes)


def _draft(material: Material, rules: SeedRules, now: datetime, share: float = 0.0) -> Seed:
    labels = LABELS[rules.language]
    topics = _topics(material, rules) if "topics" in rules.sections else []
    notes = _notes(material, topics, rules, share)
    head = _head(material, topics, notes, labels)
    history = _history(material, head, rules, now)
    shown = history if "history" in rules.sections else []
    parts = tuple(_parts(head, topics, notes, shown, material))
    return Seed(
        text=render(head, shown, labels),
        generator=_generator(parts, notes),
        parts=parts,
        history=tuple(entry.original for entry in history),
        covered=tuple(message.message_id for message in material.messages),
    )


def _topics(material: Material, rules: SeedRules) -> list[Entry]:
    """A model's topics, filled up with words of the last messages."""
    found = [*material.topics, *recent_topics(material.messages[-rules.topic_messages :])]
    kept: dict[str, Entry] = {}
    for topic in edited("topics", found, material.edits):
        short = replace(topic, text=cut(clean(topic.text), MAX_TOPIC_CHARS), whole=topic.whole or topic.text)
        kept.setdefault(" ".join(stem(word) for word in short.text.lower().split()), short)
    pinned = sum(_is_pinned("topics", topic, material) for topic in kept.values())  # they come first
    return list(kept.values())[: max(MOST, pinned)]


def _notes(material: Material, topics: Sequence[Entry], rules: SeedRules, share: float) -> list[NoteLine]:
    """The notes to print: all that people wrote, up to MAX_NOTE_CHARS, and a model's in their share of the budget."""
    labels = LABELS[rules.language]
    in_order = [note for kind in NOTE_SECTIONS for note in to_print(material.notes, kind)]
    kept: list[NoteLine] = []
    for note in sorted(in_order, key=lambda note: note.source not in BY_HAND):
        by_hand = note.source in BY_HAND
        head = _head(material, topics, [*kept, note], labels)
        bare = replace(head, profile="", topics=())
        fits = len(render(bare, (), labels)) <= MAX_NOTE_CHARS and len(render(head, (), labels)) <= MAX_CHARS
        if not by_hand:
            left = rules.budget - tokens(render(_head(material, topics, (), labels), (), labels))
            fits = fits and tokens(render(bare, (), labels)) <= left * share
        if fits:
            kept.append(note)
    return sorted(kept, key=in_order.index)


def _head(material: Material, topics: Sequence[Entry], notes: Sequence[NoteLine], labels: Labels) -> Head:
    lists = {
        section: tuple(clean(note.text) for note in notes if note.kind == kind)
        for kind, section in NOTE_SECTIONS.items()
    }
    return Head(
        profile=material.client.line(labels) if material.client is not None else "",
        topics=tuple(topic.text for topic in topics),
        **lists,
    )


def _history(material: Material, head: Head, rules: SeedRules, now: datetime) -> list[Entry]:
    """Fill what the first lines leave of the budget; alone, the digest gets at least one piece of a sentence."""
    labels = LABELS[rules.language]
    left = rules.budget - tokens(render(head, (), labels))
    if head == Head():
        left = max(left, PRINT_COST + 1)
    found = edited("history", [*material.carried, *material.facts, *pieces(material.messages)], material.edits)
    pinned = [entry for entry in found if _is_pinned("history", entry, material)]
    left -= sum(tokens(entry.text) + PRINT_COST for entry in pinned)
    told = [*head.issues, *head.preferences, *head.notes, *(entry.text for entry in pinned)]
    others = [entry for entry in found if not _is_pinned("history", entry, material)]
    chosen = digest(others, budget=left, now=now, told=told) if left > PRINT_COST else []
    return _fitting(head, pinned, chosen, rules)


def _is_pinned(section: Section, entry: Entry, material: Material) -> bool:
    edit = material.edits.get(entry_id(section, entry))
    return edit is not None and edit.pinned


def _fitting(head: Head, pinned: Sequence[Entry], chosen: Sequence[Entry], rules: SeedRules) -> list[Entry]:
    """In time order. The headings of the days are in no account: what they push over the edge goes, oldest first.

    A pinned entry gives way to MAX_CHARS alone.
    """
    labels = LABELS[rules.language]
    entries = _in_time([*pinned, *chosen])
    while chosen and len(entries) > 1 and not _fits(render(head, entries, labels), rules.budget):
        chosen = chosen[1:]
        entries = _in_time([*pinned, *chosen])
    while entries and len(render(head, entries, labels)) > MAX_CHARS:
        entries = entries[1:]
    return entries


def _in_time(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.sent_at, entry.message_id))


def _fits(text: str, budget: int) -> bool:
    return len(text) <= MAX_CHARS and tokens(text) <= budget


def _parts(
    head: Head, topics: Sequence[Entry], notes: Sequence[NoteLine], history: Sequence[Entry], material: Material
) -> Iterator[Part]:
    if head.profile:
        yield Part("profile", head.profile, "profile")
    for topic in topics:
        yield _part("topics", topic, material)
    for note in notes:
        yield Part(NOTE_SECTIONS[note.kind], clean(note.text), "note", note.message_ids, id=note.id)
    for entry in history:
        yield _part("history", entry, material)


def _part(section: Section, entry: Entry, material: Material) -> Part:
    one = entry_id(section, entry)
    edit = material.edits.get(one)
    pinned = edit is not None and edit.pinned
    return Part(section, clean(entry.text), entry.source, entry.message_ids, pinned, one, entry)


def _generator(parts: Sequence[Part], notes: Sequence[NoteLine]) -> Generator:
    sources = {part.source for part in parts}
    if "llm" in sources or any(note.source not in BY_HAND for note in notes):
        return "llm"
    return "digest" if "digest" in sources else "none"
