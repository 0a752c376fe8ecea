"""Figures of a period: the overview, and one of them over time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Query

from convo_service import schemas
from convo_service.domain.calendar import ONE_HOUR, Interval, Span, hour_of, label, midnight, next_hour
from convo_service.domain.measures import NANO, Distribution
from convo_service.domain.savings import saving
from convo_service.errors import InvalidPeriod, UnknownTimeZone
from convo_service.routes.deps import DASHBOARD, Now, ReadTx, Wired
from convo_service.services import analytics, overview, timeseries
from convo_service.services.analytics import Wanted
from convo_service.services.overview import Overview
from convo_service.services.timeseries import Series

router = APIRouter(prefix="/analytics", tags=["analytics"])

DAYS = 30  # of a period that nobody gave
LONGEST = timedelta(days=3660)


async def get_time_zone(services: Wired) -> str:
    """The installation's own zone."""
    return services.settings.analytics_timezone


TimeZone = Annotated[str, Depends(get_time_zone)]


@router.get("/overview", dependencies=[DASHBOARD], summary="A period on one page")
async def get_overview(
    query: Annotated[schemas.AnalyticsQuery, Query()], tx: ReadTx, zone: TimeZone, now: Now
) -> schemas.Overview:
    """Conversations, messages, users, replies, tokens and money of a period, and open issues as they are now.

    Counts are kept by UTC hours: an hour belongs to the period, day and week in which it begins. They hold no person,
    and stay when one is erased.
    """
    wanted = _wanted(query, zone, now)
    await analytics.begin(tx)
    return _overview_out(await overview.read(tx, wanted, zone, now), wanted)


@router.get("/timeseries", dependencies=[DASHBOARD], summary="One figure over time")
async def get_timeseries(
    query: Annotated[schemas.TimeseriesQuery, Query()], tx: ReadTx, zone: TimeZone, now: Now
) -> schemas.Timeseries:
    """A value for each hour, day, week (from Monday on) or month of the zone, also where there was nothing.

    Days have 23 or 25 hours where clocks change. At most 2,000 points. Active users are counted by days of
    ANALYTICS_TIMEZONE alone, and not by topic or template; a user counts once in each day, week or month.
    """
    wanted = _wanted(query, zone, now)
    await analytics.begin(tx)
    found = await timeseries.read(tx, wanted, query.metric, query.interval, zone)
    return schemas.Timeseries(
        **_period(wanted, is_complete=found.is_complete),
        metric=query.metric,
        interval=query.interval,
        unit=found.unit,
        names=list(found.names),
        data=[_point(found, number, query.interval, wanted.zone) for number in range(len(found.points))],
    )


def _wanted(query: schemas.AnalyticsQuery, own_zone: str, now: datetime) -> Wanted:
    try:
        zone = ZoneInfo(own_zone if query.time_zone is None else query.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimeZone from None
    before = hour_of(now) + ONE_HOUR if query.before is None else next_hour(query.before)
    after = query.after or midnight(before.astimezone(zone).date() - timedelta(days=DAYS - 1), zone)
    span = Span(next_hour(after), before)
    if span.begin >= span.end:
        raise InvalidPeriod
    if span.end - span.begin > LONGEST:
        raise InvalidPeriod("A period has ten years at most")
    return Wanted(span, zone, query.topic, query.template, query.cohort)


def _period(wanted: Wanted, *, is_complete: bool) -> dict[str, Any]:
    return {
        "after": wanted.span.begin,
        "before": wanted.span.end,
        "time_zone": wanted.zone.key,
        "topic": wanted.topic,
        "template": wanted.template,
        "cohort": wanted.cohort,
        "is_complete": is_complete,
    }


def _point(series: Series, number: int, interval: Interval, zone: ZoneInfo) -> schemas.TimePoint:
    point = series.points[number]
    return schemas.TimePoint(
        starts_at=point.span.begin,
        ends_at=point.span.end,
        label=label(point.span.begin.astimezone(zone), interval),
        values=dict(point.values),
    )


def _overview_out(found: Overview, wanted: Wanted) -> schemas.Overview:
    return schemas.Overview(
        **_period(wanted, is_complete=found.is_complete),
        conversations=schemas.ConversationCounts(
            created=sum(count for _, count in found.created),
            created_by_reason=_named(found.created),
            closed=sum(count for _, count in found.closed),
            closed_by_reason=_named(found.closed),
            by_topic=[schemas.GroupCount.model_validate(one) for one in found.topics],
            by_template=[schemas.GroupCount.model_validate(one) for one in found.templates],
            length=_measured(found, "length"),
            pause=_measured(found, "pause"),
        ),
        messages=schemas.MessageCounts(
            inbound=found.messages["inbound"],
            outbound=found.messages["outbound"],
            inbound_by_week_hour=[list(found.week[day * 24 : day * 24 + 24]) for day in range(7)],
        ),
        users=_people(found, wanted),
        issues=schemas.IssueCounts(
            open=found.issues.open,
            oldest_at=found.issues.oldest_at,
            by_age=[schemas.AgeCount(up_to_days=days, count=count) for days, count in found.issues.by_age],
        ),
        replies=schemas.ReplyCounts(
            latency=_measured(found, "latency"),
            first_token=_measured(found, "first_token"),
            failed=sum(count for _, count in found.failures),
            failed_by_code=_named(found.failures),
        ),
        spent=_spent(found),
    )


def _named(found: Sequence[tuple[str, int]]) -> list[schemas.NamedCount]:
    return [schemas.NamedCount(name=name, count=count) for name, count in found]


def _measured(found: Overview, metric: str) -> schemas.MeasuredOut:
    made: Distribution = found.measured[metric]
    return schemas.MeasuredOut(
        unit=timeseries.FIGURES[metric].unit,  # type: ignore[index]
        count=made.count,
        mean=made.mean,
        p50=made.quantiles[0.5],
        p90=made.quantiles[0.9],
        p95=made.quantiles[0.95],
        buckets=[schemas.BucketCount(up_to=bound, count=count) for bound, count in made.buckets],
    )


def _people(found: Overview, wanted: Wanted) -> schemas.PeopleCounts | None:
    if found.people is None:
        return None
    first, end = wanted.days(wanted.span, found.people_zone)
    return schemas.PeopleCounts(
        time_zone=found.people_zone.key,
        first_day=first,
        last_day=end - timedelta(days=1),
        active=found.people.active,
        new=found.people.new,
        returning=found.people.returning,
        returning_share=found.people.returning_share,
    )


def _spent(found: Overview) -> schemas.Spent:
    used = found.used
    money = {
        f"{name}_usd": used[name] / NANO
        for name in ("cost", "summary_cost", "unanswered_cost", "compared_cost", "baseline_cost")
    }
    counted = {name: used[name] for name in schemas.Spent.model_fields if name not in money and "saving" not in name}
    return schemas.Spent(
        **counted,
        **money,
        saving=saving(used["compared_input_tokens"], used["baseline_input_tokens"]),
        cost_saving=saving(used["compared_cost"], used["baseline_cost"]),
    )
