"""One figure over time: a value for each hour, day, week or month of a zone."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.domain.calendar import Interval, Span, steps
from convo_service.domain.measures import NANO, SCALES, distribution
from convo_service.errors import InvalidPeriod, NotCounted
from convo_service.services import analytics
from convo_service.services.analytics import Live, Wanted

Metric = Literal[
    "messages",
    "conversations_created",
    "conversations_closed",
    "length",
    "pause",
    "active_users",
    "latency",
    "first_token",
    "failures",
    "tokens",
    "tokens_against_baseline",
    "cost_usd",
    "cost_usd_against_baseline",
]

POINTS_AT_MOST = 2000

Values = Mapping[str, float | None]

_TOKENS = {
    "input": "input_tokens",
    "cached_input": "cached_input_tokens",
    "output": "output_tokens",
    "summaries_input": "summary_input_tokens",
    "summaries_output": "summary_output_tokens",
}
_MONEY = {"replies": "cost", "summaries": "summary_cost", "unanswered": "unanswered_cost"}


@dataclass(frozen=True, slots=True)
class Figure:
    """What is counted for a metric, and what its values are."""

    counted: str
    read: Callable[[Counter[str]], Values]
    unit: str
    names: Collection[str] = ()  # what of it is read; else everything


def _all(found: Counter[str]) -> Values:
    return dict(found)


def _fixed(*names: str) -> Callable[[Counter[str]], Values]:
    return lambda found: {name: found[name] for name in names}


def _used(names: Mapping[str, str], unit: str, divisor: int = 1) -> Figure:
    def read(found: Counter[str]) -> Values:
        return {shown: found[name] / divisor if divisor > 1 else found[name] for shown, name in names.items()}

    return Figure("used", read, unit, tuple(names.values()))


def _measured(metric: str) -> Callable[[Counter[str]], Values]:
    def read(found: Counter[str]) -> Values:
        made = distribution(SCALES[metric], found, (0.5, 0.95))
        return {"count": made.count, "mean": made.mean, "p50": made.quantiles[0.5], "p95": made.quantiles[0.95]}

    return read


FIGURES: dict[Metric, Figure] = {
    "messages": Figure("messages", _fixed("inbound", "outbound"), "messages"),
    "conversations_created": Figure("created", _all, "conversations"),
    "conversations_closed": Figure("closed", _all, "conversations"),
    "length": Figure("length", _measured("length"), "messages"),
    "pause": Figure("pause", _measured("pause"), "seconds"),
    "latency": Figure("latency", _measured("latency"), "milliseconds"),
    "first_token": Figure("first_token", _measured("first_token"), "milliseconds"),
    "tokens": _used(_TOKENS, "tokens"),
    "tokens_against_baseline": _used({"used": "compared_input_tokens", "baseline": "baseline_input_tokens"}, "tokens"),
    "cost_usd": _used(_MONEY, "USD", NANO),
    "cost_usd_against_baseline": _used({"used": "compared_cost", "baseline": "baseline_cost"}, "USD", NANO),
    "active_users": Figure("people", _fixed("active", "new", "returning"), "users"),
    "failures": Figure("failures", _all, "turns"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One step of time."""

    span: Span
    values: Values


@dataclass(frozen=True, slots=True)
class Series:
    """The whole answer."""

    points: Sequence[Point]
    names: Sequence[str]
    unit: str
    is_complete: bool


async def read(tx: AsyncSession, wanted: Wanted, metric: Metric, interval: Interval, zone: str) -> Series:
    """Values of a metric, one for each step; raises NotCounted, and InvalidPeriod of too many points."""
    spans = _spans(wanted, interval)
    fresh = await analytics.live(tx, zone)
    figure = FIGURES[metric]
    if metric == "active_users":
        _check_people(wanted, interval, fresh)
        found = [point async for point in _people(tx, wanted, spans, fresh)]
    elif metric == "failures":
        failed = await analytics.failures(tx, wanted)
        found = _dealt(spans, [(at, Counter({code: 1})) for at, code in failed])
    elif interval in ("hour", "day"):
        hours = await analytics.by_hour(tx, wanted, figure.counted, figure.names, fresh)
        found = _dealt(spans, sorted(hours.items(), key=lambda one: one[0]))
    else:
        found = [(span, await _whole(tx, wanted, figure.counted, span, fresh)) for span in spans]
    return _series(found, figure, is_complete=fresh.is_complete)


def _spans(wanted: Wanted, interval: Interval) -> list[Span]:
    found: list[Span] = []
    for span in steps(wanted.span, interval, wanted.zone):
        if len(found) == POINTS_AT_MOST:
            raise InvalidPeriod(f"The period has more than {POINTS_AT_MOST} points of this interval")
        found.append(span)
    return found


def _check_people(wanted: Wanted, interval: Interval, fresh: Live) -> None:
    if interval == "hour" or not wanted.counts_people:
        raise NotCounted("active_users are counted by days, and not by topic or template")
    if wanted.zone.key != fresh.zone.key:
        raise NotCounted(f"active_users are counted by days of {fresh.zone.key}; ask for that time_zone")


async def _people(
    tx: AsyncSession, wanted: Wanted, spans: Sequence[Span], fresh: Live
) -> AsyncIterator[tuple[Span, Counter[str]]]:
    for span in spans:
        found = await analytics.people(tx, wanted, fresh, span=span)
        yield span, Counter(active=found.active, new=found.new, returning=found.returning)


async def _whole(tx: AsyncSession, wanted: Wanted, counted: str, span: Span, fresh: Live) -> Counter[str]:
    return analytics.picked(await analytics.totals(tx, wanted, [counted], fresh, span=span), counted)


def _dealt(spans: Sequence[Span], found: Sequence[tuple[datetime, Counter[str]]]) -> list[tuple[Span, Counter[str]]]:
    """What happened, dealt to the steps in which it did; both are in the order of time."""
    sums: list[Counter[str]] = [Counter() for _ in spans]
    place = 0
    for at, counts in found:
        while at >= spans[place].end:
            place += 1
        sums[place].update(counts)
    return list(zip(spans, sums, strict=True))


def _series(found: Sequence[tuple[Span, Counter[str]]], figure: Figure, *, is_complete: bool) -> Series:
    read = [(span, figure.read(sums)) for span, sums in found]
    names = list(dict.fromkeys(name for _, values in read for name in values))
    if figure.read is _all:
        names.sort()
    points = [Point(span, {name: values.get(name, 0) for name in names}) for span, values in read]
    return Series(points, names, figure.unit, is_complete)
