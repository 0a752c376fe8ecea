"""The command `report`: the month in one page, as text, JSON, or an HTML page that needs no network."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convo_service.cli.common import FAILED, on_database, read_settings, require_migrated, stop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from convo_service.db.engine import Database
    from convo_service.services.monthly import Month
    from convo_service.services.savings import Used


def report(
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="By default this one; months are UTC.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with plots.")] = None,
) -> None:
    """The month in one page: messages, conversations, tokens, money, and what windows saved."""
    settings = read_settings()
    first = _first(month)
    require_migrated(settings)

    async def run(database: "Database") -> "Month":
        from convo_service.services import monthly

        async with database.read.begin() as tx:
            return await monthly.read(tx, first)

    found = on_database(settings, run)
    if html is not None:
        _write(html, _page(found))
        typer.echo(f"{html} has {found.name}")
    elif as_json:
        typer.echo(json.dumps(_document(found), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_text(found)))


def _first(month: str | None) -> "datetime":
    from datetime import UTC, datetime

    from convo_service.services import monthly

    if month is None:
        return monthly.month_of(datetime.now(UTC))
    if not re.fullmatch(r"(19[7-9]\d|[2-8]\d{3})-(0[1-9]|1[0-2])", month):
        stop("--month has to be a month such as 2026-03")
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        stop(f"{file} cannot be written: {error.strerror}", status=FAILED)


def _document(found: "Month") -> dict[str, Any]:
    """The same figures as `GET /analytics/savings` has, with the counts of the month."""
    from convo_service import schemas
    from convo_service.routes.analytics import savings_out

    savings = savings_out(found.savings, schemas.SavingsQuery(period="day"))
    return {
        "object": "report",
        "month": found.name,
        "users": found.users,
        "messages": dict(found.messages),
        "conversations": dict(found.conversations),
        "open_issues": found.open_issues,
        "savings": savings.model_dump(mode="json", exclude={"after", "before", "by_period"}),
        "by_day": [one.model_dump(mode="json") for one in savings.by_period],
    }


def _text(found: "Month") -> "list[str]":
    used = found.savings.window
    lines = [
        f"{found.name} (UTC)",
        "",
        *_lines(
            ("users who wrote or were written to", f"{found.users:,}"),
            ("messages", f"{sum(found.messages.values()):,} ({_listed(found.messages)})"),
            ("conversations opened", f"{sum(found.conversations.values()):,} ({_listed(found.conversations)})"),
            ("open issues now", f"{found.open_issues:,}"),
        ),
        "",
    ]
    if not used.replies and not found.savings.holdout.replies:
        return [*lines, "No call of a model was recorded, so there is nothing to say about tokens and money."]
    return [*lines, *_lines(*_figures(found)), "", *_table(found.savings.by_history)]


def _figures(found: "Month") -> "list[tuple[str, str]]":
    from convo_service.domain.savings import saving

    used, holdout = found.savings.window, found.savings.holdout
    tokens, money = used.compared_input_tokens, used.compared_cost_usd
    against = found.savings.against_holdout["input_tokens"].saving
    price = "no known price" if used.unpriced == used.replies else f"{used.cost_usd:,.2f} USD"
    return [
        ("replies, with windows", f"{used.replies:,}, {used.input_tokens:,} input tokens, {price}"),
        ("replies, outside the rollout", f"{holdout.replies:,}, {holdout.input_tokens:,} input tokens"),
        (
            "summaries",
            f"{used.summaries:,}, {used.summary_input_tokens:,} input tokens, {used.summary_cost_usd:,.2f} USD",
        ),
        ("one endless conversation each", f"{used.baseline_input_tokens:,} input tokens (estimated)"),
        ("saved, in input tokens", _percent(saving(tokens, used.baseline_input_tokens))),
        (
            "  with the summaries counted",
            _percent(saving(tokens + used.summary_input_tokens, used.baseline_input_tokens)),
        ),
        ("saved, in money", _percent(saving(money, used.baseline_cost_usd)) + " (its cache at its best)"),
        (
            "  with the summaries counted",
            _percent(saving(money + used.summary_cost_usd, used.baseline_cost_usd)),
        ),
        ("against users outside the rollout", "nobody is" if against is None else _range(against)),
        *([("replies without a price", f"{used.unpriced:,}")] if used.unpriced else []),
        *([("replies without a count", f"{used.uncounted:,}")] if used.uncounted else []),
    ]


def _table(groups: "Sequence[tuple[str, Used]]") -> "list[str]":
    from convo_service.domain.savings import saving

    head = f"{'messages so far':>16} {'replies':>9} {'input tokens':>14} {'endless':>14} {'saved':>7}"
    return [
        head,
        *(
            f"{name:>16} {used.replies:>9,} {used.compared_input_tokens:>14,} {used.baseline_input_tokens:>14,} "
            f"{_percent(saving(used.compared_input_tokens, used.baseline_input_tokens)):>7}"
            for name, used in groups
        ),
    ]


def _lines(*pairs: tuple[str, str]) -> "list[str]":
    return [f"{name:<36}{value}" for name, value in pairs]


def _listed(counts: Any) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _range(found: Any) -> str:
    said = f"{_percent(found.value)} fewer input tokens per reply"
    return said if found.low is None else f"{said} (95 %: {_percent(found.low)} to {_percent(found.high)})"


def _page(found: "Month") -> str:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("convo_service.cli"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = _percent
    return environment.get_template("report.html").render(report=_document(found), figures=_figures(found))
