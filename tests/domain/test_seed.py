"""The seed: what stands in it, in which form, and that nothing in it can become an instruction."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.digest import Entry, Said
from convo_service.domain.edits import Edit, entry_id
from convo_service.domain.notes import NoteLine
from convo_service.domain.record import PREAMBLE, Client, carried_items, seed_items, without_controls
from convo_service.domain.seed import MAX_CHARS, MAX_NOTE_CHARS, Material, SeedRules, compose

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MARIA = Client("Maria", "Bianchi", "Molino Bianchi Srl", "maria@bianchi.it")
TALK = (
    Said("msg_1", "inbound", "Vorrei 25 sacchi di farina Manitoba per venerdì.", NOW - timedelta(hours=3)),
    Said("msg_2", "outbound", "Certo, consegna venerdì alle 7:30.", NOW - timedelta(hours=2)),
    Said("msg_3", "inbound", "Non scaricate dal cortile, usate via Roma 12.", NOW - timedelta(hours=1)),
)


def lines(text: str) -> dict[str, object]:
    """The record's top lines: key and parsed JSON value."""
    pairs = [line.split(": ", 1) for line in text.splitlines() if ": " in line and not line.startswith(" ")]
    return {key: json.loads(value) for key, value in pairs}


@pytest.mark.parametrize(
    ("client", "line"),
    [
        pytest.param(MARIA, "Maria Bianchi di Molino Bianchi Srl (maria@bianchi.it)", id="complete"),
        pytest.param(Client("Maria"), "Maria", id="a first name"),
        pytest.param(Client("Maria", None, "Molino Srl"), "Maria di Molino Srl", id="no surname"),
        pytest.param(Client(None, None, "Molino Srl"), "Molino Srl", id="a company alone"),
        pytest.param(Client(email="m@x.it"), "(m@x.it)", id="an e-mail alone"),
        pytest.param(Client("  ", "Bianchi"), "Bianchi", id="a blank name is none"),
    ],
)
def test_client_line(client: Client, line: str) -> None:
    """Complete and incomplete profiles: what is known stands first, in one line."""
    seed = compose(Material(client), SeedRules(), now=NOW)
    assert seed.text.splitlines()[0] == f"Cliente: {json.dumps(line, ensure_ascii=False)}"
    assert (seed.generator, [part.source for part in seed.parts]) == ("none", ["profile"])


def test_nothing_stored() -> None:
    """Without anything stored there is no seed, and no item."""
    seed = compose(Material(Client()), SeedRules(), now=NOW)
    assert (seed.text, seed.tokens, seed.parts, seed_items(seed.text)) == ("", 0, (), [])


def test_content() -> None:
    """Profile, topics and what was said, with the numbers, the negation, and the message behind each part."""
    seed = compose(Material(MARIA, TALK), SeedRules(), now=NOW)
    assert list(lines(seed.text)) == ["Cliente", "Argomenti recenti"]
    for value in ("25", "Manitoba", "7:30", "Non", "via Roma 12", "2026-03-02"):
        assert value in seed.text
    history = [part for part in seed.parts if part.section == "history"]
    assert {part.message_ids[0] for part in history} <= {"msg_1", "msg_2", "msg_3"}
    assert seed.covered == ("msg_1", "msg_2", "msg_3")
    assert seed.generator == "digest"


def test_english() -> None:
    """The words of the record follow the language."""
    seed = compose(Material(MARIA, TALK), SeedRules(language="en"), now=NOW)
    assert list(lines(seed.text)) == ["Client", "Recent topics"]


def test_carried_on() -> None:
    """What a seed held goes on into the next one, still tied to its message; nothing is summarised twice."""
    first = compose(Material(None, TALK), SeedRules(), now=NOW)
    later = Said("msg_9", "inbound", "Buongiorno, tutto bene?", NOW + timedelta(days=9))
    second = compose(Material(None, [later], first.history), SeedRules(), now=NOW + timedelta(days=9))
    kept = {entry.message_id: entry.text for entry in second.history}
    assert kept["msg_1"] == next(entry.text for entry in first.history if entry.message_id == "msg_1")


