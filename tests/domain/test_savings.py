"""Savings with their intervals: users are what is counted, and too few of them say nothing."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.savings import Interval, Sums, against, saving

User = tuple[int, float]  # replies, and what they used together


def sums(*users: User) -> Sums:
    """The sums over users."""
    return Sums(
        users=len(users),
        n=sum(n for n, _ in users),
        x=sum(x for _, x in users),
        nn=sum(n * n for n, _ in users),
        nx=sum(n * x for n, x in users),
        xx=sum(x * x for _, x in users),
    )


def test_one_reply_each_is_the_plain_mean() -> None:
    """When every user has one reply, the interval is that of any mean."""
    values = [100.0, 120.0, 90.0, 130.0]
    found = sums(*((1, value) for value in values)).interval()
    assert found is not None
    half = 1.959964 * statistics.stdev(values) / math.sqrt(len(values))
    assert (found.value, found.low, found.high) == pytest.approx((110.0, 110.0 - half, 110.0 + half))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(sums(), None, id="nobody"),
        pytest.param(sums((4, 400.0)), Interval(100.0), id="one user has no range"),
        pytest.param(sums((1, 100.0), (3, 300.0)), Interval(100.0, 100.0, 100.0), id="all alike"),
    ],
)
def test_few_users(found: Sums, expected: Interval | None) -> None:
    """A range needs two users."""
    assert found.interval() == expected


def test_against() -> None:
    """A third less is a saving of a third; with few users the range says how little that means."""
    found = against(sums((1, 190.0), (1, 210.0)), sums((1, 290.0), (1, 310.0)))
    assert found is not None
    assert found.value == pytest.approx(1 / 3)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1 / 3 < found.high
    assert against(sums((1, 200.0)), sums()) is None
    assert against(sums((2, 200.0)), sums((2, 400.0))) == Interval(0.5)


users = st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1e5)), min_size=2, max_size=20)


@given(users)
def test_the_range_is_that_of_the_users(some: list[User]) -> None:
    """From the sums alone comes what the users themselves give."""
    found = sums(*some)
    mean = sum(x for _, x in some) / sum(n for n, _ in some)
    squares = sum((x - mean * n) ** 2 for n, x in some)
    expected = math.sqrt(squares * len(some) / (len(some) - 1)) / sum(n for n, _ in some)
    assert found.mean == pytest.approx(mean)
    assert found.deviation == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_saving() -> None:
    """The share that was not used; nothing without a baseline."""
    assert [saving(30, 100), saving(120, 100), saving(0, 0), saving(None, 5)] == [0.7, pytest.approx(-0.2), None, None]
