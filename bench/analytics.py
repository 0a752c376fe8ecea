"""Analytics of a real history against a count by hand, and what they cost at 10 thousand and at a million messages."""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import sqlalchemy as sa
from alembic import command
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import reading
from bench.latency import table as printed
from bench.reading import Line
from bench.turns import quantile
from tests.counting import ByHand, answered, everything
from tests.filling import START, Filling, fill_sqlite

from convo_service.app import create_app
from convo_service.db import migrations
from convo_service.db.engine import Database
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.services.tallying import Tallying
from convo_service.settings import Settings
from convo_service.telemetry import configure_logging

Json = dict[str, Any]

ZONES = ("Europe/Rome", "UTC", "America/New_York")
COUNTED = ("messages", "conversations_created", "conversations_closed", "tokens", "tokens_against_baseline")
SPAN = timedelta(days=30)  # of a filled history, whatever its size: so that every hour has something
PATHS = {
    "overview": ("/analytics/overview", {}),
    "overview, a topic": ("/analytics/overview", {"topic": "general"}),
    "messages by day": ("/analytics/timeseries", {"metric": "messages"}),
    "messages by hour": ("/analytics/timeseries", {"metric": "messages", "interval": "hour"}),
    "users by week": ("/analytics/timeseries", {"metric": "active_users", "interval": "week"}),
    "cost by day": ("/analytics/timeseries", {"metric": "cost_usd"}),
    "latency by day": ("/analytics/timeseries", {"metric": "latency"}),
}
CALLS = """
    INSERT INTO model_calls (user_id, id, kind, subject_id, conversation_id, cohort, timeout_seconds, history_messages,
        called_at, model, input_tokens, cached_input_tokens, output_tokens, cost_usd, baseline_input_tokens,
        baseline_cost_usd, latency_ms, first_token_ms)
    SELECT user_id, replace(id, 'msg_', 'call_'), 'reply', id, conversation_id, 'window', 172800, 10, sent_at,
        'gpt-5-mini', 900, 100, 60, 0.0005, 1800, 0.0009, 800 + rowid % 5000, 300 + rowid % 900
    FROM messages WHERE direction = 'outbound'
"""


class Month(Filling):
    """A history of one month."""

    def __init__(self, messages: int) -> None:
        super().__init__(messages)
        self._step = SPAN / self.conversations


