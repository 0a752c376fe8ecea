"""Hours, days, weeks and months of a zone, on a grid of UTC hours.

What is counted by UTC hours belongs to the local hour, day, week or month in which its hour begins. In zones that are
whole hours from UTC that is exact; elsewhere (India, Nepal) what was said in the hour that midnight falls into belongs
to the day in which that hour began.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

Interval = Literal["hour", "day", "week", "month"]

ONE_HOUR, ONE_DAY = timedelta(hours=1), timedelta(days=1)
WEEK_HOURS = 168


@dataclass(frozen=True, slots=True)
class Span:
    """From one full UTC hour to another."""

    begin: datetime
    end: datetime


def hour_of(at: datetime) -> datetime:
    """The full UTC hour in which an instant lies."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> datetime:
    """The UTC day in which an instant lies."""
    return hour_of(at).replace(hour=0)


def next_hour(at: datetime) -> datetime:
    """The first full UTC hour that is not before an instant."""
    hour = hour_of(at)
    return hour if hour == at else hour + ONE_HOUR


def week_hour(at: datetime) -> int:
    """Hours since the beginning of the week, in the zone that a time is written in."""
    return at.weekday() * 24 + at.hour


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first moment of a local day, in UTC; where clocks skip midnight, the moment in which they do."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def first_day(day: date, interval: Interval) -> date:
    """The day with which the week or month of a day begins; weeks begin on Mondays."""
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def _next_day(day: date, interval: Interval) -> date:
    if interval == "week":
        return day + timedelta(days=7)
    return first_day(day.replace(day=1) + timedelta(days=32), "month") if interval == "month" else day + ONE_DAY


def steps(span: Span, interval: Interval, zone: tzinfo) -> Iterator[Span]:
    """The hours, days, weeks or months of a period, the first and last cut off at its ends."""
    if interval == "hour":
        begin = span.begin
        while begin < span.end:
            yield Span(begin, begin + ONE_HOUR)
            begin += ONE_HOUR
        return
    day = first_day(span.begin.astimezone(zone).date(), interval)
    while (begin := next_hour(midnight(day, zone))) < span.end:
        day = _next_day(day, interval)
        end = next_hour(midnight(day, zone))
        if begin < end and end > span.begin:  # a day that a zone left out has no hour
            yield Span(max(begin, span.begin), min(end, span.end))


def label(begin: datetime, interval: Interval) -> str:
    """The name of a step, by its beginning in its own zone: 2026-03-29T02:00+01:00, 2026-03-29, 2026-03."""
    if interval == "hour":
        return begin.isoformat(timespec="minutes")
    return first_day(begin.date(), interval).isoformat()[: 7 if interval == "month" else 10]


def pieces(span: Span) -> Iterator[tuple[Literal["hour", "day"], Span]]:
    """A period as whole UTC days, and the hours before and after them."""
    first, last = day_of(span.begin + ONE_DAY - ONE_HOUR), day_of(span.end)
    if first >= last:
        yield "hour", span
        return
    yield "day", Span(first, last)
    yield "hour", Span(span.begin, first)
    yield "hour", Span(last, span.end)


def same_offset(span: Span, zone: tzinfo) -> Iterator[tuple[Span, timedelta]]:
    """A period cut where the zone's distance from UTC changes."""
    begin = span.begin
    while begin < span.end:
        offset = _offset(begin, zone)
        end = min(begin + 31 * ONE_DAY, span.end)
        if _offset(end - ONE_HOUR, zone) != offset or _offset(begin + (end - begin) / 2, zone) != offset:
            end = _change(begin, end, zone)
        yield Span(begin, end), offset
        begin = end


def _change(begin: datetime, end: datetime, zone: tzinfo) -> datetime:
    """The first hour in which the offset is another one."""
    at = begin
    while at < end and _offset(at, zone) == _offset(begin, zone):
        at += ONE_HOUR
    return at


def _offset(at: datetime, zone: tzinfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()
