"""What analytics say of a period: counts of hours and days, with what is not counted yet added on the spot."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import AnalyticsCount, AnalyticsPeople, Conversation, Message, Note, Turn, User
from convo_service.domain import people as domain_people
from convo_service.domain.calendar import WEEK_HOURS, Span, pieces, same_offset, week_hour
from convo_service.domain.people import People
from convo_service.services import tallies
from convo_service.services.tallies import CALLS, CONVERSATIONS, MESSAGES, TIME_ZONE, Counts

LIVE_AT_MOST = 10_000  # rows of a kind that an answer counts itself; more there are only while the worker is behind

Total = tuple[str, str, str, str]  # metric, topic, template, name
Link = tuple[date, date, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose hours: None leaves a filter out."""

    span: Span
    zone: ZoneInfo
    topic: str | None = None
    template: str | None = None
    cohort: str | None = None

    def takes(self, key: tallies.Key) -> bool:
        """Whether a count is among them."""
        filters = ((self.topic, key.topic), (self.template, key.template), (self.cohort, key.cohort))
        return self.span.begin <= key.hour < self.span.end and all(want in (None, has) for want, has in filters)

    @property
    def counts_people(self) -> bool:
        """Whether people are counted by these filters: they are not by topics or templates."""
        return self.topic is None and self.template is None

    def days(self, span: Span, zone: ZoneInfo) -> tuple[date, date]:
        """The local days that a period touches: the first, and the one after the last."""
        last = (span.end - timedelta(microseconds=1)).astimezone(zone).date()
        return span.begin.astimezone(zone).date(), last + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Live:
    """What no count has yet, counted; and whether that is all."""

    counts: Counts
    links: Counter[Link]
    zone: ZoneInfo  # whose days people are counted by
    is_complete: bool


async def begin(tx: AsyncSession) -> None:
    """See one state of everything until the transaction ends: nothing may be counted while it is read."""
    if tx.get_bind().dialect.name == "postgresql":
        await tx.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def live(tx: AsyncSession, zone: str, *, with_calls: bool = True, most: int = LIVE_AT_MOST) -> Live:
    """Count what is not counted yet; `zone` of people's days when none of them is counted yet."""
    return await tx.run_sync(lambda session: _live(session.connection(), zone, most, with_calls=with_calls))


def _live(connection: sa.Connection, zone: str, most: int, *, with_calls: bool) -> Live:
    known = tallies.positions(connection)
    days_of = ZoneInfo(known[TIME_ZONE] or zone)
    said = tallies.messages(connection, after=known[MESSAGES], most=most)
    opened = tallies.conversations(connection, most=most)
    called = tallies.calls(connection, after=known[CALLS], most=most) if with_calls else []
    counts = tallies.of_messages(said)
    for row in opened:
        counts.update(tallies.of_conversation(row))
    for row in called:
        counts.update(tallies.of_call(row))
    is_complete = max(len(said), len(opened), len(called)) < most and not known[CONVERSATIONS]
    return Live(counts, tallies.chains(connection, said, days_of).links, days_of, is_complete)


async def totals(
    tx: AsyncSession, wanted: Wanted, metrics: Sequence[str], fresh: Live, *, span: Span | None = None
) -> Counter[Total]:
    """How many of what, in a period: whole days, the hours at its ends, and what is fresh."""
    whole = span or wanted.span
    table = AnalyticsCount
    found: Counter[Total] = Counter()
    for size, piece in pieces(whole):
        if piece.begin < piece.end:
            columns = (table.metric, table.topic, table.template, table.name)
            query = sa.select(*columns, sa.func.sum(table.total)).where(*_within(wanted, metrics, size, piece))
            for metric, topic, template, name, total in await tx.execute(query.group_by(*columns)):
                found[metric, topic, template, name] += int(total)
    for key, total in fresh.counts.items():
        if key.metric in metrics and wanted.takes(key) and whole.begin <= key.hour < whole.end:
            found[key.metric, key.topic, key.template, key.name] += total
    return +found


async def by_hour(
    tx: AsyncSession, wanted: Wanted, metric: str, names: Collection[str], fresh: Live
) -> dict[datetime, Counter[str]]:
    """A metric in each hour in which there was anything, by name; `names`: these alone, if there are any."""
    table, found = AnalyticsCount, dict[datetime, Counter[str]]()
    where = _within(wanted, [metric], "hour", wanted.span) + ([table.name.in_(names)] if names else [])
    columns = (table.begins_at, table.name)
    query = sa.select(*columns, sa.func.sum(table.total)).where(*where).group_by(*columns)
    for at, name, total in await tx.execute(query):
        found.setdefault(at, Counter())[name] += int(total)
    for key, total in fresh.counts.items():
        if key.metric == metric and wanted.takes(key) and (not names or key.name in names):
            found.setdefault(key.hour, Counter())[key.name] += total
    return found