class Clock:
    """The time of the history."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@asynccontextmanager
async def served(url: str, clock: Clock) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient, Sweep]]:
    """The service in this process, with a key, and its worker."""
    with closing(Emulator()) as emulator:
        settings = Settings(
            _env_file=None,
            database_url=url,
            key_pepper="p",
            conversation_reserve=0,
            rate_limit_per_minute=10**6,
            summarize_old_conversations=False,
        )
        llm = LLMClient.against(emulator)
        app = create_app(settings, llm=llm, clock=clock, books_every=3600)
        async with app.router.lifespan_context(app):
            services = app.state.services
            _, key = await services.keys.create("bench", Scope.ADMIN, now=clock())
            http = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://convo",
                headers={"Authorization": f"Bearer {key}"},
            )
            async with http:
                yield app, http, Sweep(services.database, llm, settings, clock)


def tallying(database: Database) -> Tallying:
    """What the worker counts with, when everything has rested."""
    return Tallying(database, lambda: datetime.now(UTC) + timedelta(minutes=6), ZONES[0])


async def play(http: httpx.AsyncClient, clock: Clock, sweep: Sweep, lines: Sequence[Line]) -> None:
    """Say everything at its time, with made-up tokens, and sweep once a week."""
    current: dict[str, str] = {}
    swept = lines[0].sent_at
    for line in lines:
        clock.now = max(clock.now, line.sent_at)
        if clock.now - swept > timedelta(days=7):
            swept = clock.now
            await sweep.run_once()
        message: Json = {"text": line.text, "sent_at": line.sent_at.isoformat()}
        if line.direction == "inbound":
            body: Json = {"identity": line.identity, "message": {**message, "id": line.id}}
            answer = await http.post("/conversations", json=body)
            current[line.identity] = answer.raise_for_status().json()["conversation"]["id"]
        else:
            usage = {"model": "gpt-5-mini", "input_tokens": 300 + len(line.text), "output_tokens": len(line.text)}
            said = {**message, "direction": "outbound", "usage": usage}
            path = f"/conversations/{current[line.identity]}/messages"
            (await http.post(path, json={"messages": [said]})).raise_for_status()


def questions(lines: Sequence[Line]) -> Iterator[tuple[str, datetime, datetime, dict[str, str]]]:
    """Zones, periods and filters: everything, each month, and some weeks that begin at odd hours."""
    first, last = lines[0].sent_at, max(line.sent_at for line in lines) + timedelta(days=3)
    whole = (first.replace(minute=0, second=0, microsecond=0), last.replace(minute=0, second=0, microsecond=0))
    months = [(at, at + timedelta(days=30)) for at in (whole[0] + timedelta(days=30 * n, hours=n) for n in range(2))]
    for zone in ZONES:
        for begin, end in [whole, *months]:
            for filters in ({}, {"topic": "general"}):
                yield zone, begin, end, filters


async def compare(database: Database, http: httpx.AsyncClient, lines: Sequence[Line]) -> tuple[int, list[str]]:
    """How many figures were compared, and those that differ."""
    rows, count, wrong = await everything(database), 0, list[str]()
    for zone, begin, end, filters in questions(lines):
        period = {"after": begin.isoformat(), "before": end.isoformat(), "time_zone": zone, **filters}
        hand = ByHand(rows, begin, end, ZoneInfo(zone), **filters)
        has, want = answered(await _get(http, "/analytics/overview", period)), hand.overview()
        if zone != ZONES[0]:  # people are counted by days of one zone
            del has["people"], want["people"]
        pairs = [(f"{name} {period}", has[name], want[name]) for name in want]
        for interval in ("day", "week", "month"):
            metrics = [*COUNTED, "active_users"] if zone == ZONES[0] and "topic" not in filters else COUNTED
            for metric in metrics:
                body = await _get(http, "/analytics/timeseries", {"metric": metric, "interval": interval, **period})
                found = {one["label"]: one["values"] for one in body["data"]}
                expected = hand.over_time(metric, interval)
                labels = found.keys() | expected.keys()
                pairs += [(f"{metric} {one} {period}", found.get(one), expected.get(one)) for one in labels]
        count += len(pairs)
        wrong += [f"{name}: {has}, by hand {want}" for name, has, want in pairs if has != want]
    return count, wrong


async def _get(http: httpx.AsyncClient, path: str, params: Json) -> Json:
    answer = await http.get(path, params=params)
    return dict(answer.raise_for_status().json())


async def check(lines: Sequence[Line], url: str) -> list[Json]:
    """A row for each state of the counts."""
    clock, rows = Clock(lines[0].sent_at), list[Json]()
    async with served(url, clock) as (app, http, sweep):
        database: Database = app.state.services.database
        begun = time.perf_counter()
        await play(http, clock, sweep, lines)
        print(f"played in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        clock.now += timedelta(days=3)
        await sweep.run_once()

        async def row(state: str) -> None:
            count, wrong = await compare(database, http, lines)
            rows.append({"counts": state, "messages": len(lines), "compared": count, "differences": len(wrong)})
            for one in wrong[:10]:
                print(one, file=sys.stderr)

        await row("none ahead")
        begun = time.perf_counter()
        while await tallying(database).run_once():
            pass
        print(f"counted in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
        await row("all ahead")
        await tallying(database).rebuild(lambda _total: lambda _count: None)
        await row("made anew")
    return rows


def migrated(file: Path) -> str:
    """The URL of an empty database."""
    url = f"sqlite+aiosqlite:///{file}"
    command.upgrade(migrations.config(url), "head")
    return url


def filled(size: int, file: Path) -> str:
    """The URL of a database of so many messages, which may be there from the last time."""
    is_there = file.exists()
    url = migrated(file)
    if is_there:
        return url
    fill_sqlite(file, Month(size))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(CALLS)
        connection.execute("ANALYZE")
    return url


async def measure(size: int, url: str, pages: int) -> list[Json]:
    """A row for each question, at one size."""
    rows = list[Json]()
    async with served(url, Clock(START + SPAN)) as (app, http, _sweep):
        database: Database = app.state.services.database
        begun = time.perf_counter()
        done: Counter[str] = Counter()
        while some := await tallying(database).run_once():
            done += some
        print(f"{size:,}: {dict(done)} counted in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        for name, (path, params) in PATHS.items():
            times = []
            for _ in range(pages + 3):
                begun = time.perf_counter()
                await _get(http, path, params)
                times.append((time.perf_counter() - begun) * 1000)
            known = times[3:]
            p50, p95 = round(quantile(known, 0.5), 1), round(quantile(known, 0.95), 1)
            steps = await _steps(database, http, path, params)
            rows.append({"messages": size, "question": name, "p50 ms": p50, "p95 ms": p95, "steps": steps})
    return rows


async def _steps(database: Database, http: httpx.AsyncClient, path: str, params: Json) -> int:
    """Steps of SQLite's machine, on every reading connection that is used."""
    ticks: list[None] = []

    @sa.event.listens_for(database.engines[1].sync_engine, "begin")
    def _listen(connection: sa.Connection) -> None:
        raw: Any = connection.connection.driver_connection
        raw._conn.set_progress_handler(lambda: ticks.append(None), 1)

    await _get(http, path, params)
    sa.event.remove(database.engines[1].sync_engine, "begin", _listen)

    @sa.event.listens_for(database.engines[1].sync_engine, "begin", once=True)
    def _stop(connection: sa.Connection) -> None:
        raw: Any = connection.connection.driver_connection
        raw._conn.set_progress_handler(None, 1)

    count = len(ticks)
    await _get(http, path, params)
    return count


def main() -> int:
    """Compare or measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="messages to be imported, asked about and counted by hand")
    parser.add_argument("--rows", type=int, nargs="+", default=[], help="messages of a made-up month (SQLite)")
    parser.add_argument("--pages", type=int, default=50, help="of each question (50)")
    parser.add_argument("--folder", type=Path, help="where filled databases are kept, counted, for the next time")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    given = parser.parse_args()
    configure_logging(format_="console", level="error")
    rows = list[Json]()
    with tempfile.TemporaryDirectory() as folder:
        if given.file is not None:
            lines = reading.parse(given.file.read_text().splitlines())
            rows += asyncio.run(
                check(sorted(lines, key=lambda line: line.sent_at), migrated(Path(folder, "history.db")))
            )
        for size in given.rows:
            rows += asyncio.run(measure(size, filled(size, Path(given.folder or folder, f"{size}.db")), given.pages))
    print(json.dumps(rows, indent=2) if given.json else printed(rows))
    return int(any(row.get("differences") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
