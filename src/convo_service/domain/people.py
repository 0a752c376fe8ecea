"""Who was there in a period, each once, from counts alone.

A user's days of activity are a chain. Of each link, the day and the one before it, it is counted how many users have
it. In a period every user who was there has exactly one link that leads into it from before: her first day in it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

NEVER = date(1, 1, 1)  # before the first day of a user

Link = tuple[date, date, str]  # the day, the one before it, and the cohort that the user was in


@dataclass(slots=True)
class Day:
    """A day of a user, as it is counted."""

    day: date
    previous: date
    cohort: str
    is_new: bool = False


@dataclass(slots=True)
class Chains:
    """Days of users; `known` are those that are stored: from the one before the earliest that is added on."""

    known: Mapping[str, list[Day]]  # in the order of days
    links: Counter[Link] = field(default_factory=Counter)  # what changes in the counts
    changed: dict[tuple[str, date], Day] = field(default_factory=dict)
    _days: dict[str, list[Day]] = field(default_factory=dict)

    def add(self, user_id: str, day: date, cohort: str) -> None:
        """A user wrote on a day; it is counted once."""
        days = self._days.setdefault(user_id, list(self.known.get(user_id, ())))
        place = bisect_left(days, day, key=lambda one: one.day)
        if place < len(days) and days[place].day == day:
            return
        new = Day(day, days[place - 1].day if place else NEVER, cohort, is_new=True)
        if place < len(days):
            self._relink(user_id, days[place], day)
        days.insert(place, new)
        self._note(user_id, new, 1)

    def _relink(self, user_id: str, later: Day, previous: date) -> None:
        self._note(user_id, later, -1)
        later.previous = previous
        self._note(user_id, later, 1)

    def _note(self, user_id: str, one: Day, by: int) -> None:
        self.links[one.day, one.previous, one.cohort] += by
        self.changed[user_id, one.day] = one


@dataclass(frozen=True, slots=True)
class People:
    """Users who wrote in a period."""

    active: int = 0
    new: int = 0  # for the first time ever

    @property
    def returning(self) -> int:
        """Who had been there before."""
        return self.active - self.new

    @property
    def returning_share(self) -> float | None:
        """Their share; None of nobody."""
        return self.returning / self.active if self.active else None


def people(links: Iterable[tuple[date, date, int]], first: date, end: date) -> People:
    """Who was there from `first` on, and before `end`; of each link the day, the one before, and how many have it."""
    into = [(previous, users) for day, previous, users in links if first <= day < end and previous < first]
    return People(sum(users for _, users in into), sum(users for previous, users in into if previous == NEVER))
