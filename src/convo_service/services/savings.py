"""What the ledger says of a period: windows against the holdout, and against the endless conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import ModelCall
from convo_service.domain.rollout import Cohort
from convo_service.domain.savings import HISTORY, Interval, Sums, against

REPLIES = ModelCall.kind.in_(("reply", "reported"))
COMPARED = ModelCall.baseline_input_tokens.is_not(None)
FORMATS = {"day": ("%Y-%m-%d", "YYYY-MM-DD"), "month": ("%Y-%m", "YYYY-MM")}

Period = Literal["day", "month"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls: the times are exclusive, None leaves a filter out."""

    after: datetime | None = None
    before: datetime | None = None
    template: str | None = None
    period: Period = "month"


@dataclass(frozen=True, slots=True)
class Used:
    """Sums over calls of models; money only of those that have a price."""

    replies: int = 0
    uncounted: int = 0  # replies of which nobody said what they used
    unpriced: int = 0  # replies of a model without a known price
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    compared_input_tokens: int = 0  # of the replies that have a baseline
    baseline_input_tokens: int = 0
    baseline_cached_tokens: int = 0
    compared_cost_usd: float = 0.0  # of the replies whose baseline has a price
    baseline_cost_usd: float = 0.0
    baseline_uncached_cost_usd: float = 0.0
    summaries: int = 0
    summary_input_tokens: int = 0
    summary_output_tokens: int = 0
    summary_cost_usd: float = 0.0
    unanswered: int = 0  # calls that gave no reply
    unanswered_cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Compared:
    """Means per reply of both groups, and how far the window's lies below."""

    window: Interval | None
    holdout: Interval | None
    saving: Interval | None


@dataclass(frozen=True, slots=True)
class Savings:
    """The whole answer."""

    window: Used
    holdout: Used
    window_users: int
    holdout_users: int
    against_holdout: Mapping[str, Compared]
    by_history: Sequence[tuple[str, Used]] = field(default_factory=list)
    by_period: Sequence[tuple[str, Used]] = field(default_factory=list)
    by_template: Sequence[tuple[str, Used]] = field(default_factory=list)
    by_timeout: Sequence[tuple[str, Used]] = field(default_factory=list)


async def read(tx: AsyncSession, wanted: Wanted) -> Savings:
    """Read the ledger of a period; the breakdowns are of the windows' users alone."""
    cohorts = dict(await _used(tx, wanted, ModelCall.cohort))
    means = {name: await _sums(tx, wanted, column) for name, column in QUANTITIES.items()}
    users = means["input_tokens"]
    windowed = ModelCall.cohort == Cohort.WINDOW
    return Savings(
        window=cohorts.get(Cohort.WINDOW, Used()),
        holdout=cohorts.get(Cohort.HOLDOUT, Used()),
        window_users=users[Cohort.WINDOW].users,
        holdout_users=users[Cohort.HOLDOUT].users,
        against_holdout={name: _compared(found) for name, found in means.items()},
        by_history=await _used(tx, wanted, _history(), windowed),
        by_period=await _used(tx, wanted, _period(tx, wanted.period), windowed),
        by_template=await _used(tx, wanted, sa.func.coalesce(ModelCall.template, "-"), windowed),
        by_timeout=await _used(tx, wanted, ModelCall.timeout_seconds / 3600.0, windowed),
    )


async def by_time(tx: AsyncSession, wanted: Wanted) -> Sequence[tuple[str, Used]]:
    """The users with windows alone, by day or month: one pass over the period."""
    return await _used(tx, wanted, _period(tx, wanted.period), ModelCall.cohort == Cohort.WINDOW)


QUANTITIES: Mapping[str, sa.orm.InstrumentedAttribute[Any]] = {
    "input_tokens": ModelCall.input_tokens,
    "cached_input_tokens": ModelCall.cached_input_tokens,
    "cost_usd": ModelCall.cost_usd,
    "latency_ms": ModelCall.latency_ms,
    "first_token_ms": ModelCall.first_token_ms,
}


def _compared(found: Mapping[str, Sums]) -> Compared:
    window, holdout = found[Cohort.WINDOW], found[Cohort.HOLDOUT]
    return Compared(window.interval(), holdout.interval(), against(window, holdout))


