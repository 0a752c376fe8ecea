"""What the first message after a pause costs, against one inside its window: calls of OpenAI, and the service's time.

The clock of the talk is in the messages (`sent_at`), so that a pause takes no time here. Own time is what a request
took less the same calls made straight to the emulator.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import openai

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import processes

MODEL = "gpt-5-mini"
BAR_RATIO, BAR_CALLS = 2.0, 1.0
PAUSE = timedelta(days=3)
TALK = 10  # messages of each window besides those that are timed: what the next seed is made of
CREATE, ITEMS, RESPONSES = "conversations.create", "items.create", "responses.create"
TEXTS = (
    "Vorrei ordinare {n} sacchi di farina Manitoba per venerdì mattina, consegna prima delle 9",
    "Certo, {n} sacchi a 24,50 euro l'uno: confermo la consegna di venerdì con il corriere",
)


@dataclass(slots=True)
class Side:
    """Requests of one kind."""

    took_ms: list[float] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    def own_ms(self, direct: dict[str, float]) -> float:
        """The median, less that of the same calls made directly."""
        each = len(self.took_ms)
        return statistics.median(self.took_ms) - sum(direct[name] * n / each for name, n in self.calls.items())

    def per_request(self) -> dict[str, float]:
        """Calls of a request, by operation."""
        return {name: round(n / len(self.took_ms), 2) for name, n in self.calls.items()}


@dataclass(slots=True)
class Row:
    """A route on a database: medians in milliseconds, and calls of one request."""

    database: str
    route: str
    samples: int
    load: float
    warm_ms: float
    rollover_ms: float
    rollover_p99_ms: float
    own_warm_ms: float
    own_rollover_ms: float
    warm_calls: dict[str, float]
    rollover_calls: dict[str, float]

    @property
    def ratio(self) -> float:
        """The service's own part of a rollover in units of a warm request's."""
        return self.own_rollover_ms / self.own_warm_ms

    @property
    def holds(self) -> bool:
        """Whether it is within the bars."""
        return self.ratio <= BAR_RATIO and sum(self.rollover_calls.values()) == BAR_CALLS


class Ways:
    """The gateway's requests, and the same calls made straight to the emulator; each returns milliseconds."""

    def __init__(self, service: str, emulator: str) -> None:
        headers = {"Authorization": f"Bearer {processes.KEY}"}
        self.http = httpx.AsyncClient(base_url=service, headers=headers, timeout=60)
        self.sdk = openai.AsyncOpenAI(api_key="sk-emulator", base_url=f"{emulator}/v1", max_retries=0)
        self._openai = httpx.AsyncClient(base_url=emulator)
        self._ids = count()

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()
        await self.sdk.close()
        await self._openai.aclose()

    async def calls(self) -> Counter[str]:
        """What OpenAI was asked so far."""
        return Counter((await self._openai.get("/_emulator/calls")).json())

    async def request(self, route: str, identity: str, at: datetime) -> dict[str, Any]:
        """POST /turns or /conversations."""
        number = next(self._ids)
        message = {"id": f"wamid.{number}", "text": TEXTS[0].format(n=number), "sent_at": at.isoformat()}
        answer = await self.http.post(route, json={"identity": identity, "message": message})
        if not answer.is_success:
            raise processes.Broken(f"POST {route} answered {answer.status_code}: {answer.text}")
        return dict(answer.json())

    async def talk(self, conversation_id: str, at: datetime) -> None:
        """Something for the next seed to be made of."""
        said = [
            {"direction": ("inbound", "outbound")[n % 2], "text": TEXTS[n % 2].format(n=n), "sent_at": at.isoformat()}
            for n in range(TALK)
        ]
        path = f"/conversations/{conversation_id}/messages"
        (await self.http.post(path, json={"messages": said})).raise_for_status()

    async def direct(self) -> dict[str, float]:
        """The calls that a rollover may consist of, one after the other, in a conversation of its own."""
        took = {}
        begun = time.perf_counter()
        remote = await self.sdk.conversations.create(metadata={"service": "convo_service", "attempt": "direct"})
        took[CREATE] = _since(begun)
        items: Any = [{"type": "message", "role": role, "content": "x" * 800} for role in ("developer", "user")]
        begun = time.perf_counter()
        await self.sdk.conversations.items.create(remote.id, items=items)
        took[ITEMS] = _since(begun)
        begun = time.perf_counter()
        await self.sdk.responses.create(model=MODEL, conversation=remote.id, input=TEXTS[0], truncation="disabled")
        took[RESPONSES] = _since(begun)
        return took


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


