"""Days, weeks and months of zones, on a grid of UTC hours."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from convo_service.domain.calendar import Interval, Span, label, midnight, next_hour, pieces, same_offset, steps

ROME, KOLKATA = ZoneInfo("Europe/Rome"), ZoneInfo("Asia/Kolkata")


def span(begin: str, end: str) -> Span:
    """A period."""
    return Span(datetime.fromisoformat(begin + "Z"), datetime.fromisoformat(end + "Z"))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("Europe/Rome", date(2026, 3, 29), 23, id="clocks go forward"),
        pytest.param("Europe/Rome", date(2026, 10, 25), 25, id="clocks go back"),
        pytest.param("Europe/Rome", date(2026, 6, 1), 24, id="any other day"),
        pytest.param("UTC", date(2026, 3, 29), 24, id="no summer time"),
        pytest.param("America/Havana", date(2026, 3, 8), 23, id="midnight is skipped"),
        pytest.param("America/Havana", date(2026, 11, 1), 25, id="midnight comes twice"),
        pytest.param("Asia/Kolkata", date(2026, 3, 29), 24, id="half an hour beside"),
        pytest.param("Pacific/Apia", date(2011, 12, 29), 24, id="before the day that never was"),
    ],
)
def test_length_of_a_day(zone: str, day: date, hours: int) -> None:
    """A local day has as many hours as it has."""
    info = ZoneInfo(zone)
    begin, end = (next_hour(midnight(day + timedelta(days=n), info)) for n in (0, 1))
    (found,) = steps(Span(begin, end), "day", info)
    assert (found.end - found.begin) / timedelta(hours=1) == hours
    assert label(found.begin.astimezone(info), "day") == f"{day}"


def test_a_day_that_a_zone_left_out() -> None:
    """Samoa had no 30 December 2011."""
    info = ZoneInfo("Pacific/Apia")
    found = [
        label(one.begin.astimezone(info), "day") for one in steps(span("2011-12-29T12", "2012-01-01T00"), "day", info)
    ]
    assert found == ["2011-12-29", "2011-12-31", "2012-01-01"]


@pytest.mark.parametrize(
    ("interval", "labels"),
    [
        pytest.param("day", ["2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31", "2026-04-01"], id="days"),
        pytest.param("week", ["2026-03-23", "2026-03-30"], id="weeks begin on Monday"),
        pytest.param("month", ["2026-03", "2026-04"], id="months"),
    ],
)
def test_steps(interval: Interval, labels: list[str]) -> None:
    """Steps lie one after the other, cut off at the ends of the period."""
    whole = span("2026-03-28T10", "2026-04-01T10")
    found = list(steps(whole, interval, ROME))
    assert [label(one.begin.astimezone(ROME), interval) for one in found] == labels
    assert (found[0].begin, found[-1].end) == (whole.begin, whole.end)
    assert all(one.end == other.begin for one, other in pairwise(found))


def test_the_hour_that_comes_twice() -> None:
    """Its two hours have two names."""
    found = steps(span("2026-10-25T00", "2026-10-25T02"), "hour", ROME)
    assert [label(one.begin.astimezone(ROME), "hour") for one in found] == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
    ]


def test_half_an_hour_beside() -> None:
    """In India an hour belongs to the day in which it began: midnight is 18:30 UTC, so a day begins at 19:00."""
    found = list(steps(span("2026-03-01T00", "2026-03-03T00"), "day", KOLKATA))
    assert [one.begin.hour for one in found] == [0, 19, 19]


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        pytest.param("2026-03-01T00", "2026-03-02T00", id="one day"),
        pytest.param("2026-03-01T23", "2026-03-02T22", id="no whole day"),
        pytest.param("2026-03-01T23", "2026-03-05T22", id="days and their ends"),
        pytest.param("2026-03-01T05", "2026-03-01T07", id="hours"),
        pytest.param("2026-03-01T23", "2026-03-02T00", id="an hour up to midnight"),
    ],
)
def test_pieces(begin: str, end: str) -> None:
    """Whole days and the hours at the ends cover every hour once."""
    whole, hours = span(begin, end), []
    for size, piece in pieces(whole):
        assert size == "hour" or piece.begin.hour == piece.end.hour == 0
        hours += [piece.begin + timedelta(hours=n) for n in range((piece.end - piece.begin) // timedelta(hours=1))]
    length = (whole.end - whole.begin) // timedelta(hours=1)
    assert sorted(hours) == [whole.begin + timedelta(hours=n) for n in range(length)]


@pytest.mark.parametrize("zone", ["Europe/Rome", "UTC", "Africa/Casablanca", "America/Havana", "Australia/Lord_Howe"])
def test_same_offset(zone: str) -> None:
    """A period is cut where clocks change, and nowhere is an hour of another offset."""
    info, whole = ZoneInfo(zone), span("2025-01-15T07", "2027-02-03T05")
    at = whole.begin
    for piece, offset in same_offset(whole, info):
        assert piece.begin == at
        while at < piece.end:
            assert at.astimezone(info).utcoffset() == offset
            at += timedelta(hours=1)
    assert at == whole.end
    assert at.tzinfo is UTC