async def week(tx: AsyncSession, wanted: Wanted, metric: str, name: str, fresh: Live) -> list[int]:
    """How many of what in each hour of the week in the zone, from Monday 00:00 on."""
    table, found = AnalyticsCount, [0] * WEEK_HOURS
    for piece, offset in same_offset(wanted.span, wanted.zone):
        where = (*_within(wanted, [metric], "hour", piece), table.name == name)
        query = sa.select(table.week_hour, sa.func.sum(table.total)).where(*where).group_by(table.week_hour)
        for hour, total in await tx.execute(query):
            found[(hour * 3600 + int(offset.total_seconds())) // 3600 % WEEK_HOURS] += int(total)
    for key, total in fresh.counts.items():
        if (key.metric, key.name) == (metric, name) and wanted.takes(key):
            found[week_hour(key.hour.astimezone(wanted.zone))] += total
    return found


def _within(wanted: Wanted, metrics: Collection[str], size: str, piece: Span) -> list[sa.ColumnElement[bool]]:
    table = AnalyticsCount
    found = [
        table.metric.in_(metrics),
        table.span == size,
        table.begins_at >= piece.begin,
        table.begins_at < piece.end,
    ]
    filters = ((table.topic, wanted.topic), (table.template, wanted.template), (table.cohort, wanted.cohort))
    return found + [column == value for column, value in filters if value is not None]


async def people(tx: AsyncSession, wanted: Wanted, fresh: Live, *, span: Span | None = None) -> People:
    """Users who wrote on the days that a period touches, each once."""
    first, end = wanted.days(span or wanted.span, fresh.zone)
    table, mine = AnalyticsPeople, [] if wanted.cohort is None else [AnalyticsPeople.cohort == wanted.cohort]
    into = (table.day >= first, table.day < end, table.previous < first, *mine)
    is_first = table.previous == domain_people.NEVER
    query = sa.select(sa.func.coalesce(sa.func.sum(table.users), 0)).where(*into)
    active, new = await tx.scalar(query), await tx.scalar(query.where(is_first))
    links = [
        (day, before, users) for (day, before, cohort), users in fresh.links.items() if wanted.cohort in (None, cohort)
    ]
    more = domain_people.people(links, first, end)
    return People(int(active or 0) + more.active, int(new or 0) + more.new)


async def failures(tx: AsyncSession, wanted: Wanted) -> list[tuple[datetime, str]]:
    """Turns that failed, and were not repeated with success: an index holds them alone."""
    query = sa.select(Turn.created_at, Turn.error_code).where(Turn.status == sa.literal_column("'failed'"))
    query = query.where(Turn.created_at >= wanted.span.begin, Turn.created_at < wanted.span.end)
    if (wanted.topic, wanted.template, wanted.cohort) != (None, None, None):
        said = sa.and_(Message.user_id == Turn.user_id, Message.id == Turn.message_id)
        home = sa.and_(Conversation.user_id == Turn.user_id, Conversation.id == Message.conversation_id)
        query = query.join(Message, said).outerjoin(Conversation, home).join(User, User.id == Turn.user_id)
        filters = (
            (Message.topic, wanted.topic),
            (Conversation.template, wanted.template),
            (User.cohort, wanted.cohort),
        )
        query = query.where(*(column == value for column, value in filters if value is not None))
    rows = await tx.execute(query.order_by(Turn.created_at))
    return [(row.created_at, row.error_code or "-") for row in rows]


@dataclass(frozen=True, slots=True)
class Issues:
    """Open issues as they are now, whatever the period."""

    open: int
    oldest_at: datetime | None
    by_age: Sequence[tuple[int | None, int]]  # up to so many days, None: older


AGES = (1, 3, 7, 14, 30, 90)


async def issues(tx: AsyncSession, now: datetime) -> Issues:
    """Count open issues by their age: each once, in an index that holds them alone."""
    is_open = (Note.kind == sa.literal_column("'issue'"), Note.status == sa.literal_column("'open'"))
    bounds = [None, *(now - timedelta(days=days) for days in AGES), None]
    counts = []
    for younger, older in pairwise(bounds):
        aged = [] if younger is None else [Note.created_at < younger]
        aged += [] if older is None else [Note.created_at >= older]
        counts.append(sa.select(sa.func.count()).select_from(Note).where(*is_open, *aged).scalar_subquery())
    oldest = sa.select(sa.func.min(Note.created_at)).where(*is_open).scalar_subquery()
    *found, oldest_at = (await tx.execute(sa.select(*counts, oldest))).one()
    return Issues(sum(found), oldest_at, list(zip([*AGES, None], found, strict=True)))


def picked(found: Counter[Total], metric: str, by: Callable[[Total], str] = lambda key: key[3]) -> Counter[str]:
    """The totals of a metric, by name, topic or template."""
    sums: Counter[str] = Counter()
    for key, total in found.items():
        if key[0] == metric:
            sums[by(key)] += total
    return sums


def top(sums: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The most frequent first."""
    return sorted(sums, key=lambda one: (-one[1], one[0]))