async def measure(ways: Ways, database: str, route: str, rounds: int) -> Row:
    """In each round a warm request, the calls by themselves, and a rollover, of one user whose talk goes on."""
    identity = f"+39333{len(route):07}"
    at = datetime.now(UTC) - PAUSE * (rounds + 2)
    warm, rollover, direct = Side(), Side(), []
    got = await ways.request(route, identity, at)
    for _ in range(rounds):
        await ways.talk(got["conversation"]["id"], at)
        await _timed(ways, warm, lambda: ways.request(route, identity, at))  # noqa: B023 - called at once
        direct.append(await ways.direct())
        at += PAUSE
        got = await _timed(ways, rollover, lambda: ways.request(route, identity, at))  # noqa: B023
        if not got["created"]:
            raise processes.Broken("a pause opened no conversation")
    medians = {name: statistics.median(one[name] for one in direct) for name in (CREATE, ITEMS, RESPONSES)}
    return Row(
        database,
        route,
        rounds,
        os.getloadavg()[0],
        statistics.median(warm.took_ms),
        statistics.median(rollover.took_ms),
        sorted(rollover.took_ms)[math.ceil(0.99 * rounds) - 1],
        warm.own_ms(medians),
        rollover.own_ms(medians),
        warm.per_request(),
        rollover.per_request(),
    )


async def _timed(ways: Ways, side: Side, request: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    before, begun = await ways.calls(), time.perf_counter()
    answer = await request()
    side.took_ms.append(_since(begun))
    side.calls += await ways.calls() - before
    return answer


async def _rows(database: str, service: str, emulator: str, rounds: int, reserve: int) -> list[Row]:
    ways = Ways(service, emulator)
    try:
        async with asyncio.timeout(60):
            while (await ways.calls())[CREATE] < reserve:  # noqa: ASYNC110 - the worker does not call back
                await asyncio.sleep(0.2)
        return [await measure(ways, database, route, rounds) for route in ("/turns", "/conversations")]
    finally:
        await ways.close()


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """The rows of each database, with fresh processes; the worker fills the reserve once, before anything is timed."""
    reserve = 0 if given.without_reserve else 2 * given.rounds + 10
    knobs = {
        "OPENAI_MODEL": MODEL,
        "LOG_LEVEL": "warning",
        "WORKER_ENABLED": "true",
        "SWEEP_INTERVAL_SECONDS": "86400",
        "CONVERSATION_RESERVE": str(reserve),
    }
    with tempfile.TemporaryDirectory() as base, processes.postgres_databases(["rollover"]) as fresh:
        for database in given.databases:
            folder = Path(base, database)
            folder.mkdir()
            url = fresh["rollover"] if database == "postgres" else f"sqlite+aiosqlite:///{folder}/convo.db"
            with (
                processes.emulator(folder, reply_seconds=given.model_ms / 1000) as emulator,
                processes.service(folder, url, emulator, knobs) as service,
            ):
                yield from asyncio.run(_rows(database, service, emulator, given.rounds, reserve))


def table(found: Sequence[Row]) -> str:
    """A line for each row."""
    cells = [["database", "route", "samples", "warm p50", "rollover p50", "p99", "own", "own", "ratio", "load", "bar"]]
    for row in found:
        times = (row.warm_ms, row.rollover_ms, row.rollover_p99_ms, row.own_warm_ms, row.own_rollover_ms)
        cells.append([row.database, row.route, str(row.samples), *(f"{one:.1f}" for one in times)])
        cells[-1] += [f"{row.ratio:.2f}", f"{row.load:.1f}", "ok" if row.holds else "NO"]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines += [f"{row.database} {row.route}: warm {row.warm_calls}, rollover {row.rollover_calls}" for row in found]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--rounds", type=int, default=100, help="rollovers of each route (100, at most 490)")
    parser.add_argument("--model-ms", type=float, default=50.0, help="what a reply of the emulator takes (50)")
    parser.add_argument("--without-reserve", action="store_true", help="what it costs without one")
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["sqlite", "postgres"])
    return parser.parse_args()


def main() -> int:
    """Measure, print, and return 0 only when all is within the bars."""
    given = _arguments()
    try:
        found = list(rows(given))
    except (processes.Broken, httpx.HTTPError, openai.OpenAIError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    whole = [{**asdict(row), "ratio": row.ratio, "holds": row.holds} for row in found]
    print(json.dumps(whole, indent=2) if given.json else table(found))
    return 0 if all(row.holds for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
