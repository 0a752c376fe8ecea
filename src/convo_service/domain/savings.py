"""What windows save: against the holdout, with an interval, and against the estimated endless conversation."""

import math
from dataclasses import dataclass

Z95 = 1.959964  # of a normal distribution: 95 in 100 lie within so many deviations
HISTORY = ((1, 50), (51, 100), (101, 150), (151, 300), (301, None))  # messages of the user so far


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and the range in which it lies with 95 % probability; no range when there is too little to say."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over users of a quantity x and of its n cases: replies of one user are alike, so users are counted."""

    users: int = 0
    n: float = 0
    x: float = 0
    nn: float = 0
    nx: float = 0
    xx: float = 0

    @property
    def mean(self) -> float | None:
        """The quantity per case."""
        return self.x / self.n if self.n else None

    @property
    def deviation(self) -> float | None:
        """The standard error of the mean, as that of a ratio of two sums over users."""
        if self.users < 2 or self.mean is None:
            return None
        squares = self.xx - 2 * self.mean * self.nx + self.mean**2 * self.nn
        return math.sqrt(max(squares, 0) * self.users / (self.users - 1)) / self.n

    def interval(self) -> Interval | None:
        """The mean with its range."""
        mean, deviation = self.mean, self.deviation
        if mean is None:
            return None
        if deviation is None:
            return Interval(mean)
        return Interval(mean, mean - Z95 * deviation, mean + Z95 * deviation)


def against(window: Sums, holdout: Sums) -> Interval | None:
    """The share that the window's mean lies below the holdout's: 0.3 is 30 % less, below 0 is more."""
    mine, theirs = window.mean, holdout.mean
    if mine is None or not theirs:
        return None
    ratio = mine / theirs
    deviations = window.deviation, holdout.deviation
    if not mine or deviations[0] is None or deviations[1] is None:
        return Interval(1 - ratio)
    relative = math.hypot(deviations[0] / mine, deviations[1] / theirs)
    return Interval(1 - ratio, 1 - ratio * (1 + Z95 * relative), 1 - ratio * (1 - Z95 * relative))


def saving(used: float | None, baseline: float | None) -> float | None:
    """The share of the baseline that was not used; None without a baseline."""
    return None if used is None or not baseline else 1 - used / baseline
