"""Who is inside the rollout: the rest keep one endless conversation and are the holdout."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Cohort(StrEnum):
    """The group that a user belongs to."""

    WINDOW = "window"
    HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True)
class Rollout:
    """`percent` of the users (0 to 100), and the identities that are always in, normalised."""

    percent: float = 100
    always: frozenset[str] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether everybody is in, so that nobody has to be asked for."""
        return self.percent >= 100

    @property
    def mark(self) -> str:
        """A short name of these rules: who was judged by the same ones need not be judged again."""
        return _mark(self.percent, self.always)

    def cohort(self, user_id: str, identities: Collection[str] = ()) -> Cohort:
        """Return the user's group; it is the same on every replica, and a larger percentage only adds users."""
        if self.is_complete or not self.always.isdisjoint(identities):
            return Cohort.WINDOW
        share = int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:8]) / 2**64 * 100
        return Cohort.WINDOW if share < self.percent else Cohort.HOLDOUT


@cache
def _mark(percent: float, always: frozenset[str]) -> str:
    return hashlib.sha256(f"{percent} {sorted(always)}".encode()).hexdigest()[:16]
