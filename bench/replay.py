"""Replay a file of messages through the service's HTTP API, time it, and compare the windows with a second reading."""

import argparse
import asyncio
import json
import math
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import processes, reading
from bench.playing import History, Player, read_history
from bench.processes import Broken
from bench.reading import Line

REASONS = ("first_contact", "idle_timeout", "message_cap", "user_reset")
CAPS = (50, 10)
DEFAULT_TIMEOUT_HOURS = 48.0
SHOWN_DIFFERENCES = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A service that is running, and the rules that it was started with; `alone` when nobody else talks to it."""

    name: str
    url: str
    key: str
    cap: int
    timeout: timedelta
    emulator_url: str | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What one replay showed; times in milliseconds, as (p50, p99)."""

    run: str
    users: int
    conversations: int
    reasons: dict[str, int]
    stored: int
    stored_once: bool
    openai_calls: dict[str, int] | None
    seconds: float
    latency_ms: dict[str, tuple[float, float] | None]
    waits: int
    differences: list[str] = field(default_factory=list)

    @property
    def model_calls(self) -> int | None:
        """Calls of a model while a user waited; None when nobody counted."""
        return None if self.openai_calls is None else self.openai_calls.get("responses.create", 0)

    @property
    def is_right(self) -> bool:
        """Whether all that a replay can judge is as it must be."""
        return not self.differences and self.stored_once and not self.model_calls


async def replay(target: Target, lines: Sequence[Line], concurrency: int) -> Row:
    """Play the lines, read everything back, and say what it was like."""
    client = httpx.AsyncClient(base_url=target.url, headers={"Authorization": f"Bearer {target.key}"}, timeout=60)
    async with client as http:
        calls_before = await _calls(target.emulator_url)
        player = Player(http)
        begun = time.perf_counter()
        await player.play(lines, concurrency)
        seconds = time.perf_counter() - begun
        calls = None if calls_before is None else (await _calls(target.emulator_url) or Counter()) - calls_before
        history = await read_history(http, player.users)
    return _judged(target, lines, player, history, seconds, calls)


async def _calls(url: str | None) -> Counter[str] | None:
    if url is None:
        return None
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{url}/_emulator/calls")
        return Counter(answer.raise_for_status().json())


def _judged(
    target: Target, lines: Sequence[Line], player: Player, history: History, seconds: float, calls: Counter[str] | None
) -> Row:
    expected = reading.read(lines, target.cap, target.timeout)
    miscounted = list(reading.miscounted(lines, history.stored))
    differences = [*reading.differences(expected, history.conversations), *miscounted]
    if target.alone and history.strangers:
        differences.append(f"{history.strangers} users who are not in the file")
    every = [one for chain in history.conversations.values() for one in chain]
    return Row(
        run=target.name,
        users=len(player.users),
        conversations=len(every),
        reasons=dict(Counter(one.created_reason for one in every)),
        stored=sum(map(len, history.stored.values())),
        stored_once=not miscounted,
        openai_calls=None if calls is None else dict(calls),
        seconds=round(seconds, 1),
        latency_ms={"all": _p50_p99([seconds for took in player.took.values() for seconds in took])}
        | {kind: _p50_p99(took) for kind, took in player.took.items()},
        waits=player.waits,
        differences=differences,
    )