def test_preamble_is_pinned() -> None:
    """The developer item is a constant: whoever changes it means to."""
    assert seed_items('Cliente: "x"')[0] == {"type": "message", "role": "developer", "content": PREAMBLE}
    assert (
        hashlib.sha256(PREAMBLE.encode()).hexdigest()
        == "73014af130cec0e508222574f9cbc997f12b7aac8c8c619277171923f5983dad"
    )


@given(
    texts=st.lists(st.text(min_size=1, max_size=400), max_size=12),
    name=st.text(max_size=300),
    budget=st.integers(min_value=1, max_value=1200),
)
def test_no_value_forges_a_key(texts: list[str], name: str, budget: int) -> None:
    """Whatever people write, every line is one of our keys with a JSON string behind it, within the limit."""
    messages = [Said(f"msg_{n}", "inbound", text, NOW) for n, text in enumerate(texts)]
    seed = compose(Material(Client(name=name), messages), SeedRules(budget=budget), now=NOW)
    assert len(seed.text) <= MAX_CHARS
    for line in filter(None, seed.text.split("\n")):
        key, _, value = line.strip().removeprefix("- ").partition(":")
        assert key in {"Cliente", "Argomenti recenti", "Detto in precedenza", "cliente", NOW.date().isoformat()}
        assert value == "" or json.loads(value)


@given(
    texts=st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1), min_size=1, max_size=12),
    budget=st.integers(min_value=60, max_value=400),
)
def test_budget(texts: list[str], budget: int) -> None:
    """The seed keeps its budget, and is never empty when something readable was said."""
    messages = [Said(f"msg_{n}", "inbound", text, NOW) for n, text in enumerate(texts)]
    seed = compose(Material(None, messages), SeedRules(budget=budget), now=NOW)
    assert 0 < seed.tokens <= budget


def test_carried_items() -> None:
    """At the cap the last messages go along as they were said, each with its own role, cut at 1,000 characters."""
    said = [*TALK[:2], Said("msg_4", "inbound", "riga uno\nriga due\u0007\u202e" + "x" * 2000, NOW)]
    items = carried_items(said)
    assert [one["role"] for one in items] == ["user", "assistant", "user"]
    assert items[2]["content"].startswith("riga uno\nriga duex")
    assert len(items[2]["content"]) == 1000


def test_without_controls() -> None:
    """Control, bidirectional and tag characters go; line breaks and emoji stay."""
    assert without_controls("a\x00b\u202ec\U000e0041d\n👩\u200d🍳") == "abcd\n👩\u200d🍳"


def note(text: str, source: str = "operator", kind: str = "issue") -> NoteLine:
    """An open note."""
    return NoteLine(f"note {text[:20]}", kind, text, source)


def fact(text: str, *, hours: int = 0, number: int = 1) -> Entry:
    """A statement of a model."""
    return Entry(text, f"msg_{number}", "inbound", NOW - timedelta(hours=hours), source="llm")


def pins(entries: Sequence[Entry]) -> dict[str, Edit]:
    """These entries, pinned."""
    return {entry_id("history", one): Edit("history", one, pinned=True) for one in entries}


def test_notes_in_their_order() -> None:
    """Notes stand behind the topics, each kind in its own line, people's before a summary's, in one line of text."""
    notes = [
        note("Fattura 88 mancante", "summary"),
        note("Reso da ritirare\n in via Roma"),
        note("Solo bonifico", "gateway", "preference"),
        note("Suonare due volte", kind="note"),
    ]
    seed = compose(Material(MARIA, TALK, notes=notes), SeedRules(), now=NOW)
    found = lines(seed.text)
    assert list(found) == ["Cliente", "Argomenti recenti", "Questioni aperte", "Preferenze", "Note"]
    assert found["Questioni aperte"] == ["Reso da ritirare in via Roma", "Fattura 88 mancante"]
    assert (found["Preferenze"], found["Note"]) == (["Solo bonifico"], ["Suonare due volte"])
    printed = [(part.section, part.id) for part in seed.parts if part.source == "note"]
    assert [section for section, _ in printed] == ["issues", "issues", "preferences", "notes"]
    assert printed[0][1] == notes[1].id


