"""Garbage is collected in steps, too: a worker dies between them, and in the end nothing is left at OpenAI."""

import asyncio
import signal
from contextlib import closing

from convo_service import crashing
from tests.chaos import evidence
from tests.chaos.crashes import SIZE, fill
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import violations
from tests.chaos.replicas import Broken, Replica, until
from tests.chaos.scenario import Outcome, Scenario, case_of, in_a_world
from tests.chaos.world import World

POINTS = (crashing.GARBAGE_EMPTIED, crashing.GARBAGE_DELETED)
LEFT = 2  # conversations for each point: the worker dies at the first


def dying_collectors() -> Scenario:
    """A worker is killed at each point of a collection, and another one goes on."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        wrong: list[str] = []
        with closing(world.worker(1)) as worker:
            for number, point in enumerate(POINTS):
                wrong += await _collect(world, gateway, worker, point, [f"+39341{number}{n:06}" for n in range(LEFT)])
        case = await case_of(world, gateway)
        figure = f"{len(POINTS) - len(wrong)} of {len(POINTS)} points"
        return Outcome(figure, [*violations(case), *wrong])

    # Without a reserve: a worker that dies while it fills one leaves an empty conversation, which is another promise's.
    knobs = {"SWEEP_INTERVAL_SECONDS": "0.2", SIZE: "0"}
    return Scenario("kill -9 of a worker that collects garbage", "gone at OpenAI in the end", in_a_world(play, knobs))


async def _collect(world: World, gateway: Gateway, worker: Replica, point: str, people: list[str]) -> list[str]:
    await asyncio.gather(*(_leave(world, gateway, who) for who in people))
    left = await evidence.garbage(world.database_url)
    if len(left) < LEFT:
        raise Broken(f"there are {len(left)} pieces of garbage")
    await evidence.let_rest(world.database_url)
    await worker.start(**{crashing.VARIABLE: point})
    if (code := await worker.ended()) != -signal.SIGKILL:
        raise Broken(f"{point}: the worker ended with {code}")
    if len(await evidence.garbage(world.database_url)) != len(left):
        return [f"{point}: a row went before its conversation"]
    await evidence.let_rest(world.database_url)
    await worker.start()

    async def is_clean() -> bool:
        return not await evidence.garbage(world.database_url)

    await until(is_clean, "the second worker")
    await worker.kill()
    return [f"{point}: {id_} is left" for id_ in left if not world.remotes()[id_].deleted]


async def _leave(world: World, gateway: Gateway, who: str) -> None:
    """A rollover whose seed got no answer leaves a conversation of unknown content."""
    await fill(gateway, who, first=0)
    await world.fail_next("items.create", after=True)
    await gateway.say(who, "Vorrei altra farina")
    await gateway.settle(who, "E la consegna?")
