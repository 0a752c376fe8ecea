"""The dashboard's pages about everybody: key figures, open issues, search, savings."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import schemas
from convo_service.dashboard.highlight import marked
from convo_service.dashboard.pages import Manner
from convo_service.db.models import Note
from convo_service.routes.dashboard_figures import Totals, bill, by_period, figures, groups, history_figures
from convo_service.routes.dashboard_views import Issue, name_of, people
from convo_service.routes.dashboard_visit import HOME, MAY_READ, Visiting
from convo_service.routes.deps import ReadTx
from convo_service.schemas.base import with_a_word
from convo_service.services import glances, history, savings, search
from convo_service.services.paging import Page
from convo_service.services.savings import Wanted

router = APIRouter(prefix=HOME, dependencies=[MAY_READ])

OVERVIEW_DAYS = 30
RECENT = 6
FEW_ISSUES = 5
AT_ONCE = 30
PERIODS = (7, 30, 90, 0)  # days; 0 is all

Q = Annotated[str, Query(max_length=200)]


@router.get("")
async def overview(visit: Visiting, tx: ReadTx) -> HTMLResponse:
    """What the owner of a bot wants to know first."""
    manner = visit.manner
    since = manner.now - timedelta(days=OVERVIEW_DAYS)
    days = await savings.by_time(tx, Wanted(after=since, period="day"))
    found = await history.find_users(tx, Page(RECENT))
    issues = await history.open_issues(tx, Page(FEW_ISSUES))
    totals = Totals.of([used for _, used in days])
    oldest = (await history.open_issues(tx, Page(1, order="asc"))).rows
    return visit.page(
        "overview.html",
        "overview",
        figures=figures(totals, manner, oldest=oldest[0] if oldest else None, issues=await history.issue_count(tx)),
        by_day=by_period(days, "day", manner),
        people=people(found, await glances.at(tx, found.rows), "", manner),
        issues=await _named(tx, issues.rows, manner),
        more_issues=issues.has_more,
    )


@router.get("/issues")
async def open_issues(visit: Visiting, tx: ReadTx, after: schemas.AnyId | None = None) -> HTMLResponse:
    """Who waits for something, of everybody."""
    found = await history.open_issues(tx, Page(AT_ONCE, after=after))
    return visit.page(
        "issues.html",
        "issues",
        issues=await _named(tx, found.rows, visit.manner),
        more_issues=found.rows[-1].id if found.has_more else None,
    )


async def _named(tx: AsyncSession, notes: Sequence[Note], manner: Manner) -> list[Issue]:
    known = await glances.of_users(tx, {note.user_id for note in notes})
    return [
        Issue(note, name_of(known[note.user_id].view, manner), known[note.user_id].company)
        for note in notes
        if note.user_id in known
    ]


@router.get("/search")
async def find_messages(visit: Visiting, tx: ReadTx, q: Q = "", after: schemas.AnyId | None = None) -> HTMLResponse:
    """Messages that hold every word."""
    q = " ".join(q.replace("\0", " ").split())
    results, more = [], None
    if _has_a_word(q):
        found = await search.messages(tx, q, Page(AT_ONCE, after=after))
        known = await glances.names(tx, {row.user_id for row in found.rows})
        results = [
            {"row": row, "name": name_of(known[row.user_id], visit.manner), "parts": marked(row.text, q)}
            for row in found.rows
            if row.user_id in known
        ]
        more = found.rows[-1].id if found.has_more else None
    return visit.page("search.html", "", q=q, found_q=q, results=results, more=more)


def _has_a_word(q: str) -> bool:
    try:
        return bool(q and with_a_word(q))
    except ValueError:
        return False


@router.get("/savings")
async def show_savings(visit: Visiting, tx: ReadTx, days: Literal["7", "30", "90", "0"] = "30") -> HTMLResponse:
    """Tokens and money against the endless conversation, and against users outside the rollout."""
    manner, length = visit.manner, int(days)
    period: savings.Period = "day" if length else "month"
    found = await savings.read(tx, Wanted(manner.now - timedelta(days=length) if length else None, period=period))
    against = found.against_holdout["input_tokens"].saving
    return visit.page(
        "savings.html",
        "savings",
        periods=PERIODS,
        chosen_days=length,
        used=found.window,
        figures=history_figures(found, manner),
        by_day=by_period(found.by_period, period, manner),
        by_history=groups(found.by_history),
        bill=bill(found.window, manner),
        holdout={"used": found.holdout, "users": found.holdout_users, "saving": against.value if against else None},
    )
