"""A record without what does not stand any more."""

import pytest

from convo_service.domain.record import without

RECORD = """Cliente: "Lucia (lucia@brambilla.example)"
Argomenti recenti: ["farina Manitoba", "codice portone"]
Questioni aperte: ["Attende la fattura", "Il portone ha il codice B472"]
Detto in precedenza:
 2026-03-02:
  - cliente: "codice portone B472"
 2026-03-03:
  - cliente: "25 sacchi"
  - sintesi: "Il portone: B472, \\"retro\\""
"""


@pytest.mark.parametrize(
    ("gone", "words", "left"),
    [
        pytest.param([], "", range(9), id="nothing"),
        pytest.param(["codice portone B472"], "", [0, 1, 2, 3, 6, 7, 8], id="the only piece of a day"),
        pytest.param(["codice portone B472 sul retro"], "", [0, 1, 2, 3, 6, 7, 8], id="a piece that was cut"),
        pytest.param(["25 sacchi"], "", [0, 1, 2, 3, 4, 5, 6, 8], id="one of two"),
        pytest.param(['Il portone: B472, "retro"'], "", [0, 1, 2, 3, 4, 5, 6, 7], id="one with quotes"),
        pytest.param(
            ["codice portone B472", "25 sacchi", 'Il portone: B472, "retro"'], "", [0, 1, 2], id="all that was said"
        ),
        pytest.param(["Lucia (lucia@brambilla.example)"], "", range(9), id="what is verified"),
    ],
)
def test_lines(gone: list[str], words: str, left: list[int]) -> None:
    """A line goes with its value, and a heading with the last line under it."""
    lines = RECORD.strip().split("\n")
    assert without("\n".join(lines), gone, words).split("\n") == [lines[place] for place in left]


def test_lists() -> None:
    """Of a list what is gone goes, and the line with the last: topics by the words of a text, others by their own."""
    record = without(
        RECORD.strip(), ["Il portone ha il codice B472"], "Il CODICE PORTONE è B472, la farina Manitoba no"
    )
    lines = record.split("\n")
    assert lines[1] == 'Questioni aperte: ["Attende la fattura"]'
    assert "Argomenti" not in record
    assert without("", ["x"], "x") == ""