def _p50_p99(seconds: list[float]) -> tuple[float, float] | None:
    """By nearest rank: both are times that a request really took."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    p50, p99 = (ordered[math.ceil(share * len(ordered)) - 1] * 1000 for share in (0.5, 0.99))
    return round(p50, 1), round(p99, 1)


def own_runs(lines: Sequence[Line], caps: Sequence[int], hours: float, concurrency: int) -> Iterator[Row]:
    """A row for each database and cap, each with fresh processes and a fresh database."""
    with tempfile.TemporaryDirectory() as base, processes.postgres_databases([f"cap{cap}" for cap in caps]) as fresh:
        for database in ("sqlite", "postgres"):
            for cap in caps:
                folder = Path(base, f"{database}-{cap}")
                folder.mkdir()
                print(f"{database}/{cap} ...", file=sys.stderr)
                url = fresh[f"cap{cap}"] if database == "postgres" else f"sqlite+aiosqlite:///{folder}/convo.db"
                yield _own_run(f"{database}/{cap}", folder, url, lines, cap, hours, concurrency)


def _own_run(
    name: str, folder: Path, database_url: str, lines: Sequence[Line], cap: int, hours: float, concurrency: int
) -> Row:
    knobs = {"MAX_CONVERSATION_MESSAGES": str(cap), "CONVERSATION_TIMEOUT_HOURS": str(hours)}
    with (
        processes.emulator(folder) as emulator_url,
        processes.service(folder, database_url, emulator_url, knobs) as url,
    ):
        target = Target(name, url, processes.KEY, cap, timedelta(hours=hours), emulator_url, alone=True)
        try:
            return asyncio.run(replay(target, lines, concurrency))
        except (Broken, httpx.HTTPError) as error:
            raise Broken(f"{name}: {type(error).__name__} {error}\n{processes.tail(folder / 'service.log')}") from error


def table(rows: Sequence[Row]) -> str:
    """The rows as a table, and under it the first differences."""
    reasons = [reason for reason in REASONS if any(row.reasons.get(reason) for row in rows)]
    head = ["run", "conversations", *reasons, "stored", "once", "model calls", "create/rollover", "items/rollover"]
    head += ["all ms", "stayed ms", "opened ms", "seconds", "equal"]
    cells = [head, *(_cells(row, reasons) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    text.append("ms: p50/p99 of a request; stayed, opened: inbound messages only")
    for row in rows:
        text += [f"{row.run}: {one}" for one in row.differences[:SHOWN_DIFFERENCES]]
        text += [f"{row.run}: waited {row.waits} times for the rate limit"] if row.waits else []
    return "\n".join(text)


def _per_rollover(row: Row) -> list[str]:
    """Calls for each rollover; a first contact makes one conversation and brings no seed, so that one call is its."""
    firsts = row.reasons.get("first_contact", 0)
    rollovers = row.conversations - firsts
    if row.openai_calls is None or rollovers == 0:
        return ["n/a", "n/a"]
    created = row.openai_calls.get("conversations.create", 0) - firsts
    return [f"{calls / rollovers:.2f}" for calls in (created, row.openai_calls.get("items.create", 0))]


def _cells(row: Row, reasons: Sequence[str]) -> list[str]:
    spans = [row.latency_ms[kind] for kind in ("all", "stayed", "opened")]
    return [
        row.run,
        str(row.conversations),
        *(str(row.reasons.get(reason, 0)) for reason in reasons),
        str(row.stored),
        "yes" if row.stored_once else "no",
        "n/a" if row.model_calls is None else str(row.model_calls),
        *_per_rollover(row),
        *("-" if span is None else f"{span[0]:.1f}/{span[1]:.1f}" for span in spans),
        f"{row.seconds:.1f}",
        "no" if row.differences else "yes",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="one JSON object a line, in time order")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--users", type=_positive, help="only the first so many users")
    parser.add_argument("--concurrency", type=_positive, default=1, help="users in parallel, each in order")
    parser.add_argument("--cap", type=_positive, help="MAX_CONVERSATION_MESSAGES (own runs: 50, then 10)")
    parser.add_argument("--timeout-hours", type=float, default=DEFAULT_TIMEOUT_HOURS, help="the window (48)")
    parser.add_argument("--url", help="a service that is running; without it, the bench runs its own")
    parser.add_argument("--key", help="an admin key of that service")
    parser.add_argument("--emulator-url", help="the emulator behind that service, to count its calls")
    given = parser.parse_args()
    if bool(given.url) != bool(given.key) or (given.emulator_url and not given.url):
        parser.error("--url and --key go together, and --emulator-url goes with them")
    return given


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _rows(given: argparse.Namespace, lines: Sequence[Line]) -> Iterator[Row]:
    if given.url is None:
        caps = CAPS if given.cap is None else (given.cap,)
        yield from own_runs(lines, caps, given.timeout_hours, given.concurrency)
        return
    cap = given.cap or CAPS[0]
    timeout = timedelta(hours=given.timeout_hours)
    target = Target(f"given/{cap}", given.url, given.key, cap, timeout, given.emulator_url)
    yield asyncio.run(replay(target, lines, given.concurrency))


def _asked_to_stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that a bench that is told to end stops its processes too


def _printed(rows: Sequence[Row], *, as_json: bool) -> str:
    if not as_json:
        return table(rows)
    whole = [{**asdict(row), "model_calls": row.model_calls, "equal": not row.differences} for row in rows]
    return json.dumps(whole, indent=2)


def main() -> int:
    """Run, print, and return 0 only when everything is as it must be."""
    given = _arguments()
    signal.signal(signal.SIGTERM, _asked_to_stop)
    try:
        with given.file.open(encoding="utf-8") as file:
            lines = reading.parse(file, given.users)
        rows = list(_rows(given, lines))
    except (Broken, reading.Unreadable, OSError, httpx.HTTPError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_printed(rows, as_json=given.json))
    return 0 if all(row.is_right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
