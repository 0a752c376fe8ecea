"""Analytics of a period, on the wire."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from convo_service.schemas.base import AnyId, Instant, Request, Response, TopicName

ZoneName = Annotated[str, StringConstraints(max_length=64)]

_AFTER = "From this hour on; by default the first moment of the local day 29 days ago"
_BEFORE = "Up to this hour, which is left out; by default the one after this"
_COMPLETE = "False while the worker has not counted what was there before yet: after an update, or when none runs"


class AnalyticsQuery(Request):
    """Which hours: those that begin in the period; and whose."""

    after: Instant | None = Field(None, description=_AFTER)
    before: Instant | None = Field(None, description=_BEFORE)
    time_zone: ZoneName | None = Field(
        None, description="An IANA name; by default ANALYTICS_TIMEZONE", examples=["Europe/Rome"]
    )
    topic: TopicName | None = None
    template: AnyId | None = None
    cohort: Literal["window", "holdout"] | None = None


class TimeseriesQuery(AnalyticsQuery):
    """The same, and of what."""

    metric: Literal[
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
    interval: Literal["hour", "day", "week", "month"] = "day"


class Period(Response):
    """The hours that were counted, and by which filters."""

    after: datetime = Field(description="The first hour", examples=["2026-03-01T23:00:00Z"])
    before: datetime = Field(description="The hour after the last", examples=["2026-03-31T22:00:00Z"])
    time_zone: str = Field(examples=["Europe/Rome"])
    topic: str | None
    template: str | None
    cohort: str | None
    is_complete: bool = Field(description=_COMPLETE)


class NamedCount(Response):
    """So many of a name."""

    name: str = Field(examples=["idle_timeout"])
    count: int = Field(examples=[12])


class GroupCount(Response):
    """A topic or a template; the name is empty for conversations without a template."""

    name: str = Field(examples=["general"])
    conversations: int = Field(description="Created in the period", examples=[12])
    messages: int = Field(examples=[140])


class BucketCount(Response):
    """How many values lie above the bucket before and at most at this bound; null: above all bounds."""

    up_to: int | None = Field(examples=[20])
    count: int = Field(examples=[3])


class MeasuredOut(Response):
    """A quantity: the mean is exact, quantiles are read off the buckets."""

    unit: str = Field(examples=["messages"])
    count: int = Field(examples=[40])
    mean: float | None = Field(examples=[11.5])
    p50: float | None = Field(examples=[9])
    p90: float | None = Field(examples=[24])
    p95: float | None = Field(examples=[31])
    buckets: list[BucketCount] = Field(description="From the first bound to the last that holds a value")


class ConversationCounts(Response):
    """Conversations that began or ended in the period; an end is counted by the wall clock."""

    created: int = Field(examples=[40])
    created_by_reason: list[NamedCount]
    closed: int = Field(examples=[38])
    closed_by_reason: list[NamedCount]
    by_topic: list[GroupCount] = Field(description="The 50 with most conversations, most first")
    by_template: list[GroupCount] = Field(description="The same for templates")
    length: MeasuredOut = Field(description="Messages of those that were closed in the period")
    pause: MeasuredOut = Field(
        description="Seconds from the user's last message in one conversation to the beginning of the next"
    )


class MessageCounts(Response):
    """What was said."""

    inbound: int = Field(examples=[70])
    outbound: int = Field(examples=[70])
    inbound_by_week_hour: list[list[int]] = Field(
        description="Seven days from Monday on, each of 24 local hours: when users write", min_length=7, max_length=7
    )


class PeopleCounts(Response):
    """Users who wrote on the days that the period touches, each once."""

    time_zone: str = Field(description="Whose days they are counted by", examples=["Europe/Rome"])
    first_day: date = Field(examples=["2026-03-02"])
    last_day: date = Field(examples=["2026-03-31"])
    active: int = Field(examples=[25])
    new: int = Field(description="Who had never written before", examples=[5])
    returning: int = Field(description="Who had", examples=[20])
    returning_share: float | None = Field(description="Of the active ones", examples=[0.8])


class AgeCount(Response):
    """Open issues above the age before and at most of so many days; null: older."""

    up_to_days: int | None = Field(examples=[7])
    count: int = Field(examples=[2])


class IssueCounts(Response):
    """Open issues as they are now, of everybody: period and filters do not touch them."""

    open: int = Field(examples=[4])
    oldest_at: datetime | None
    by_age: list[AgeCount]


class ReplyCounts(Response):
    """How turns went."""

    latency: MeasuredOut = Field(description="Milliseconds from the message to the whole reply")
    first_token: MeasuredOut = Field(description="Milliseconds to the first piece, of those that were streamed")
    failed: int = Field(description="Turns that failed and were not repeated with success", examples=[1])
    failed_by_code: list[NamedCount]


class Spent(Response):
    """Tokens and money, beside one endless conversation for each user; savings are shares (0.3 is 30 % less)."""

    replies: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: float = Field(description="Of replies; of those whose model has a price")
    summaries: int
    summary_input_tokens: int
    summary_output_tokens: int
    summary_cost_usd: float
    unanswered: int
    unanswered_cost_usd: float
    compared_input_tokens: int = Field(description="Of replies that have a baseline")
    baseline_input_tokens: int
    saving: float | None
    compared_cost_usd: float
    baseline_cost_usd: float
    cost_saving: float | None


class Overview(Period):
    """A period on one page."""

    object: Literal["overview"] = "overview"
    conversations: ConversationCounts
    messages: MessageCounts
    users: PeopleCounts | None = Field(description="Null with a topic or a template: people are not counted by them")
    issues: IssueCounts
    replies: ReplyCounts
    spent: Spent


class TimePoint(Response):
    """One step of time; the first and the last are cut off where the period is."""

    starts_at: datetime = Field(examples=["2026-03-01T23:00:00Z"])
    ends_at: datetime = Field(examples=["2026-03-02T23:00:00Z"])
    label: str = Field(
        description="In the zone: a day, a week's Monday, a month, or an hour with its distance from UTC",
        examples=["2026-03-02"],
    )
    values: dict[str, float | None] = Field(
        description="By name, each name in each point; null where nothing was measured",
        examples=[{"inbound": 12, "outbound": 12}],
    )


class Timeseries(Period):
    """One figure over time: a point for each step, also where there was nothing."""

    object: Literal["timeseries"] = "timeseries"
    metric: str = Field(examples=["messages"])
    interval: str = Field(examples=["day"])
    unit: str = Field(examples=["messages"])
    names: list[str] = Field(description="What each point has a value of", examples=[["inbound", "outbound"]])
    data: list[TimePoint]
