"""Key figures of the dashboard, and the rows that its charts are drawn from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from convo_service.dashboard.formats import MONTHS, NOTHING
from convo_service.dashboard.pages import Manner
from convo_service.db.models import Note
from convo_service.domain.savings import saving
from convo_service.routes.dashboard_views import Figure, Group
from convo_service.services.savings import Period, Savings, Used

MOST_POINTS = 400  # of a chart


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of a period that figures are made of."""

    replies: int
    tokens: int
    endless_tokens: int
    cost: float
    endless_cost: float

    @classmethod
    def of(cls, parts: Iterable[Used]) -> "Totals":
        """Add up."""
        rows = list(parts)
        return cls(
            sum(one.replies for one in rows),
            sum(one.compared_input_tokens for one in rows),
            sum(one.baseline_input_tokens for one in rows),
            sum(one.compared_cost_usd + one.summary_cost_usd for one in rows),
            sum(one.baseline_cost_usd for one in rows),
        )


def figures(totals: Totals, manner: Manner, *, oldest: Note | None, issues: int) -> list[Figure]:
    """The first page's."""
    return [
        _tokens_saved(totals, manner),
        _money_saved(totals, manner),
        Figure(manner.text("fig_replies"), manner.number(totals.replies), manner.text("last_days", days=30)),
        _issues(oldest, issues, manner),
    ]


def history_figures(found: Savings, manner: Manner) -> list[Figure]:
    """Those of the page about savings."""
    totals, used = Totals.of([found.window]), found.window
    latency = found.against_holdout["latency_ms"].window
    replies = Figure(
        manner.text("fig_replies"),
        manner.number(used.replies),
        manner.text("fig_replies_of", users=manner.number(found.window_users)),
    )
    time = Figure(
        manner.text("fig_latency"),
        manner.seconds(latency.value) if latency else NOTHING,
        manner.text("fig_latency_of", replies=manner.number(used.replies)) if latency
        else manner.text("fig_latency_none"),
    )  # fmt: skip
    return [_tokens_saved(totals, manner), _money_saved(totals, manner), replies, time]


def _tokens_saved(totals: Totals, manner: Manner) -> Figure:
    share = saving(totals.tokens, totals.endless_tokens)
    if share is None:
        return Figure(manner.text("fig_saved"), NOTHING, manner.text("fig_nothing"))
    hint = manner.text("fig_saved_of", used=manner.number(totals.tokens), endless=manner.number(totals.endless_tokens))
    return Figure(manner.text("fig_saved"), manner.percent(share), hint, "good" if share > 0 else "")


def _money_saved(totals: Totals, manner: Manner) -> Figure:
    if not totals.endless_cost:
        hint = manner.text("fig_money_none" if totals.replies else "fig_nothing")
        return Figure(manner.text("fig_money"), NOTHING, hint)
    saved = totals.endless_cost - totals.cost
    hint = manner.text("fig_money_of", used=manner.money(totals.cost), endless=manner.money(totals.endless_cost))
    return Figure(manner.text("fig_money"), manner.money(saved), hint, "good" if saved > 0 else "")


def _issues(oldest: Note | None, issues: int, manner: Manner) -> Figure:
    if oldest is None:
        return Figure(manner.text("fig_issues"), manner.number(issues), manner.text("fig_issues_none"))
    hint = manner.text("fig_issues_oldest", age=manner.age(oldest.created_at))
    return Figure(manner.text("fig_issues"), manner.number(issues), hint, "warn")


def groups(found: Sequence[tuple[str, Used]]) -> list[Group]:
    """Rows as they are named."""
    return [Group(name, name, used) for name, used in found]


def by_period(found: Sequence[tuple[str, Used]], period: Period, manner: Manner) -> list[Group]:
    """Rows by day, those without a call too, or by month."""
    months = MONTHS[manner.language]
    if period == "month":
        return [Group(f"{months[int(name[5:7]) - 1]} {name[:4]}", name, used) for name, used in found][-MOST_POINTS:]
    known = {date.fromisoformat(name): used for name, used in found}
    if not known:
        return []
    first = min(known)
    length = (max(max(known), manner.now.astimezone(UTC).date()) - first).days + 1
    days = [first + timedelta(days=one) for one in range(length)][-MOST_POINTS:]
    return [Group(f"{one.day} {months[one.month - 1]}", one.isoformat(), known.get(one, Used())) for one in days]


def bill(used: Used, manner: Manner) -> list[tuple[str, str]]:
    """What was paid, and what would have been."""
    share = saving(used.compared_cost_usd + used.summary_cost_usd, used.baseline_cost_usd)
    cached = used.cached_input_tokens / used.input_tokens if used.input_tokens else None
    return [
        (manner.text("bill_replies"), manner.money(used.compared_cost_usd)),
        (manner.text("bill_summaries", count=manner.number(used.summaries)), manner.money(used.summary_cost_usd)),
        (manner.text("bill_endless"), manner.money(used.baseline_cost_usd)),
        (manner.text("bill_uncached"), manner.money(used.baseline_uncached_cost_usd)),
        (manner.text("bill_saved"), NOTHING if share is None else manner.percent(share)),
        (manner.text("cached_share"), NOTHING if cached is None else manner.percent(cached)),
        (manner.text("output_tokens"), manner.number(used.output_tokens)),
    ]


def at_midnight(at: datetime) -> datetime:
    """The first moment of a day (UTC)."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
