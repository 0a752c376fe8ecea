"""Replay a file of messages with the sweep running between them: no request may wait for a model, no seed may lie."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from alembic import command

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import processes, reading, remembering
from bench.lying import LyingModel
from bench.playing import Player, read_history
from bench.reading import Line
from bench.remembering import Dialogue
from bench.stage import WAKES, StillClock, Worker

from convo_service.app import create_app
from convo_service.db import migrations
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from convo_service.telemetry import configure_logging

ASKED = "responses.create"


@dataclass(slots=True)
class Row:
    """What one replay showed."""

    run: str
    conversations: int = 0
    passes: int = 0
    swept: Counter[str] = field(default_factory=Counter)
    asked_by_the_sweep: int = 0
    asked_by_requests: int = 0
    seeds: int = 0
    seeds_with_a_model: int = 0
    largest_seed_tokens: int = 0
    invented: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    shown_seed: str = ""

    @property
    def is_right(self) -> bool:
        """Whether all that this replay can judge is as it must be."""
        return not (self.asked_by_requests or self.invented or self.broken or self.differences)


@dataclass(frozen=True, slots=True)
class World:
    """The service in this process, an OpenAI whose model lies, and a worker that wakes every few minutes."""

    http: httpx.AsyncClient
    worker: Worker
    emulator: Emulator
    clock: StillClock
    row: Row

    async def play(self, lines: Sequence[Line]) -> Player:
        """Every line at its time, and the worker whenever something is due between two of them."""
        player = Player(self.http)
        for line in lines:
            await self.work_until(line.sent_at)
            self.clock.now = line.sent_at
            before = self.emulator.calls[ASKED]
            await player.play([line], concurrency=1)
            self.row.asked_by_requests += self.emulator.calls[ASKED] - before
        return player

    async def work_until(self, then: datetime) -> None:
        """Let the worker do what is due before a time."""
        before = self.emulator.calls[ASKED]
        await self.worker.work_until(then)
        self.row.asked_by_the_sweep += self.emulator.calls[ASKED] - before


async def replay(name: str, url: str, lines: Sequence[Line], knobs: dict[str, Any], shown: int) -> Row:
    """Play the lines on one database and judge what came of it."""
    row = Row(name)
    async with _world(row, url, lines[0].sent_at, knobs) as world:
        player = await world.play(lines)
        await world.work_until(world.clock.now + timedelta(days=3))
        history = await read_history(world.http, player.users)
        row.passes, row.swept = world.worker.passes, world.worker.swept
        settings = world.worker.sweep.settings
        cap, window = settings.max_conversation_messages, settings.window
        expected = reading.read(lines, cap, window)
        _closed_by_the_sweep(expected, world.clock.now - window)
        row.differences = [
            *reading.differences(expected, history.conversations),
            *reading.miscounted(lines, history.stored),
        ]
        row.conversations = sum(map(len, history.conversations.values()))
        by_identity = {user: identity for identity, user in player.users.items()}
        for one in await _all(world.http, "/conversations"):
            if one["seed"] is not None:
                _judge(row, one, _dialogue(lines, by_identity[one["user_id"]]))
        row.shown_seed = await _seed_of(
            world, player, {who: len(chain) for who, chain in history.conversations.items()}, shown
        )
    return row


def _closed_by_the_sweep(expected: reading.Readings, before: datetime) -> None:
    """The reading knows no sweep: there the last conversation of everybody stays open until somebody writes."""
    for chain in expected.values():
        last = chain[-1]
        if max(one.sent_at for one in last.messages if one.direction == "inbound") + WAKES <= before:
            last.is_active, last.closed_reason = False, "idle_timeout"


@asynccontextmanager
async def _world(row: Row, url: str, start: datetime, knobs: dict[str, Any]) -> AsyncIterator[World]:
    settings = Settings(_env_file=None, database_url=url, key_pepper="pepper", openai_model="emulator", **knobs)
    clock = StillClock(start)
    with closing(Emulator(model=LyingModel())) as emulator:
        llm = LLMClient.against(emulator)
        app = create_app(settings, llm=llm, clock=clock)
        async with app.router.lifespan_context(app):
            services = app.state.services
            _, key = await services.keys.create("bench", Scope.ADMIN, now=clock())
            transport = httpx.ASGITransport(app=app)
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://convo", headers=headers) as http:
                worker = Worker(Sweep(services.database, llm, settings, clock), clock)
                yield World(http, worker, emulator, clock, row)


async def _all(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"has_more": True}
    while page["has_more"]:
        after = {"after": page["last_id"]} if page.get("last_id") else {}
        page = (await http.get(path, params={"limit": 100, **after})).raise_for_status().json()
        found += page["data"]
    return found


def _dialogue(lines: Sequence[Line], identity: str) -> Dialogue:
    said = [one for one in lines if one.identity == identity]
    return Dialogue(identity, [remembering.Message(one.direction == "inbound", one.text, one.sent_at) for one in said])


def _judge(row: Row, conversation: dict[str, Any], dialogue: Dialogue) -> None:
    """Hold a seed against all that this user and the bot ever said."""
    seed = conversation["seed"]
    days = {message.sent_at.date().isoformat() for message in dialogue.messages}
    record = remembering.read_record(seed["text"], days)
    row.seeds += 1
    row.seeds_with_a_model += seed["generator"] == "llm"
    row.largest_seed_tokens = max(row.largest_seed_tokens, seed["tokens"])
    row.invented += remembering.invented(dialogue, record)
    row.broken += record.broken


async def _seed_of(world: World, player: Player, counts: dict[str, int], wanted: int) -> str:
    """The next seed of the user whose number of conversations comes nearest to what is wanted."""
    identity = min(counts, key=lambda one: (abs(counts[one] - wanted), one))
    seed = (await world.http.get(f"/users/{player.users[identity]}/seed")).raise_for_status().json()
    sources = Counter(entry["source"] for entry in seed["entries"])
    head = f"{counts[identity]} conversations, {seed['tokens']} tokens, by {seed['generator']}, entries {dict(sources)}"
    return f"{head}\n{seed['text']}"


def rows(lines: Sequence[Line], knobs: dict[str, Any], caps: Sequence[int], shown: int) -> Iterator[Row]:
    """A row for each database and cap."""
    names = [f"cap{cap}" for cap in caps]
    with tempfile.TemporaryDirectory() as base, processes.postgres_databases(names) as fresh:
        for database in ("sqlite", "postgres"):
            for cap in caps:
                url = f"sqlite+aiosqlite:///{base}/cap{cap}.db" if database == "sqlite" else fresh[f"cap{cap}"]
                command.upgrade(migrations.config(url), "head")
                more = {**knobs, "max_conversation_messages": cap}
                yield asyncio.run(replay(f"{database}/{cap}", url, lines, more, shown))


def table(found: Sequence[Row]) -> str:
    """A line for each row, and under them what is wrong."""
    head = ["run", "conversations", "passes", "closed", "summaries kept", "rejected", "asked by sweep", "by requests"]
    head += ["seeds", "with a model", "most tokens", "invented", "broken", "equal"]
    cells = [head, *map(_cells, found)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    text += [f"{row.run}: {one}" for row in found for one in (*row.invented, *row.broken, *row.differences)[:10]]
    return "\n".join([*text, "", found[-1].shown_seed])


def _cells(row: Row) -> list[str]:
    numbers = [row.conversations, row.passes, row.swept["closed"], row.swept["kept"], row.swept["rejected"]]
    numbers += [row.asked_by_the_sweep, row.asked_by_requests, row.seeds, row.seeds_with_a_model]
    numbers += [row.largest_seed_tokens, len(row.invented), len(row.broken)]
    return [row.run, *(f"{number:,}" for number in numbers), "no" if row.differences else "yes"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="one message a line as JSON, in time order")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--users", type=int, help="only the first so many users")
    parser.add_argument("--min-tokens", type=int, default=2000, help="SUMMARY_MIN_TOKENS (2000)")
    parser.add_argument("--caps", type=lambda text: tuple(map(int, text.split(","))), default=(50, 10), help="50,10")
    parser.add_argument("--language", choices=("it", "en"), default="it", help="SUMMARY_LANGUAGE")
    parser.add_argument("--show", type=int, default=12, help="print the seed of a user with so many conversations")
    return parser.parse_args()


def main() -> int:
    """Replay, print, and return 0 only when everything is as it must be."""
    given = _arguments()
    configure_logging(level="error")
    knobs = {"summary_min_tokens": given.min_tokens, "summary_language": given.language}
    try:
        with given.file.open(encoding="utf-8") as file:
            lines = reading.parse(file, given.users)
        found = list(rows(lines, knobs, given.caps, given.show))
    except (processes.Broken, reading.Unreadable, OSError, httpx.HTTPError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps([asdict(row) for row in found], indent=2, ensure_ascii=False) if given.json else table(found))
    return 0 if all(row.is_right for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
