"""How long replies take in one endless conversation and in windows: on an emulator that takes its time, or really."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import openai
import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import create_async_engine

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import processes, reading
from bench.exchanges import Exchange, chained, exchanges
from bench.savings import LENGTHS, instructions
from bench.stage import StillClock
from bench.turns import quantile
from tests.serving import served

from convo_service.app import create_app
from convo_service.db import migrations
from convo_service.db.models import ModelCall
from convo_service.domain.text import tokens
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator, Pace
from convo_service.services.keys import Scope
from convo_service.settings import Settings
from convo_service.telemetry import configure_logging

FILE = Path(__file__).parent / "dialoghi.jsonl"
MODEL = "gpt-5-mini"
PAUSE = timedelta(hours=1)  # a reply after one finds nothing in the prompt cache
Times = tuple[float, float]  # of the first piece, and of the whole reply, in milliseconds
Key = tuple[str, str, str]  # history, kind, way


@dataclass(frozen=True, slots=True)
class World:
    """One customer, known to the service and to a gateway without windows, on one clock."""

    http: httpx.AsyncClient
    sdk: openai.AsyncOpenAI
    emulators: tuple[Emulator, Emulator]
    clock: StillClock
    settings: Settings
    conversation: str

    async def windows(self, one: Exchange) -> Times:
        """POST /turns/stream."""
        self.emulators[0].reply_next(one.reply)
        message = {"id": one.id, "text": one.text, "sent_at": one.sent_at.isoformat()}
        body = {"identity": one.identity, "message": message}
        begun, first = time.perf_counter(), 0.0
        async with self.http.stream("POST", "/turns/stream", json=body) as answer:
            if not answer.is_success:
                raise processes.Broken(f"a turn was answered {answer.status_code}")
            async for line in answer.aiter_lines():
                first = first or (_since(begun) if line == "event: reply.delta" else 0.0)
        return first, _since(begun)

    async def endless(self, one: Exchange) -> Times:
        """responses.create in the one conversation there is."""
        self.emulators[1].reply_next(one.reply)
        told = self.settings.instructions or openai.omit
        begun, first = time.perf_counter(), 0.0
        async with await self.sdk.responses.create(
            model=MODEL, conversation=self.conversation, instructions=told, input=one.text, stream=True
        ) as events:
            async for event in events:
                first = first or (_since(begun) if event.type == "response.output_text.delta" else 0.0)
        return first, _since(begun)


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


async def measure(given: argparse.Namespace, url: str) -> dict[Key, list[Times]]:
    """Play the talk both ways, one after the other, and time each reply."""
    talk = _talk(given.turns)
    found: dict[Key, list[Times]] = defaultdict(list)
    async with _world(given, url, talk) as world:
        last = talk[0].sent_at
        for number, one in enumerate(talk):
            world.clock.now = one.sent_at
            kind = "after a pause" if one.sent_at - last > PAUSE else "in the talk"
            ways: list[tuple[str, Callable[[Exchange], Awaitable[Times]]]] = [
                ("windows", world.windows),
                ("endless", world.endless),
            ]
            for name, way in ways if number % 2 else ways[::-1]:
                found[_length(number * 2 + 1), kind, name].append(await way(one))
            last = one.sent_at
    return found


def _talk(turns: int) -> list[Exchange]:
    """All dialogues of the file as one customer's, again and again, with three days between two of them."""
    with FILE.open(encoding="utf-8") as file:
        lines = reading.parse(file)
    once = exchanges(chained(lines, len({line.identity for line in lines})))
    length = once[-1].sent_at - once[0].sent_at + timedelta(days=3)
    found: list[Exchange] = []
    for lap in range(turns // len(once) + 1):
        found += [replace(one, id=f"{one.id}.{lap}", sent_at=one.sent_at + length * lap) for one in once]
    return found[:turns]


def _length(messages: int) -> str:
    low, high = next((low, high) for low, high in LENGTHS if high is None or messages <= high)
    return f"{low}-{high}" if high else f"{low}+"


@asynccontextmanager
async def _world(given: argparse.Namespace, url: str, talk: Sequence[Exchange]) -> AsyncIterator[World]:
    clock = StillClock(talk[0].sent_at)
    told = instructions(given.instructions_tokens, tokens)
    settings = Settings(
        _env_file=None,
        database_url=url,
        key_pepper="pepper",
        openai_model=MODEL,
        instructions=told,
        user_turns_per_minute=10**9,
    )
    pace = Pace(given.model_ms / 1000, given.prefill_us / 1e6, given.output_us / 1e6)
    async with AsyncExitStack() as stack:
        emulators = Emulator(pace=pace, clock=clock.seconds), Emulator(pace=pace, clock=clock.seconds)
        urls = []
        for emulator in emulators:
            stack.enter_context(closing(emulator))
            urls.append(f"{await stack.enter_async_context(served(emulator))}/v1")
        app = create_app(settings, llm=LLMClient(api_key="sk-emulator", base_url=urls[0]), clock=clock)
        service = await stack.enter_async_context(served(app, lifespan=True))
        _, key = await app.state.services.keys.create("bench", Scope.ADMIN, now=clock())
        headers = {"Authorization": f"Bearer {key}"}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=service, headers=headers, timeout=60))
        sdk = await stack.enter_async_context(openai.AsyncOpenAI(api_key="sk-emulator", base_url=urls[1]))
        yield World(http, sdk, emulators, clock, settings, (await sdk.conversations.create()).id)


