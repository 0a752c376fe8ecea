"""The seed: what stands in it, in which form, and that nothing in it can become an instruction."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.digest import Said
from convo_service.domain.record import PREAMBLE, Client, carried_items, seed_items, without_controls
from convo_service.domain.seed import MAX_CHARS, Material, SeedRules, compose

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
