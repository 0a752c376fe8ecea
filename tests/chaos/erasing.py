"""Erasures whose process dies, at each of their points and at random: each ends, and nobody else is touched."""

import asyncio
import random
import signal
from contextlib import closing
from typing import Any

from convo_service import crashing
from tests.chaos import evidence
from tests.chaos.crashes import SIZE, fill
from tests.chaos.forgetting import ACCEPTED, Operator
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import violations
from tests.chaos.leftovers import rows_of
from tests.chaos.load import load
from tests.chaos.replicas import Broken, Replica
from tests.chaos.scenario import Outcome, Scenario, case_of, in_a_world
from tests.chaos.world import WORKING, World

IN_A_REPLICA = (crashing.ERASURE_BEGUN, crashing.ERASING, crashing.SCRUBBED)
IN_A_WORKER = (crashing.GARBAGE_EMPTIED, crashing.GARBAGE_DELETED)
MANY = 1020  # messages: more than one transaction of an erasure takes
PEOPLE = 2  # erased between two kills
WRITERS = 4
SWEPT = ("sweep_at", "counted_messages")
STILL = 2  # who write nothing meanwhile, so that no row of theirs may change
KNOBS = {"OPENAI_MODEL": "emulator", "OPENAI_TIMEOUT_SECONDS": "3", SIZE: "0"}
PROMISE = "nothing of them is left or comes back, nobody else is touched"


def dying_erasures() -> Scenario:
    """Each point of an erasure, one after the other: a replica dies there, and a worker goes on."""

    async def play(world: World) -> Outcome:
        operator, gateway = Operator(world), Gateway(world.http, world.replicas)
        others = await _others(world, gateway)
        for point in IN_A_REPLICA:
            await _die_in_a_replica(world, operator, point)
        with closing(world.worker(1)) as worker:
            for point in IN_A_WORKER:
                await _die_in_a_worker(world, operator, worker, point)
            await worker.start()
            wrong = await operator.wait()
            await worker.kill()
        wrong += [*await operator.judge(), *await _touched(world, others)]
        wrong += violations(await case_of(world, gateway))
        return Outcome(f"{world.kills} kills, {len(operator.people)} people erased", wrong)

    knobs = {**KNOBS, "SWEEP_INTERVAL_SECONDS": "0.2"}
    return Scenario("kill -9 at each point of an erasure", PROMISE, in_a_world(play, knobs))


async def _die_in_a_replica(world: World, operator: Operator, point: str) -> None:
    victim = world.replicas[0]
    who = await operator.meet(messages=MANY if point == crashing.ERASING else 0)
    await victim.kill()
    await victim.start(**{crashing.VARIABLE: point})
    await operator.ask_to_erase(who, victim)
    await _is_killed(world, victim, point)
    await victim.start()


async def _die_in_a_worker(world: World, operator: Operator, worker: Replica, point: str) -> None:
    who = await operator.meet()
    if await operator.ask_to_erase(who, world.replicas[0]) != ACCEPTED:
        raise Broken(f"{point}: the erasure was not accepted")
    await operator.wait(garbage=False)
    await evidence.let_rest(world.database_url)
    await worker.start(**{crashing.VARIABLE: point})
    await _is_killed(world, worker, point)


async def _is_killed(world: World, victim: Replica, point: str) -> None:
    world.kills += 1
    if (code := await victim.ended()) != -signal.SIGKILL:
        raise Broken(f"{point}: the process ended with {code}")


def erasures_in_a_storm(kills: int, seed: int = 1) -> Scenario:
    """People are erased while they and others write, and replicas are killed; then while OpenAI is cleared of them."""

    async def play(world: World) -> Outcome:
        operator, gateway = Operator(world), Gateway(world.http, world.replicas)
        chance = random.Random(seed)  # noqa: S311 - chaos, not secrets
        others = await _others(world, gateway)
        wrong: list[str] = []
        async with load(gateway, WRITERS):
            while world.kills < kills and not wrong:
                some = [await operator.meet() for _ in range(PEOPLE)]
                async with asyncio.TaskGroup() as group:
                    for number, who in enumerate(some):
                        group.create_task(operator.erase(who, first=number))
                        group.create_task(operator.write_meanwhile(who, first=number + 1))
                    await _kill_soon(world, chance)
                wrong += await operator.wait(garbage=False)
                await evidence.let_rest(world.database_url)
                await _kill_soon(world, chance)
                wrong += await operator.wait()
        await asyncio.gather(*(gateway.settle(f"+39342{number:07}", "Grazie") for number in range(WRITERS)))
        wrong += [*await operator.judge(), *await _touched(world, others)]
        wrong += violations(await case_of(world, gateway))
        written = f"{len(gateway.ledger.acks)} messages of others acknowledged"
        return Outcome(f"{world.kills} kills, {len(operator.people)} people erased, {written}", wrong)

    fault = f"erasures, kill -9 at random, {kills} times"
    return Scenario(fault, PROMISE, in_a_world(play, {**KNOBS, **WORKING, "SWEEP_INTERVAL_SECONDS": "0.2"}))


async def _kill_soon(world: World, chance: random.Random) -> None:
    """One of the two, at a moment at which most of an erasure happens."""
    await asyncio.sleep(chance.uniform(0, 0.4))
    victim = chance.choice(world.replicas)
    await world.kill(victim)
    await victim.start()


async def _others(world: World, gateway: Gateway) -> dict[str, list[evidence.Row]]:
    """People who are there before and after, with all that they have."""
    people = [f"+39361{number:07}" for number in range(STILL)]
    for who in people:
        await fill(gateway, who, first=1)
        await gateway.settle(who, "Grazie")
    users = await evidence.users_of(world.database_url, people)
    return await rows_of(world.database_url, users)


async def _touched(world: World, before: dict[str, list[evidence.Row]]) -> list[str]:
    users = sorted({row.user_id for rows in before.values() for row in rows})
    after = await rows_of(world.database_url, users)
    changed = [table for table, rows in before.items() if _kept(rows) != _kept(after[table])]
    return [f"rows of others in {table} are not what they were" for table in changed]


def _kept(rows: list[evidence.Row]) -> list[dict[str, Any]]:
    """All but what the sweep writes of its own work: when it looks next, and what it has counted."""
    return [{name: value for name, value in row._asdict().items() if name not in SWEPT} for row in rows]
