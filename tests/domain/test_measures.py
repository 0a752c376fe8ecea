"""Buckets, and what can be read off them."""

from collections import Counter

import pytest

from convo_service.domain.measures import LATENCY, LENGTH, MORE, SCALES, Scale, distribution


def found(scale: Scale, *values: int) -> Counter[str]:
    """Values in their buckets, with their sum."""
    counts: Counter[str] = Counter()
    for value in values:
        bucket, total = scale.names(value)
        counts[bucket] += 1
        counts[total] += value
    return counts


@pytest.mark.parametrize("name", SCALES)
def test_bounds_grow(name: str) -> None:
    """Each bucket begins where the one before ends."""
    assert list(SCALES[name].bounds) == sorted(set(SCALES[name].bounds))


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        pytest.param(0, "50", id="nothing"),
        pytest.param(50, "50", id="a bound belongs to its bucket"),
        pytest.param(51, "75", id="and what is more to the next"),
        pytest.param(120_000, "120000", id="the last bound"),
        pytest.param(120_001, MORE, id="above all"),
    ],
)
def test_bucket(value: int, bucket: str) -> None:
    """Every value has one bucket."""
    assert LATENCY.names(value)[0] == bucket


@pytest.mark.parametrize(
    ("values", "quantiles"),
    [
        pytest.param([], (None, None), id="nothing"),
        pytest.param([7], (7, 7), id="one"),
        pytest.param([1, 2, 3, 4], (2, 4), id="by nearest rank"),
        pytest.param([2] * 18 + [9, 30], (2, 9), id="a tail"),
        pytest.param([6000], (5000, 5000), id="above all bounds nothing else is known"),
    ],
)
def test_whole_quantiles(values: list[int], quantiles: tuple[int | None, int | None]) -> None:
    """Lengths are numbers of messages, exactly, as long as they are short."""
    made = distribution(LENGTH, found(LENGTH, *values))
    assert (made.quantiles[0.5], made.quantiles[0.95]) == quantiles
    assert made.mean == (sum(values) / len(values) if values else None)


def test_quantiles_in_between() -> None:
    """In a bucket values are taken to lie evenly."""
    made = distribution(LATENCY, found(LATENCY, *[180] * 4), (0.5, 1.0))
    assert made.quantiles == {0.5: 175.0, 1.0: 200.0}


def test_buckets_that_are_shown() -> None:
    """Up to the last one that holds anything."""
    assert distribution(LATENCY, found(LATENCY, 40, 90)).buckets == [(50, 1), (75, 0), (100, 1)]
    assert distribution(LATENCY, found(LATENCY, 999_999)).buckets[-1] == (None, 1)
    assert distribution(LATENCY, {}).buckets == []
