"""Lists: the envelope, and one page of it behind a cursor."""

from __future__ import annotations

from collections.abc import Mapping

from convo_service.llm.emulator import checks
from convo_service.llm.emulator.wire import ApiError, Json, not_found

_MAX_PAGE = 100


def listing(rows: list[Json], *, has_more: bool = False) -> Json:
    """The list envelope."""
    first, last = (rows[0]["id"], rows[-1]["id"]) if rows else ("", "")
    return {"object": "list", "data": rows, "first_id": first, "last_id": last, "has_more": has_more}


def page(rows: list[Json], query: Mapping[str, str]) -> Json:
    """One page of rows that come oldest first: limit 1-100 (20), order desc, behind the item `after`."""
    limit = _limit(query.get("limit", "20"))
    newest_first = checks.one_of(query.get("order", "desc"), ("asc", "desc"), "order") == "desc"
    ordered = rows[::-1] if newest_first else rows
    start = _behind(ordered, query.get("after"))
    return listing(ordered[start : start + limit], has_more=start + limit < len(ordered))


def _behind(rows: list[Json], after: str | None) -> int:
    if not after:
        return 0
    for position, row in enumerate(rows):
        if row["id"] == after:
            return position + 1
    # A deleted item is no cursor: who deletes while paging must start each page anew.
    raise not_found("Item", after)


def _limit(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise checks.invalid_type("limit", "an integer", text)
    limit = int(text)
    if limit < 1:
        raise ApiError(400, "Invalid 'limit': below 1.", param="limit", code="integer_below_min_value")
    if limit > _MAX_PAGE:
        raise checks.above("limit", "integer", "value", f"above {_MAX_PAGE}")
    return limit
