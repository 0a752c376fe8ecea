"""Many writers of two processes on one SQLite file: its lock is waited for, and never seen from outside."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.gateway import Gateway
from tests.chaos.invariants import violations
from tests.chaos.scenario import SQLITE, Outcome, Scenario, case_of, in_a_world
from tests.chaos.world import World

WRITERS = 16
SIGNS = ("database is locked", "database table is locked", "SQLITE_BUSY", "SQLITE_LOCKED")


def writers(transactions: int) -> Scenario:
    """So many messages, each a transaction, from as many clients at once as there are writers."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        numbers = iter(range(transactions))
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(_write(gateway, writer, numbers) for writer in range(WRITERS)))
        seconds = asyncio.get_running_loop().time() - started
        case = await case_of(world, gateway)
        ledger = gateway.ledger
        wrong = [f"{log.name} says {sign}" for log in world.folder.glob("replica-*.log") for sign in _signs(log)]
        figure = (
            f"{len(ledger.acks)} messages in {seconds:.0f} s, p50 {_percentile(ledger.seconds, 50) * 1000:.0f} ms, "
            f"p99 {_percentile(ledger.seconds, 99) * 1000:.0f} ms, slowest {ledger.slowest:.2f} s, "
            f"{ledger.statuses[503]} answers 503, {ledger.statuses[409]} answers 409"
        )
        return Outcome(figure, [*violations(case), *wrong])

    fault = f"{WRITERS} writers in 2 processes, {transactions} messages"
    run = in_a_world(play, {"MAX_CONVERSATION_MESSAGES": "1000000"})
    return Scenario(fault, 'no 500, and "database is locked" reaches neither a client nor a log', run, (SQLITE,))


async def _write(gateway: Gateway, writer: int, numbers: Iterator[int]) -> None:
    identity = f"+39349{writer:07}"
    for number in numbers:
        await gateway.say(identity, f"Messaggio {number}", first=writer)


def _signs(log: Path) -> list[str]:
    text = log.read_text(errors="replace")
    return [sign for sign in SIGNS if sign in text]


def _percentile(seconds: list[float], percent: int) -> float:
    return sorted(seconds)[min(len(seconds) * percent // 100, len(seconds) - 1)]
