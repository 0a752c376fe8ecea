"""Operators' decisions: an entry keeps its id wherever it goes, and a decision holds wherever the entry comes up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from convo_service.domain.digest import Entry
from convo_service.domain.edits import Edit, edited, entry_id, is_overruled
from convo_service.domain.record import Section

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GATE = Entry("codice portone B472", "msg_1", "inbound", AT)
FLOUR = Entry("25 sacchi farina", "msg_2", "inbound", AT)
TOPIC = Entry("farina", "msg_2", "inbound", AT)
FACT = Entry("Il codice del portone è B472", "msg_1", "inbound", AT, source="llm")
GATE_ID, FLOUR_ID, TOPIC_ID = entry_id("history", GATE), entry_id("history", FLOUR), entry_id("topics", TOPIC)
OTHER_GATE = replace(GATE, text="codice portone C9", whole=GATE.text, edited=True)


@pytest.mark.parametrize(
    ("section", "entry", "other", "same"),
    [
        pytest.param(
            "history", GATE, replace(GATE, sent_at=AT + timedelta(days=1)), True, id="a time is not looked at"
        ),
        pytest.param("history", GATE, OTHER_GATE, True, id="an operator's text stands for the entry"),
        pytest.param("history", GATE, replace(GATE, text="codice", whole=GATE.text), True, id="what was cut from it"),
        pytest.param("history", GATE, replace(GATE, message_id="msg_9"), False, id="the same words in another message"),
        pytest.param("history", GATE, replace(GATE, text="codice cancello B472"), False, id="another piece of it"),
        pytest.param("history", FACT, replace(FACT, also=("msg_9",)), False, id="a statement of more messages"),
        pytest.param("topics", TOPIC, replace(TOPIC, message_id="msg_9"), True, id="a topic, whoever said it last"),
        pytest.param("topics", TOPIC, replace(TOPIC, text="Farina"), True, id="a topic in capitals"),
        pytest.param("topics", TOPIC, replace(TOPIC, text="farine"), False, id="another word"),
    ],
)
def test_entry_id(section: Section, entry: Entry, other: Entry, same: bool) -> None:
    """An id stands for a piece of its messages, and for a topic's word; it does not depend on when or who asks."""
    assert (entry_id(section, entry) == entry_id(section, other)) is same


def test_ids_are_stable() -> None:
    """Ids are stored, so they are the same in every process and release; those of two sections never meet."""
    assert GATE_ID == "ent_bda212495da5f045fcc89e382a7093e2"
    assert TOPIC_ID == "ent_abb0fbf05ac2478abf2e5cc2bb4c2a74"
    assert entry_id("history", TOPIC) != entry_id("topics", replace(TOPIC, text=f"msg_2\0{TOPIC.text}"))


@pytest.mark.parametrize(
    ("entries", "edits", "expected"),
    [
        pytest.param([GATE, FLOUR], {}, [GATE, FLOUR], id="no decision"),
        pytest.param([GATE, FLOUR, GATE], {}, [GATE, FLOUR], id="the same entry twice"),
        pytest.param(
            [GATE, FLOUR], {GATE_ID: Edit("history", GATE, "codice portone C9")}, [OTHER_GATE, FLOUR], id="another text"
        ),
        pytest.param(
            [OTHER_GATE],
            {GATE_ID: Edit("history", GATE, "codice portone D1")},
            [replace(OTHER_GATE, text="codice portone D1")],
            id="another text once more",
        ),
        pytest.param([FLOUR], {GATE_ID: Edit("history", GATE, "C9")}, [FLOUR], id="a text alone brings nothing back"),
        pytest.param([FLOUR, GATE], {GATE_ID: Edit("history", GATE, pinned=True)}, [GATE, FLOUR], id="pinned"),
        pytest.param([FLOUR], {GATE_ID: Edit("history", GATE, pinned=True)}, [GATE, FLOUR], id="pinned and forgotten"),
        pytest.param(
            [FLOUR],
            {GATE_ID: Edit("history", GATE, "codice portone C9", pinned=True)},
            [OTHER_GATE, FLOUR],
            id="pinned with another text, and forgotten",
        ),
        pytest.param([FLOUR], {GATE_ID: Edit("history", GATE)}, [GATE, FLOUR], id="put back and forgotten"),
        pytest.param([GATE, FLOUR], {GATE_ID: Edit("history", GATE, removed=True)}, [FLOUR], id="removed"),
        pytest.param([], {GATE_ID: Edit("history", GATE, pinned=True, removed=True)}, [], id="removed beats pinned"),
        pytest.param(
            [FACT, FLOUR], {GATE_ID: Edit("history", GATE, removed=True)}, [FLOUR], id="a model says it again"
        ),
        pytest.param(
            [FACT, FLOUR],
            {GATE_ID: Edit("history", GATE, "codice portone C9")},
            [FLOUR],
            id="a model says what was corrected",
        ),
        pytest.param(
            [replace(GATE, message_id="msg_9")],
            {GATE_ID: Edit("history", GATE, removed=True)},
            [replace(GATE, message_id="msg_9")],
            id="the client says it again",
        ),
        pytest.param([GATE], {GATE_ID: Edit("topics", GATE, removed=True)}, [GATE], id="a decision of another section"),
    ],
)
def test_edited(entries: Sequence[Entry], edits: Mapping[str, Edit], expected: list[Entry]) -> None:
    """Each entry stands once: pinned ones first and in any case, removed ones never, in a model's words neither."""
    assert edited("history", entries, edits) == expected


@pytest.mark.parametrize("entry", [GATE, OTHER_GATE, replace(GATE, text="codice", whole=GATE.text)])
def test_the_original(entry: Entry) -> None:
    """What was cut or edited can be told apart from what was said, so a decision is undone by taking it back."""
    assert entry.original == GATE


@pytest.mark.parametrize(
    ("text", "edit", "expected"),
    [
        pytest.param(FACT.text, Edit("history", GATE, removed=True), True, id="taken out"),
        pytest.param(FACT.text, Edit("history", GATE, "codice portone C9"), True, id="corrected"),
        pytest.param(FACT.text, Edit("history", GATE, pinned=True), False, id="pinned"),
        pytest.param("Vuole 25 sacchi di farina", Edit("history", GATE, removed=True), False, id="something else"),
        pytest.param("farina", Edit("topics", TOPIC, removed=True), False, id="a topic is no statement"),
    ],
)
def test_is_overruled(text: str, edit: Edit, expected: bool) -> None:
    """A model's statement does not stand against what an operator took out or corrected."""
    assert is_overruled(text, {"ent_1": edit}) is expected
