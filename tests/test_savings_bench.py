"""The bench of the savings: how it reads a file, and that its own checks can fail."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from bench import savings
from bench.both_ways import Played
from bench.exchanges import PAUSE, chained, exchanges
from bench.reading import Line

from convo_service.domain.usage import Prices, Usage

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def line(number: int, who: str, text: str) -> Line:
    direction = "inbound" if text.endswith("?") else "outbound"
    return Line(number, who, direction, text, START + timedelta(minutes=number), f"wamid.{number}")


def test_turns_of_a_file() -> None:
    """What has no answer goes with the next message, and what the bot says twice is one reply."""
    said = ["a?", "b?", "A", "B", "c?", "C", "d?"]
    found = exchanges([line(number, "+39", text) for number, text in enumerate(said)])
    assert [(one.id, one.text, one.reply) for one in found] == [("wamid.1", "a?\nb?", "A\nB"), ("wamid.4", "c?", "C")]


def test_chaining_people() -> None:
    """The second goes on where the first ended, after a pause, under the first one's name."""
    lines = [line(0, "+1", "a?"), line(1, "+2", "b?"), line(2, "+2", "B"), line(3, "+1", "A"), line(4, "+3", "c?")]
    found = chained(lines, 2)
    assert [(one.identity, one.text) for one in found] == [
        ("+1", "a?"),
        ("+1", "A"),
        ("+3", "c?"),
        ("+1", "b?"),
        ("+1", "B"),
    ]
    assert found[3].sent_at - found[1].sent_at == PAUSE
    assert chained(lines, 1) == lines


def call(kind: str, history: int, baseline: int) -> Any:
    """A row of the ledger as far as the bench reads it."""
    values = {"kind": kind, "history_messages": history, "subject_id": f"turn_{history}", "cost_usd": 0.01}
    tokens = {"input_tokens": 100, "cached_input_tokens": 0, "cache_write_tokens": 0, "output_tokens": 10}
    return SimpleNamespace(**values, **tokens, baseline_input_tokens=baseline, baseline_cost_usd=0.02)


@pytest.mark.parametrize(
    ("baseline", "wire", "broken"),
    [
        pytest.param(1000, 300, [], id="all agree"),
        pytest.param(1031, 300, ["baseline, 51-100"], id="a baseline that is too high"),
        pytest.param(969, 300, ["baseline, 51-100"], id="or too low"),
        pytest.param(1000, 290, ["ledger and wire"], id="a ledger with more than was sent"),
    ],
)
def test_checks(baseline: int, wire: int, broken: list[str]) -> None:
    """What is more than three per cent off is not let through, and a summary counts against us."""
    calls = [call("reply", 50, 1000), call("reply", 51, baseline), call("summary", 51, 0)]
    played = Played(calls, {name: Usage(1000, 0, 0, 10) for name in ("turn_50", "turn_51")}, wire, 2000)
    found = savings.rows(played, Prices(1e-5, 1e-6, 1e-5, 1e-3))
    counts = [(row.history, row.replies, row.summaries) for row in found]
    assert counts == [("1-50", 1, 0), ("51-100", 1, 1), ("all", 2, 1)]
    assert found[-1].savings["tokens"] == pytest.approx(0.9)
    assert found[-1].savings["tokens_all"] == pytest.approx(0.85)
    assert [one.name for one in savings.checks(played, found) if not one.holds] == broken
