"""Notes: which a summary may add, and which of them a seed prints, in which order."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from convo_service.domain.notes import OF_SUMMARIES, NoteLine, is_doubled, to_print

SETTLED = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BEFORE, AFTER = SETTLED - timedelta(hours=1), SETTLED + timedelta(seconds=1)
MISSING = NoteLine("n1", "issue", "Manca la fattura 88", "operator")
RESOLVED = NoteLine("n1", "issue", "Manca la fattura 88", "summary", ("msg_1",), SETTLED)
REWRITTEN = NoteLine("n1", "note", "Contabilità avvisata", "operator", ("msg_1",), None, "issue", "Manca la fattura 88")


@pytest.mark.parametrize(
    ("kind", "text", "said", "known", "expected"),
    [
        pytest.param("issue", "Manca la fattura 88", BEFORE, [], False, id="nothing is known"),
        pytest.param("issue", "Manca la fattura 88", AFTER, [MISSING], True, id="it is open"),
        pytest.param("issue", "manca  la FATTURA 88", AFTER, [MISSING], True, id="in another spelling"),
        pytest.param("issue", "La fattura 88 manca ancora", AFTER, [MISSING], True, id="in other words"),
        pytest.param("issue", "Manca la fattura 89", AFTER, [MISSING], False, id="another invoice"),
        pytest.param("preference", "Manca la fattura 88", AFTER, [MISSING], False, id="another kind"),
        pytest.param("issue", "Manca la fattura 88", BEFORE, [RESOLVED], True, id="settled, and said before that"),
        pytest.param("issue", "Manca la fattura 88", SETTLED, [RESOLVED], True, id="said as it was settled"),
        pytest.param("issue", "Manca la fattura 88", AFTER, [RESOLVED], False, id="said again after it was settled"),
        pytest.param(
            "issue", "Manca la fattura 88", AFTER, [RESOLVED, MISSING], True, id="settled once and open again"
        ),
        pytest.param("issue", "Manca la fattura 88", AFTER, [REWRITTEN], True, id="an operator rewrote it"),
        pytest.param("note", "Contabilità avvisata", AFTER, [REWRITTEN], True, id="as an operator rewrote it"),
    ],
)
def test_is_doubled(kind: str, text: str, said: datetime, known: Sequence[NoteLine], expected: bool) -> None:
    """A statement is written once while it is open, and anew only when somebody came back to it afterwards."""
    assert is_doubled(kind, text, ["msg_7"], said, known) is expected


def row(source: str, *ids: str, kind: str = "issue") -> list[NoteLine]:
    """Open notes of one source, newest first."""
    return [NoteLine(one, kind, f"nota {one}", source) for one in ids]


MANY = [f"m{number}" for number in range(OF_SUMMARIES + 3)]


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param(row("operator", "b", "a"), ["b", "a"], id="newest first, as they come"),
        pytest.param(row("gateway", "b") + row("operator", "a"), ["b", "a"], id="operators and gateways are equals"),
        pytest.param(row("summary", "c") + row("operator", "b", "a"), ["b", "a", "c"], id="people first"),
        pytest.param(row("operator", "a") + row("operator", "x", kind="note"), ["a"], id="another kind"),
        pytest.param([RESOLVED, *row("operator", "a")], ["a"], id="what is settled"),
        pytest.param(row("summary", *MANY), MANY[:OF_SUMMARIES], id="few of a model's, the newest"),
        pytest.param(row("operator", *MANY), MANY, id="all of people's"),
        pytest.param([RESOLVED, *row("summary", *MANY)], MANY[:OF_SUMMARIES], id="what is settled takes no place"),
    ],
)
def test_to_print(notes: Sequence[NoteLine], expected: list[str]) -> None:
    """A seed prints the open notes of a kind: people's first and all, then a model's newest."""
    assert [note.id for note in to_print(notes, "issue")] == expected
