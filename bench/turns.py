"""What POST /turns adds to the model's own time: the same call through the service, and straight to the emulator."""

import argparse
import asyncio
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import processes

MODEL = "gpt-5-mini"
INSTRUCTIONS = "Sei l'assistente di un grossista italiano. Rispondi con cortesia, in breve. " * 10
BAR_P50_MS, BAR_P99_MS, BAR_FIRST_MS = 15.0, 60.0, 10.0
TURNS_OF_A_CONVERSATION = 20  # then the next customer: no window of these is ever over
BLOCK = 5  # turns of each user, one way and then the other


@dataclass(slots=True)
class Lane:
    """One user after the other, each with a conversation in the service and one of ours."""

    number: int
    asked: int = 0
    conversation: str = ""

    @property
    def identity(self) -> str:
        """Who writes now."""
        return f"+39333{self.number:03}{self.asked // TURNS_OF_A_CONVERSATION:04}"


@dataclass(slots=True)
class Row:
    """Times in milliseconds: of a turn, of the same call made directly, and what lies between their quantiles."""

    run: str
    users: int
    samples: int
    load: float
    turn_ms: tuple[float, float]
    direct_ms: tuple[float, float]
    rounds: list[float] = field(default_factory=list)  # the difference of the medians, block by block

    @property
    def over_ms(self) -> tuple[float, float]:
        """What the service adds, at the median and at the 99th percentile."""
        return self.turn_ms[0] - self.direct_ms[0], self.turn_ms[1] - self.direct_ms[1]

    @property
    def ratio(self) -> float:
        """A turn's median in units of the direct call's."""
        return self.turn_ms[0] / self.direct_ms[0]

    @property
    def holds(self) -> bool:
        """Whether it is within the bars."""
        if self.run.endswith("first delta"):
            return self.over_ms[0] <= BAR_FIRST_MS
        return self.over_ms[0] < BAR_P50_MS and self.over_ms[1] < BAR_P99_MS


class Ways:
    """The two ways to a reply, whole or until the first piece; each returns milliseconds."""

    def __init__(self, service: str, emulator: str) -> None:
        self.http = httpx.AsyncClient(
            base_url=service, headers={"Authorization": f"Bearer {processes.KEY}"}, timeout=60
        )
        self.sdk = openai.AsyncOpenAI(api_key="sk-emulator", base_url=f"{emulator}/v1", max_retries=0)

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()
        await self.sdk.close()

    async def prepare(self, lane: Lane) -> None:
        """Let a new customer write once, both ways: what is timed is talk that goes on."""
        lane.conversation = (await self.sdk.conversations.create()).id
        await self.turn(lane, "Buongiorno")
        await self.direct(lane, "Buongiorno")

    def _body(self, lane: Lane, text: str) -> dict[str, Any]:
        return {
            "identity": lane.identity,
            "message": {"id": f"wamid.{time.monotonic_ns()}.{lane.number}", "text": text},
            "instructions": INSTRUCTIONS,
        }

    def _arguments(self, lane: Lane, text: str) -> dict[str, Any]:
        """As the service asks."""
        return {
            "model": MODEL,
            "conversation": lane.conversation,
            "input": [{"role": "user", "content": text}],
            "truncation": "disabled",
            "metadata": {"service": "convo_service", "turn": "turn_" + "0" * 26},
            "safety_identifier": "0" * 64,
            "instructions": INSTRUCTIONS,
        }

    async def turn(self, lane: Lane, text: str) -> float:
        """POST /turns."""
        begun = time.perf_counter()
        answer = await self.http.post("/turns", json=self._body(lane, text))
        took = _since(begun)
        if not answer.is_success:
            raise processes.Broken(f"POST /turns answered {answer.status_code}: {answer.text}")
        return took

    async def direct(self, lane: Lane, text: str) -> float:
        """responses.create."""
        begun = time.perf_counter()
        await self.sdk.responses.create(**self._arguments(lane, text))
        return _since(begun)

    async def turn_stream(self, lane: Lane, text: str) -> float:
        """POST /turns/stream, until the first piece of the reply; it is read to its end."""
        begun, first = time.perf_counter(), 0.0
        async with self.http.stream("POST", "/turns/stream", json=self._body(lane, text)) as answer:
            async for line in answer.aiter_lines():
                if not first and line == "event: reply.delta":
                    first = _since(begun)
        if not first:
            raise processes.Broken("a stream had no reply in it")
        return first

    async def direct_stream(self, lane: Lane, text: str) -> float:
        """responses.create as a stream, until the first piece."""
        begun, first = time.perf_counter(), 0.0
        async with await self.sdk.responses.create(**self._arguments(lane, text), stream=True) as events:
            async for event in events:
                if not first and event.type == "response.output_text.delta":
                    first = _since(begun)
        return first


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