@pytest.mark.parametrize(
    ("notes", "budget", "expected"),
    [
        pytest.param([note("x" * 500), note("y" * 500)], 30, {"x", "y"}, id="people's, whatever the budget"),
        pytest.param([note("x" * 100, "summary")], 100, {"x"}, id="a summary's, in half of the budget"),
        pytest.param([note("x" * 240, "summary")], 100, set(), id="a summary's, in more than half"),
        pytest.param([note("x" * 240, "summary"), note("y", "summary")], 100, {"y"}, id="a smaller one behind it"),
        pytest.param([note("x" * 100, "summary"), note("y" * 180, kind="note")], 100, {"y"}, id="people's come first"),
        pytest.param(
            [note(one * 480) for one in "abcde"] + [note("z" * 20, kind="note")],
            300,
            {"a", "b", "c", "d", "z"},
            id="more of people's than a seed can hold",
        ),
    ],
)
def test_room_for_notes(notes: Sequence[NoteLine], budget: int, expected: set[str]) -> None:
    """People's notes are printed whole up to MAX_NOTE_CHARS; a summary's share half of the budget with them."""
    seed = compose(Material(notes=notes), SeedRules(budget=budget), now=NOW)
    assert {part.text[0] for part in seed.parts} == expected
    assert {part.text for part in seed.parts} <= {one.text for one in notes}
    assert len(seed.text) <= MAX_NOTE_CHARS


def test_a_model_was_there() -> None:
    """A model's topics come first and its statements stand among what was said, marked as a summary."""
    topics = [fact("Fornitura di farina")]
    facts = [fact("Il cancello del magazzino è verde", hours=1, number=3)]
    seed = compose(Material(None, TALK, topics=topics, facts=facts), SeedRules(), now=NOW)
    shown = lines(seed.text)["Argomenti recenti"]
    assert isinstance(shown, list)
    assert (shown[0], len(shown)) == ("Fornitura di farina", 5)
    assert '  - sintesi: "Il cancello del magazzino è verde"' in seed.text.splitlines()
    sources = {part.text: part.source for part in seed.parts}
    assert (sources["Fornitura di farina"], sources["Il cancello del magazzino è verde"]) == ("llm", "llm")
    assert {part.source for part in seed.parts} == {"llm", "digest"}


@pytest.mark.parametrize(
    ("material", "generator"),
    [
        pytest.param(Material(MARIA, notes=[note("x")]), "none", id="a profile and an operator's note"),
        pytest.param(Material(MARIA, TALK, notes=[note("x")]), "digest", id="what was said"),
        pytest.param(Material(MARIA, TALK, facts=[fact("cancello verde")]), "llm", id="a model's statement"),
        pytest.param(Material(MARIA, TALK, topics=[fact("farina")]), "llm", id="a model's topic"),
        pytest.param(Material(MARIA, TALK, notes=[note("x", "summary")]), "llm", id="a model's note"),
        pytest.param(Material(MARIA, carried=[fact("cancello verde")]), "llm", id="a model's words, carried on"),
        pytest.param(Material(MARIA, TALK, notes=[note("x" * 900, "summary")]), "digest", id="a note without room"),
    ],
)
def test_generator(material: Material, generator: str) -> None:
    """A seed says whether a model's words stand in it, or a digest's alone, or only what people wrote."""
    assert compose(material, SeedRules(), now=NOW).generator == generator


def test_pinned_before_the_budget() -> None:
    """A pinned entry is there whatever the budget; the others have what it leaves, and MAX_CHARS is above all."""
    old = [fact(f"numero {n} " + "x" * 280, hours=900 - n, number=n) for n in range(12)]
    seed = compose(Material(None, TALK, edits=pins(old[:2])), SeedRules(budget=20), now=NOW)
    assert [entry.message_id for entry in seed.history] == ["msg_0", "msg_1"]
    full = compose(Material(MARIA, TALK, edits=pins(old)), SeedRules(), now=NOW)
    kept = [entry.message_id for entry in full.history]
    assert 6 < len(kept) < 12
    assert kept == [f"msg_{n}" for n in range(12 - len(kept), 12)]
    assert all(part.pinned for part in full.parts if part.section == "history")


