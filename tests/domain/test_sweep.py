"""What the sweep does with a conversation, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.sweep import FRESH, State, Step, SweepRules, near_cap, plan, sooner

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
RULES = SweepRules(cap=50, idle_summary_after=HOUR)
OPEN = State(
    is_active=True,
    is_newest=True,
    endless=False,
    ends_at=NOON + 40 * HOUR,
    active_at=NOON - 2 * HOUR,
    message_count=6,
    read_count=0,
)
BUSY = replace(OPEN, active_at=NOON - HOUR + SECOND)
OVER = replace(OPEN, ends_at=NOON, read_count=6)
CLOSED = replace(OPEN, is_active=False)


@pytest.mark.parametrize(
    ("state", "step"),
    [
        pytest.param(OPEN, Step(summarise=True, look_again_at=OPEN.ends_at), id="quiet: summarised"),
        pytest.param(BUSY, Step(look_again_at=NOON + SECOND), id="a second too early"),
        pytest.param(
            replace(OPEN, active_at=NOON - HOUR), Step(summarise=True, look_again_at=OPEN.ends_at), id="an hour"
        ),
        pytest.param(replace(OPEN, read_count=6), Step(look_again_at=OPEN.ends_at), id="nothing was said since"),
        pytest.param(
            replace(BUSY, message_count=40), Step(summarise=True, look_again_at=NOON + SECOND), id="near the cap"
        ),
        pytest.param(replace(BUSY, message_count=39), Step(look_again_at=NOON + SECOND), id="not near it yet"),
        pytest.param(
            replace(BUSY, message_count=45, read_count=41), Step(look_again_at=NOON + SECOND), id="read near the cap"
        ),
        pytest.param(OVER, Step(close=True), id="over, exactly at its end"),
        pytest.param(replace(OVER, ends_at=NOON + SECOND), Step(look_again_at=NOON + SECOND), id="its last second"),
        pytest.param(replace(OVER, read_count=0), Step(close=True, summarise=True), id="over, and not read yet"),
        pytest.param(CLOSED, Step(summarise=True), id="closed by hand"),
        pytest.param(replace(CLOSED, is_newest=False), Step(), id="closed, with a successor"),
        pytest.param(replace(CLOSED, active_at=NOON - FRESH), Step(), id="so old that nobody comes back"),
        pytest.param(
            replace(OVER, endless=True, read_count=0), Step(look_again_at=NOON + FRESH), id="the holdout never ends"
        ),
    ],
)
def test_plan(state: State, step: Step) -> None:
    """A conversation is closed at its end, and read once it is quiet, near its cap, or closed."""
    assert plan(state, RULES, NOON) == step


@pytest.mark.parametrize(
    ("cap", "near"),
    [
        pytest.param(50, 40, id="ten before it"),
        pytest.param(20, 16, id="a fifth before a small one"),
        pytest.param(5, 4, id="one before five"),
        pytest.param(1, 1, id="at least one message"),
        pytest.param(1000, 990, id="not more than ten"),
    ],
)
def test_near_cap(cap: int, near: int) -> None:
    """The summary is prepared some messages before the cap."""
    assert near_cap(cap) == near


@pytest.mark.parametrize(
    ("sweep_at", "count", "expected"),
    [
        pytest.param(None, 2, NOON + HOUR, id="nobody would have looked"),
        pytest.param(NOON + 40 * HOUR, 2, NOON + HOUR, id="only its end was waited for"),
        pytest.param(NOON - HOUR, 2, NOON - HOUR, id="it is due already"),
        pytest.param(NOON + HOUR, 40, NOON, id="near the cap, at once"),
        pytest.param(NOON + HOUR, 41, NOON + HOUR, id="once"),
    ],
)
def test_sooner(sweep_at: datetime | None, count: int, expected: datetime) -> None:
    """After a message somebody looks within the hour, and at once when the cap is near."""
    assert sooner(sweep_at, count, RULES, 48 * HOUR, NOON) == expected


def test_a_short_window() -> None:
    """Who has a window of minutes is looked at when it is over."""
    assert sooner(None, 2, RULES, HOUR / 2, NOON) == NOON + HOUR / 2


hours = st.integers(-2000, 2000).map(lambda hours: NOON + hours * HOUR)
states = st.builds(
    State,
    is_active=st.booleans(),
    is_newest=st.booleans(),
    endless=st.booleans(),
    ends_at=hours,
    active_at=hours,
    message_count=st.integers(0, 60),
    read_count=st.integers(0, 60),
)


@given(states)
def test_whatever_is_open_is_looked_at_again(state: State) -> None:
    """An open conversation is closed or has a date that lies ahead, so no pass ends where it began."""
    step = plan(state, RULES, NOON)
    assert step.close <= state.is_active
    if state.is_active and not step.close:
        assert step.look_again_at is not None
        assert step.look_again_at > NOON
    else:
        assert step.look_again_at is None
