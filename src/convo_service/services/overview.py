"""Everything of a period on one page: what was said, by whom, when, how long, how fast, and for how much."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.domain.measures import SCALES, Distribution, distribution
from convo_service.domain.people import People
from convo_service.services import analytics
from convo_service.services.analytics import Issues, Total, Wanted, picked, top

METRICS = ("messages", "created", "closed", "length", "pause", "latency", "first_token", "used")
TOPICS_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Group:
    """A topic or a template."""

    name: str
    conversations: int  # that were created
    messages: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole answer."""

    is_complete: bool
    messages: Counter[str]
    created: Sequence[tuple[str, int]]
    closed: Sequence[tuple[str, int]]
    topics: Sequence[Group]
    templates: Sequence[Group]
    measured: dict[str, Distribution]
    week: Sequence[int]
    people: People | None
    people_zone: ZoneInfo
    failures: Sequence[tuple[str, int]]
    issues: Issues
    used: Counter[str]


async def read(tx: AsyncSession, wanted: Wanted, zone: str, now: datetime) -> Overview:
    """Read a period; `zone`: whose days people are counted by when none was counted yet."""
    fresh = await analytics.live(tx, zone)
    found = await analytics.totals(tx, wanted, METRICS, fresh)
    failed = Counter(code for _, code in await analytics.failures(tx, wanted))
    return Overview(
        is_complete=fresh.is_complete,
        messages=picked(found, "messages"),
        created=top(picked(found, "created").items()),
        closed=top(picked(found, "closed").items()),
        topics=_groups(found, 1),
        templates=_groups(found, 2),
        measured={metric: distribution(scale, picked(found, metric)) for metric, scale in SCALES.items()},
        week=await analytics.week(tx, wanted, "messages", "inbound", fresh),
        people=await analytics.people(tx, wanted, fresh) if wanted.counts_people else None,
        people_zone=fresh.zone,
        failures=top(failed.items()),
        issues=await analytics.issues(tx, now),
        used=picked(found, "used"),
    )


def _groups(found: Counter[Total], place: int) -> list[Group]:
    """The most frequent topics or templates."""
    opened, said = (picked(found, metric, lambda key: key[place]) for metric in ("created", "messages"))
    names = top((name, opened[name]) for name in opened.keys() | said.keys())
    return [Group(name, opened[name], said[name]) for name, _ in names[:TOPICS_AT_MOST]]
