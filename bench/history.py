"""Lists, filters, threads and the search, at sizes that differ by factors of a hundred: does a page cost the same?"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import AsyncSession

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench.latency import table as printed
from bench.processes import postgres_databases
from bench.turns import quantile
from tests.filling import (
    COLUMNS,
    FREQUENT_WORD,
    RARE_WORD,
    WORDS,
    Filling,
    conversation,
    fill_sqlite,
    message,
    user,
)

from convo_service.db import migrations
from convo_service.db.engine import Database, open_database
from convo_service.services import history, search
from convo_service.services.history import ConversationFilter
from convo_service.services.paging import Listing, Page

Reading = Callable[[AsyncSession, Filling, random.Random], Awaitable[Listing[Any]]]


def filtered(**wanted: Any) -> Reading:
    """A first page of conversations, in either order."""
    return lambda tx, _, chance: history.conversations(
        tx, ConversationFilter(**wanted), Page(order=chance.choice(("asc", "desc")))
    )


def created(tx: AsyncSession, filling: Filling, chance: random.Random) -> Awaitable[Listing[Any]]:
    """The conversations of some hours, at any time."""
    first = chance.randrange(filling.conversations)
    since = filling.began(first)
    wanted = ConversationFilter(
        created_after=since, created_before=min(since + timedelta(hours=6), filling.began(first + 2000))
    )
    return history.conversations(tx, wanted, Page())


def before(tx: AsyncSession, filling: Filling, chance: random.Random) -> Awaitable[Listing[Any]]:
    """The conversations before any time."""
    wanted = ConversationFilter(last_message_before=filling.began(chance.randrange(filling.conversations)))
    return history.conversations(tx, wanted, Page())


def words(q: Callable[[random.Random], str]) -> Reading:
    """A first page of the search, in either order."""
    return lambda tx, _, chance: search.messages(tx, q(chance), Page(order=chance.choice(("asc", "desc"))))


def of_user(read: Callable[..., Awaitable[Listing[Any]]], **more: Any) -> Reading:
    """A page of any user."""
    return lambda tx, filling, chance: read(tx, user(chance.randrange(filling.users)), Page(), **more)


def of_conversation(read: Callable[..., Awaitable[Listing[Any]]]) -> Reading:
    """A page of any conversation."""
    return lambda tx, filling, chance: read(
        tx, conversation(chance.randrange(filling.conversations)), Page(order="asc")
    )


READINGS: dict[str, Reading] = {
    "conversations": filtered(),
    "conversations, any page": lambda tx, filling, chance: history.conversations(
        tx, ConversationFilter(), Page(after=conversation(chance.randrange(filling.conversations)))
    ),
    "of a user": lambda tx, filling, chance: history.conversations(
        tx, ConversationFilter(user_id=user(chance.randrange(filling.users))), Page()
    ),
    "active (rare)": filtered(is_active=True),
    "not active": filtered(is_active=False),
    "topic (rare)": filtered(topic="ordini"),
    "topic (most)": filtered(topic="general"),
    "topic (none)": filtered(topic="resi"),
    "template (rare)": filtered(template="vip"),
    "reason (rare)": filtered(created_reason="user_reset"),
    "reason (most)": filtered(created_reason="idle_timeout"),
    "created within hours": created,
    "last message before": before,
    "thread of a conversation": of_conversation(history.conversation_messages),
    "chain": of_conversation(history.chain),
    "users": lambda tx, _filling, _chance: history.find_users(tx, Page()),
    "users, by name": lambda tx, _filling, chance: history.find_users(tx, Page(), chance.choice(WORDS)),
    "thread of a user": of_user(history.user_messages),
    "notes of a user": of_user(history.user_notes, kind="issue", status="open"),
    "summaries of a user": of_user(history.user_summaries),
    "search: a word of a third": words(lambda _: FREQUENT_WORD),
    "search: the same, any page": lambda tx, filling, chance: search.messages(
        tx, FREQUENT_WORD, Page(after=message(chance.randrange(filling.messages)))
    ),
    "search: any word (1 of 300)": words(lambda chance: chance.choice(WORDS)),
    "search: a word of 25": words(lambda _: RARE_WORD),
    "search: rare and frequent": words(lambda _: f"{RARE_WORD} {FREQUENT_WORD}"),
    "search: two words": words(lambda chance: f"{FREQUENT_WORD} {chance.choice(WORDS)}"),
    "search: beginning, rare": words(lambda _: RARE_WORD[:-2]),
    "search: beginning, frequent": words(lambda _: FREQUENT_WORD[:-1]),
    "search: no such word": words(lambda _: "xyz"),
}


@dataclass(slots=True)
class Watch:
    """Time in the driver, from a statement's start to its last row."""

    seconds: float = 0.0
    _began: list[float] = field(default_factory=list)

    def listen(self, database: Database) -> None:
        """Watch every statement."""
        for engine in database.engines:
            sa.event.listen(engine.sync_engine, "before_cursor_execute", self._before)
            sa.event.listen(engine.sync_engine, "after_cursor_execute", self._after)

    def _before(self, *_about: object) -> None:
        self._began.append(time.perf_counter())

    def _after(self, *_about: object) -> None:
        self.seconds += time.perf_counter() - self._began.pop()