def _period(tx: AsyncSession, period: Period) -> sa.ColumnElement[str]:
    """The day or month (UTC) of a call, as text."""
    on_sqlite, on_postgres = FORMATS[period]
    if tx.get_bind().dialect.name == "sqlite":
        return sa.func.strftime(on_sqlite, ModelCall.called_at)
    return sa.func.to_char(sa.func.timezone("UTC", ModelCall.called_at), on_postgres)


def _history() -> sa.Case[str]:
    """Which class of length a user's history had."""
    names = [f"{low}-{high}" if high else f"{low}+" for low, high in HISTORY]
    limits = [
        (ModelCall.history_messages <= high, name) for (_, high), name in zip(HISTORY, names, strict=True) if high
    ]
    return sa.case(*limits, else_=names[-1])


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found = []
    if wanted.after is not None:
        found.append(ModelCall.called_at > wanted.after)
    if wanted.before is not None:
        found.append(ModelCall.called_at < wanted.before)
    if wanted.template is not None:
        found.append(ModelCall.template == wanted.template)
    return found


async def _used(
    tx: AsyncSession, wanted: Wanted, key: sa.SQLColumnExpression[Any], *more: sa.ColumnElement[bool]
) -> list[tuple[str, Used]]:
    """Sums by a key, in its order."""
    label: sa.Label[Any] = key.label("key")
    query = sa.select(label, *_columns()).where(*_conditions(wanted), *more).group_by(sa.text("key"))
    rows = (await tx.execute(query.order_by(sa.func.min(ModelCall.history_messages) if _is_case(key) else label))).all()
    return [(_named(row[0]), Used(*row[1:])) for row in rows]


def _is_case(key: sa.SQLColumnExpression[Any]) -> bool:
    return isinstance(key, sa.Case)


def _named(key: object) -> str:
    return f"{key:g}" if isinstance(key, float) else str(key)


def _columns() -> list[sa.ColumnElement[Any]]:
    """The sums, in the order of Used."""
    summary, priced = ModelCall.kind == "summary", ModelCall.baseline_cost_usd.is_not(None)
    return [
        _count(REPLIES),
        _count(REPLIES & ModelCall.input_tokens.is_(None)),
        _count(REPLIES & ModelCall.input_tokens.is_not(None) & ModelCall.cost_usd.is_(None)),
        _sum(ModelCall.input_tokens, REPLIES),
        _sum(ModelCall.cached_input_tokens, REPLIES),
        _sum(ModelCall.output_tokens, REPLIES),
        _sum(ModelCall.cost_usd, REPLIES),
        _sum(ModelCall.input_tokens, COMPARED),
        _sum(ModelCall.baseline_input_tokens, COMPARED),
        _sum(ModelCall.baseline_cached_tokens, COMPARED),
        _sum(ModelCall.cost_usd, priced),
        _sum(ModelCall.baseline_cost_usd, priced),
        _sum(ModelCall.baseline_uncached_cost_usd, priced),
        _count(summary),
        _sum(ModelCall.input_tokens, summary),
        _sum(ModelCall.output_tokens, summary),
        _sum(ModelCall.cost_usd, summary),
        _count(ModelCall.kind == "unanswered"),
        _sum(ModelCall.cost_usd, ModelCall.kind == "unanswered"),
    ]


def _count(where: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((where, 1)))


def _sum(column: sa.orm.InstrumentedAttribute[Any], where: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(sa.func.sum(sa.case((where, column))), 0)


async def _sums(tx: AsyncSession, wanted: Wanted, column: sa.orm.InstrumentedAttribute[Any]) -> dict[str, Sums]:
    """Sums of a quantity over users, for each group."""
    each = (
        sa.select(
            ModelCall.cohort,
            sa.cast(sa.func.count(column), sa.Double).label("n"),
            sa.cast(sa.func.sum(column), sa.Double).label("x"),
        )
        .where(*_conditions(wanted), REPLIES, column.is_not(None))
        .group_by(ModelCall.cohort, ModelCall.user_id)
        .subquery()
    )
    n, x = each.c.n, each.c.x
    total = sa.func.sum
    rows = await tx.execute(
        sa.select(
            each.c.cohort, sa.func.count(), total(n), total(x), total(n * n), total(n * x), total(x * x)
        ).group_by(each.c.cohort)
    )
    return {Cohort.WINDOW: Sums(), Cohort.HOLDOUT: Sums()} | {row[0]: Sums(*row[1:]) for row in rows}