async def measure(ways: Ways, run: str, users: int, rounds: int, thinking: float, *, stream: bool) -> Row:
    """Blocks of turns of all users at once, one way and then the other, as often as there are rounds."""
    pair = (ways.turn_stream, ways.direct_stream) if stream else (ways.turn, ways.direct)
    lanes = [Lane(number + (500 if stream else 0)) for number in range(users)]
    took: tuple[list[float], list[float]] = ([], [])
    differences = []
    for number in range(rounds):
        if number * BLOCK % TURNS_OF_A_CONVERSATION == 0:
            await asyncio.gather(*map(ways.prepare, lanes))
        medians = [0.0, 0.0]
        for way in (0, 1) if number % 2 else (1, 0):
            block = await asyncio.gather(*(_block(pair[way], lane, number, thinking) for lane in lanes))
            times = [one for part in block for one in part]
            took[way].extend(times)
            medians[way] = quantile(times, 0.5)
        differences.append(round(medians[0] - medians[1], 1))
        for lane in lanes:
            lane.asked += BLOCK
    name = f"{run}{' first delta' if stream else ''}"
    turn, direct = ((quantile(times, 0.5), quantile(times, 0.99)) for times in took)
    return Row(name, users, len(took[0]), os.getloadavg()[0], turn, direct, differences)


async def _block(way: Callable[[Lane, str], Awaitable[float]], lane: Lane, number: int, thinking: float) -> list[float]:
    """Some turns of one user, who thinks before each: without that all of them would write in the same moment."""
    took = []
    for place in range(BLOCK):
        await asyncio.sleep(random.uniform(0, thinking))  # noqa: S311 - no secret
        took.append(await way(lane, f"Messaggio {number}.{place}: quanto costa la farina?"))
    return took


def quantile(values: Sequence[float], share: float) -> float:
    """By nearest rank."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


async def _rows(name: str, service: str, emulator: str, given: argparse.Namespace) -> list[Row]:
    ways = Ways(service, emulator)
    found = []
    try:
        for users in dict.fromkeys((1, given.users)):
            for stream in (False, True):
                rounds = given.rounds if users > 1 else given.rounds * 2
                found.append(await measure(ways, name, users, rounds, given.think_ms / 1000, stream=stream))
                print(f"{found[-1].run}, {users} users: {found[-1].over_ms}", file=sys.stderr)
    finally:
        await ways.close()
    return found


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """The rows of each database, with fresh processes."""
    knobs = {"OPENAI_MODEL": MODEL, "LOG_LEVEL": "warning"}
    with tempfile.TemporaryDirectory() as base, processes.postgres_databases(["turns"]) as fresh:
        for database in given.databases:
            folder = Path(base, database)
            folder.mkdir()
            url = fresh["turns"] if database == "postgres" else f"sqlite+aiosqlite:///{folder}/convo.db"
            with (
                processes.emulator(folder, reply_seconds=given.model_ms / 1000) as emulator,
                processes.service(folder, url, emulator, knobs) as service,
            ):
                yield from asyncio.run(_rows(database, service, emulator, given))


def table(found: Sequence[Row]) -> str:
    """A line for each row."""
    head = [
        "run",
        "users",
        "samples",
        "turn p50",
        "p99",
        "direct p50",
        "p99",
        "over p50",
        "p99",
        "ratio",
        "load",
        "bar",
    ]
    cells = [head]
    for row in found:
        times = (*row.turn_ms, *row.direct_ms, *row.over_ms)
        cells.append([row.run, str(row.users), str(row.samples), *(f"{one:.1f}" for one in times)])
        cells[-1] += [f"{row.ratio:.3f}", f"{row.load:.1f}", "ok" if row.holds else "NO"]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--users", type=int, default=8, help="at once (8); one alone is measured, too")
    parser.add_argument("--rounds", type=int, default=12, help="blocks of five turns of each user, each way (12)")
    parser.add_argument("--model-ms", type=float, default=300.0, help="what a reply of the emulator takes (300)")
    parser.add_argument("--think-ms", type=float, default=300.0, help="up to, before each turn (300); 0: all in step")
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["sqlite", "postgres"])
    return parser.parse_args()


def main() -> int:
    """Measure, print, and return 0 only when all is within the bars."""
    given = _arguments()
    try:
        found = list(rows(given))
    except (processes.Broken, httpx.HTTPError, openai.OpenAIError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    whole = [{**asdict(row), "over_ms": row.over_ms, "ratio": row.ratio, "holds": row.holds} for row in found]
    print(json.dumps(whole, indent=2) if given.json else table(found))
    return 0 if all(row.holds for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