async def measure(url: str, filling: Filling, pages: int) -> list[dict[str, object]]:
    """A row for each reading: milliseconds, and on SQLite the most steps of its machine."""
    database, watch = open_database(url), Watch()
    watch.listen(database)
    kind = "sqlite" if url.startswith("sqlite") else "postgres"
    rows: list[dict[str, object]] = []
    for name, reading in READINGS.items():
        chance, times = random.Random(7), []  # noqa: S311 - the same pages every time
        for _ in range(pages + 5):
            async with database.read.begin() as tx:
                await tx.connection()
                watch.seconds = 0.0
                await reading(tx, filling, chance)
                times.append(watch.seconds * 1000)
        known = sorted(times[5:])  # statements are compiled, and connections made, in the first ones
        row = {"database": kind, "messages": filling.messages, "page": name}
        row |= {"p50 ms": round(quantile(known, 0.5), 2), "p99 ms": round(quantile(known, 0.99), 2)}
        exact = await (steps if kind == "sqlite" else server_time)(database, reading, filling)
        rows.append(row | exact)
    await database.close()
    return rows


async def steps(database: Database, reading: Reading, filling: Filling) -> dict[str, object]:
    """The most steps that one of some pages takes."""
    counts = []
    for seed in range(5):
        async with database.read.begin() as tx:
            raw: Any = (await (await tx.connection()).get_raw_connection()).driver_connection
            ticks: list[None] = []
            await raw.set_progress_handler(lambda made=ticks: made.append(None), 1)
            await reading(tx, filling, random.Random(seed))  # noqa: S311 - the same pages every time
            await raw.set_progress_handler(None, 1)
            counts.append(len(ticks))
    return {"steps": max(counts), "server p50": None, "server max": None}


async def server_time(database: Database, reading: Reading, filling: Filling) -> dict[str, object]:
    """Milliseconds as PostgreSQL itself counts them: without the way to it, and without waiting for a core there."""
    said: list[tuple[str, Any]] = []

    def listen(_connection: object, _cursor: object, statement: str, given: Any, *_more: object) -> None:
        said.append((statement, given))

    sa.event.listen(database.engines[0].sync_engine, "before_cursor_execute", listen)
    times = []
    for seed in range(20):
        async with database.read.begin() as tx:
            said.clear()
            await reading(tx, filling, random.Random(seed))  # noqa: S311 - the same pages every time
            raw: Any = (await (await tx.connection()).get_raw_connection()).driver_connection
            asked = [one for one in said if not one[0].startswith("EXPLAIN")]
            plans = [await raw.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", *given) for text, given in asked]
            times.append(sum(_plan(plan)["Execution Time"] for plan in plans))
    sa.event.remove(database.engines[0].sync_engine, "before_cursor_execute", listen)
    return {"steps": None, "server p50": round(quantile(times, 0.5), 2), "server max": round(max(times), 2)}


def _plan(found: Any) -> dict[str, Any]:
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]
    return plan


async def fill_postgres(url: str, filling: Filling) -> None:
    """Write a history into migrated tables that have none; indexes are made anew behind it."""
    parsed = sa.make_url(url)
    connection = await asyncpg.connect(host=str(parsed.query["host"]), user="postgres", database=parsed.database)
    await connection.execute("SET maintenance_work_mem = '512MB'")
    later = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('messages', 'conversations') "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    for index in later:
        await connection.execute(f"DROP INDEX {index['indexname']}")
    for table, rows in filling.tables().items():
        await connection.copy_records_to_table(table, records=rows, columns=COLUMNS[table].split())
    for index in later:
        await connection.execute(index["indexdef"])
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


@contextmanager
def filled(kind: str, size: int) -> Iterator[tuple[str, Filling]]:
    """A database of so many messages."""
    filling = Filling(size)
    if kind == "postgres":
        with postgres_databases(["history"]) as urls:
            command.upgrade(migrations.config(urls["history"]), "head")
            asyncio.run(fill_postgres(urls["history"], filling))
            yield urls["history"], filling
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.db"
        url = f"sqlite+aiosqlite:///{file}"
        command.upgrade(migrations.config(url), "head")
        fill_sqlite(file, filling)
        yield url, filling


def held(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What breaks the bars: p50 of 1 ms, p99 of 20 ms."""
    return [
        f"{row['database']}, {row['messages']:,} messages, {row['page']}: {row['p50 ms']} / {row['p99 ms']} ms"
        for row in rows
        if row["p50 ms"] > 1 or row["p99 ms"] > 20
    ]


def main() -> int:
    """Fill, read and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000], help="messages (10000 1000000)")
    parser.add_argument("--database", choices=["sqlite", "postgres"], help="one of them alone (both)")
    parser.add_argument("--pages", type=int, default=200, help="of each reading (200)")
    given = parser.parse_args()
    found: list[dict[str, object]] = []
    for kind in [given.database] if given.database else ["sqlite", "postgres"]:
        for size in given.rows:
            with filled(kind, size) as (url, filling):
                print(f"{kind}: {size:,} messages are there", file=sys.stderr)
                found += asyncio.run(measure(url, filling, given.pages))
    print(json.dumps(found, indent=2) if given.json else printed(found))
    for broken in held(found):
        print(f"over the bar: {broken}", file=sys.stderr)
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