async def ledger(url: str) -> dict[Key, list[Times]]:
    """The latencies of a real installation, those of the holdout as the endless ones; first pieces where streamed."""
    found: dict[Key, list[Times]] = defaultdict(list)
    engine = create_async_engine(Settings(_env_file=None, database_url=url).database_url)
    query = sa.select(
        ModelCall.cohort, ModelCall.history_messages, ModelCall.latency_ms, ModelCall.first_token_ms
    ).where(ModelCall.kind == "reply", ModelCall.latency_ms.is_not(None))
    async with engine.connect() as connection:
        for cohort, history, latency, first in (await connection.execute(query)).all():
            kind = "whole" if first is None else "streamed"
            way = "endless" if cohort == "holdout" else "windows"
            found[_length(history), kind, way].append((float(first or 0), float(latency or 0)))
    await engine.dispose()
    return found


def rows(found: dict[Key, list[Times]]) -> list[dict[str, object]]:
    """The medians and 95th percentiles of each range of history, both ways beside each other."""
    places = sorted({key[:2] for key in found}, key=lambda place: (int(place[0].split("-")[0].rstrip("+")), place[1]))
    return [_row(history, kind, found) for history, kind in places]


def _row(history: str, kind: str, found: dict[Key, list[Times]]) -> dict[str, object]:
    row: dict[str, object] = {"history": history, "kind": kind}
    for way in ("windows", "endless"):
        times = found.get((history, kind, way), [])
        row[f"{way} replies"] = len(times)
        for place, name in enumerate(("first", "whole")):
            for share in (0.5, 0.95):
                told = (
                    times if name == "whole" or kind != "whole" else []
                )  # one that was not streamed has no first piece
                value = round(quantile([one[place] for one in told], share)) if told else None
                row[f"{way} {name} p{share:.0%}".rstrip("%")] = value
    return row


def table(found: Sequence[dict[str, object]]) -> str:
    """The rows as a table, in milliseconds."""
    if not found:
        return "no replies"
    cells: list[Iterable[object]] = [found[0].keys(), *(row.values() for row in found)]
    texts = [["-" if cell is None else str(cell) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in texts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--prefill-us", type=float, default=50.0, help="of each input token that is in no cache (50)")
    parser.add_argument("--output-us", type=float, default=5000.0, help="of each output token (5,000)")
    parser.add_argument("--model-ms", type=float, default=200.0, help="of any reply (200)")
    parser.add_argument("--turns", type=int, default=200, help="of one customer (200: 400 messages)")
    parser.add_argument("--instructions-tokens", type=int, default=800, help="sent with each reply (800)")
    parser.add_argument("--database", metavar="URL", help="read the ledger of an installation in place of playing")
    return parser.parse_args()


def main() -> int:
    """Play or read, and print."""
    given = _arguments()
    configure_logging(level="error")
    if given.database:
        found = rows(asyncio.run(ledger(given.database)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite+aiosqlite:///{folder}/convo.db"
            command.upgrade(migrations.config(url), "head")
            found = rows(asyncio.run(measure(given, url)))
    print(json.dumps(found, indent=2) if given.json else table(found))
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