latin = st.characters(max_codepoint=0x17F, categories=["L", "N", "P", "S"])
kinds = st.sampled_from(("issue", "preference", "note"))


@given(
    said=st.lists(st.text(latin, min_size=1, max_size=200), max_size=4),
    notes=st.lists(st.tuples(st.text(latin, min_size=1, max_size=500), kinds), max_size=8),
    found=st.lists(st.tuples(st.text(latin, min_size=1, max_size=120), kinds), max_size=8),
    facts=st.lists(st.text(latin, min_size=1, max_size=300), max_size=12),
    pinned=st.integers(0, 10),
    budget=st.integers(min_value=1, max_value=1200),
)
def test_whatever_is_stored(
    said: list[str],
    notes: list[tuple[str, str]],
    found: list[tuple[str, str]],
    facts: list[str],
    pinned: int,
    budget: int,
) -> None:
    """With any notes, facts and pins the seed is within MAX_CHARS, no value forges a key, and it is never empty."""
    messages = [Said(f"msg_{n}", "inbound", text, NOW) for n, text in enumerate(said)]
    rows = [note(text, kind=kind) for text, kind in notes] + [note(text, "summary", kind) for text, kind in found]
    stated = [fact(text, number=n) for n, text in enumerate(facts)]
    material = Material(None, messages, facts=stated, notes=rows, edits=pins(stated[:pinned]))
    seed = compose(material, SeedRules(budget=budget), now=NOW)
    assert len(seed.text) <= MAX_CHARS
    assert bool(seed.text) or not (said or notes or facts)
    keys = {"Argomenti recenti", "Questioni aperte", "Preferenze", "Note", "Detto in precedenza", "cliente", "sintesi"}
    for line in filter(None, seed.text.split("\n")):
        key, _, value = line.strip().removeprefix("- ").partition(":")
        assert key in keys | {NOW.date().isoformat()}
        assert value == "" or json.loads(value)


def test_every_pinned_topic_is_there() -> None:
    """More topics than a line has by itself, when operators pinned them."""
    words = ("farina", "zucchero", "sale", "olio", "burro", "riso", "pasta")
    topics = [Entry(word, f"msg_{word}", "inbound", NOW) for word in words]
    edits = {entry_id("topics", one): Edit("topics", one, pinned=True) for one in topics}
    seed = compose(Material(MARIA, TALK, edits=edits), SeedRules(), now=NOW)
    assert lines(seed.text)["Argomenti recenti"] == list(words)


def test_a_model_pushes_no_value_out() -> None:
    """Where all that the client stated has room, it is there, however much a model found worth a note."""
    said = [
        Said(f"msg_{n}", "inbound", f"ordine OC-{n:03} di {n + 20} sacchi", NOW - timedelta(minutes=60 - n))
        for n in range(9)
    ]
    words = (
        "reclamo spedizione ritardo",
        "fattura sbagliata importo",
        "sconto promesso riserva",
        "referente magazzino",
    )
    notes = [NoteLine(f"note_{n}", "issue", f"{text} " * 3, "summary", ("msg_1",)) for n, text in enumerate(words)]
    facts = [Entry(f"accordo {text}", "msg_2", "inbound", NOW, source="llm") for text in words]
    material = Material(messages=said, notes=notes, facts=facts)
    rules = SeedRules(budget=160)
    wanted = {f"OC-{n:03}" for n in range(9)} | {f"{n + 20} sacchi" for n in range(9)}
    alone = compose(Material(messages=said), rules, now=NOW).text
    assert [value for value in wanted if value not in alone] == []
    together = compose(material, rules, now=NOW)
    assert [value for value in wanted if value not in together.text] == []
    assert together.tokens <= rules.budget
