"""PostgreSQL crashes under load and comes back: nothing acknowledged is lost, and the replicas find it again."""

import asyncio
import random
import time
from pathlib import Path

from tests import postgres
from tests.chaos import clusters
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import violations
from tests.chaos.load import load, progress
from tests.chaos.replicas import Broken, Replica, free_port, until
from tests.chaos.scenario import POSTGRES, Outcome, Scenario, case_of
from tests.chaos.world import WORKING, World, running
from tests.postgres import Server

USERS = 8
WITHIN_SECONDS = 5.0  # from the first connection that the server takes to the first success of each replica
DOWN_SECONDS = (0.0, 1.5)
RETRY_SECONDS = 0.02


def restarts(times: int) -> Scenario:
    """An immediate shutdown and a start, again and again."""

    async def run(_url: str, folder: Path) -> Outcome:
        with postgres.made({**postgres.SAFE, **clusters.over_tcp(free_port())}) as server:
            server.initialise()
            server.start()
            async with running(await clusters.create(server), folder, WORKING) as world:
                return await _play(world, server, times)

    promise = f"nothing acknowledged lost, no 500, each replica's first success within {WITHIN_SECONDS:.0f} s"
    return Scenario(f"restart of PostgreSQL, immediate, {times} times", promise, run, (POSTGRES,))


async def _play(world: World, server: Server, times: int) -> Outcome:
    gateway = Gateway(world.http, world.replicas)
    async with load(gateway, USERS):
        took = [await _restart(world, gateway, server) for _ in range(times)]
    await asyncio.gather(*(gateway.settle(f"+39342{number:07}", "Grazie") for number in range(USERS)))
    late = [f"{seconds:.1f} s until the first success" for each in took for seconds in each if seconds > WITHIN_SECONDS]
    case = await case_of(world, gateway)
    ledger = gateway.ledger
    figure = (
        f"first success after {max(min(each) for each in took):.2f} s at most, of each replica after "
        f"{max(max(each) for each in took):.2f} s at most, {len(ledger.acks)} messages acknowledged, "
        f"{ledger.statuses[503]} answers 503, slowest answer {ledger.slowest:.1f} s"
    )
    return Outcome(figure, [*violations(case), *late])


async def _restart(world: World, gateway: Gateway, server: Server) -> list[float]:
    """Crash in the middle of something; the seconds from the server's return to each replica's first success."""
    await progress(gateway, 30)
    await asyncio.to_thread(server.crash)
    await asyncio.sleep(random.uniform(*DOWN_SECONDS))  # noqa: S311 - chaos, not secrets
    server.launch()
    await until(lambda: clusters.accepts(server), "PostgreSQL")
    back = time.monotonic()
    return await asyncio.gather(*(_first_success(gateway, replica, back) for replica in world.replicas))


async def _first_success(gateway: Gateway, replica: Replica, since: float) -> float:
    """Nobody else's patience counts: a message of its own, again and again."""
    id_, identity, answer = gateway.new_id(), f"+39343{len(gateway.ledger.acks):07}", None
    while time.monotonic() - since < 10 * WITHIN_SECONDS:
        answer = await gateway.once(replica, identity, "Ci siete?", id_)
        if answer is not None and answer.is_success:
            return time.monotonic() - since
        await asyncio.sleep(RETRY_SECONDS)
    said = "nothing" if answer is None else f"{answer.status_code} {answer.text}"
    raise Broken(f"{replica.url} never came back, it says {said}")
