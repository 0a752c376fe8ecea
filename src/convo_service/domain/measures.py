"""What analytics count: figures with their names, and the buckets of what is measured."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

HOUR, DAY = 3600, 86_400
MORE = "more"  # the bucket above the last bound
SUM = "sum"  # of what was measured, beside its buckets: for the mean
NANO = 1_000_000_000  # money is counted in whole billionths of a dollar: sums do not depend on their order

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Scale:
    """Buckets of a quantity: each holds what is at most its bound, and more than the one before."""

    bounds: Sequence[int]
    is_whole: bool = False  # a quantile is a number that occurred (nearest rank), and not one in between

    def names(self, value: int) -> tuple[str, str]:
        """The bucket of a value, and what its sum is counted under."""
        place = bisect_left(self.bounds, value)
        return (str(self.bounds[place]) if place < len(self.bounds) else MORE), SUM


# Exact up to 30 messages; the seconds from an hour to a quarter of a year; milliseconds up to two minutes.
LENGTH = Scale((*range(31), 35, 40, 45, 50, 52, 55, 60, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000), is_whole=True)
PAUSE = Scale(tuple(hours * HOUR for hours in (1, 3, 6, 12, 24, 36, 48, 72, 96, 168, 336, 720, 1440, 2160, 4320, 8760)))
_TO_SIX_SECONDS = (
    50,
    75,
    100,
    150,
    200,
    250,
    300,
    400,
    500,
    600,
    800,
    1000,
    1250,
    1500,
    2000,
    2500,
    3000,
    4000,
    5000,
    6000,
)
LATENCY = Scale((*_TO_SIX_SECONDS, 8000, 10_000, 12_500, 15_000, 20_000, 30_000, 45_000, 60_000, 120_000))
SCALES = {"length": LENGTH, "pause": PAUSE, "latency": LATENCY, "first_token": LATENCY}


@dataclass(frozen=True, slots=True)
class Distribution:
    """So many values: their mean is exact, their quantiles are read off the buckets."""

    count: int
    mean: float | None
    quantiles: Mapping[float, float | None]
    buckets: Sequence[tuple[int | None, int]]  # up to a bound, None above the last one; those before the first are left


def distribution(scale: Scale, found: Mapping[str, int], wanted: Sequence[float] = (0.5, 0.9, 0.95)) -> Distribution:
    """What buckets say; `found` is by the names that the scale gives."""
    counts = [found.get(str(bound), 0) for bound in scale.bounds]
    above = found.get(MORE, 0)
    count = sum(counts) + above
    last = max((place for place, number in enumerate(counts) if number), default=-1)
    rows: list[tuple[int | None, int]] = list(zip(scale.bounds[: last + 1], counts, strict=False))
    if above:
        rows = [*zip(scale.bounds, counts, strict=True), (None, above)]
    return Distribution(
        count=count,
        mean=found.get(SUM, 0) / count if count else None,
        quantiles={share: _quantile(scale, counts, count, share) for share in wanted},
        buckets=rows,
    )


def _quantile(scale: Scale, counts: Sequence[int], count: int, share: float) -> float | None:
    """In its bucket values are taken to lie evenly; above the last bound nothing is known but that bound."""
    if not count:
        return None
    rank, below, low = share * count, 0, 0
    for bound, number in zip(scale.bounds, counts, strict=True):
        if number and below + number >= rank:
            return bound if scale.is_whole else low + (bound - low) * (rank - below) / number
        below, low = below + number, bound
    return scale.bounds[-1]
