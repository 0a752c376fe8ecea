"""Who was there in a period, from links of days alone."""

from collections import defaultdict
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.people import Chains, Day, People, people

FIRST = date(2026, 3, 1)
days = st.integers(0, 12).map(lambda number: FIRST + timedelta(days=number))


@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), days)), max_size=5), days, days)
def test_everybody_once(batches: list[list[tuple[str, date]]], begin: date, end: date) -> None:
    """Whatever the order in which days come, and however they are cut into batches: each user counts once."""
    stored: defaultdict[str, dict[date, Day]] = defaultdict(dict)
    links: defaultdict[tuple[date, date], int] = defaultdict(int)
    there: defaultdict[str, set[date]] = defaultdict(set)
    for batch in batches:
        chains = Chains({user: [own[day] for day in sorted(own)] for user, own in stored.items()})
        for user, day in batch:
            chains.add(user, day, "window")
            there[user].add(day)
        for (day, previous, _cohort), number in chains.links.items():
            links[day, previous] += number
        for (user, day), one in chains.changed.items():
            stored[user][day] = Day(day, one.previous, one.cohort)
    assert min(links.values(), default=0) >= 0
    found = people([(*link, number) for link, number in links.items()], begin, end)
    inside = [own for own in there.values() if any(begin <= day < end for day in own)]
    assert found == People(len(inside), sum(min(own) >= begin for own in inside))


def test_shares() -> None:
    """Of nobody there is no share."""
    assert (People().returning_share, People(4, 1).returning_share) == (None, 0.75)
