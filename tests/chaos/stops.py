"""Replicas are asked to end while people write: what was accepted is answered, and they are gone in time."""

import asyncio
import random
import signal
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.chaos import evidence
from tests.chaos.crashes import fill
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import violations
from tests.chaos.load import load, progress
from tests.chaos.replicas import Replica, until
from tests.chaos.scenario import Outcome, Scenario, case_of, in_a_world
from tests.chaos.world import CREATE, KEY, WORKING, World

USERS = 10
DRAIN_SECONDS = 10.0
EXIT_CODES = (-signal.SIGTERM,)  # uvicorn drains, and then lets the signal have its way
# Between two ends, now and then, OpenAI keeps somebody waiting whose answer is still owed.
SLOW: tuple[dict[str, Any], ...] = ({}, {"delay": 1.0}, {"delay": 3.0}, {"hang": True})
OWED = 6
GIVEN_UP = "timeout graceful shutdown exceeded"  # uvicorn's words for requests that it cuts off


@dataclass(slots=True)
class Broken:
    """A request that came to no answer: which one, and how it ended for the client."""

    request_id: str
    error: str
    answered: bool  # at least in part


@dataclass(slots=True)
class Line:
    """A client's transport that remembers which requests came to no answer; refused connections are none."""

    inner: httpx.AsyncBaseTransport
    broken: list[Broken] = field(default_factory=list)
    refused: int = 0
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Send it under an id of its own, and read all of its answer."""
        id_ = request.headers["x-request-id"] = f"chaos.{next(self._ids)}"
        answer = None
        try:
            answer = await self.inner.handle_async_request(request)
            await answer.aread()
        except httpx.ConnectError:
            self.refused += 1
            raise
        except httpx.TransportError as error:
            self.broken.append(Broken(id_, f"{type(error).__name__}: {error}", answer is not None))
            raise
        return answer


class Watched(httpx.AsyncBaseTransport):
    """The line as httpx wants it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        return await self._line.handle(request)

    async def aclose(self) -> None:
        """Hang up."""
        await self._line.inner.aclose()


def stops(times: int) -> Scenario:
    """SIGTERM, again and again, to one replica after the other."""

    async def play(world: World) -> Outcome:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        line = Line(httpx.AsyncHTTPTransport(limits=limits))
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(headers=headers, transport=Watched(line), timeout=30) as http:
            gateway = Gateway(http, world.replicas)
            async with load(gateway, USERS):
                ends = [await _stop(world, gateway, number) for number in range(times)]
            await asyncio.gather(*(gateway.settle(f"+39342{number:07}", "Grazie") for number in range(USERS)))
        wrong = [sentence for _, sentences in ends for sentence in sentences]
        cut, unread = _cut(world, line)
        case = await case_of(world, gateway)
        figure = (
            f"drained within {max(seconds for seconds, _ in ends):.1f} s, {len(gateway.ledger.acks)} messages "
            f"acknowledged, {len(cut)} answers cut, {line.refused} connections refused, {unread} closed with a request "
            f"that nobody had read"
        )
        return Outcome(figure, [*violations(case), *wrong, *cut])

    promise = f"drained within {DRAIN_SECONDS:.0f} s, every request that was accepted is answered"
    return Scenario(f"SIGTERM under load, {times} times", promise, in_a_world(play, WORKING))


async def _stop(world: World, gateway: Gateway, number: int) -> tuple[float, list[str]]:
    """End one in the middle of something, and start it again; how long it took, and what was wrong."""
    replica = world.replicas[number % len(world.replicas)]
    await progress(gateway, random.randint(5, 25))  # noqa: S311 - chaos, not secrets
    if slow := SLOW[number // 2 % len(SLOW)]:
        await world.fail_next(CREATE, **slow)
        await asyncio.sleep(0.5)
    world.cut |= await evidence.reserving(world.database_url)  # what its worker has begun is dropped
    started = time.monotonic()
    replica.terminate()
    code = await replica.ended()
    seconds = time.monotonic() - started
    world.cut |= await evidence.reserving(world.database_url)
    await world.heal()
    await replica.start()
    wrong = [] if seconds <= DRAIN_SECONDS else [f"drained after {seconds:.1f} s"]
    return seconds, wrong + ([] if code in EXIT_CODES else [f"it ended with {code}"])


def _cut(world: World, line: Line) -> tuple[list[str], int]:
    """Requests that the service had begun and whose answer did not come whole; and how many it had never read."""
    logs = [log.read_text(errors="replace") for log in world.folder.glob("replica-*.log")]
    begun = [one for one in line.broken if one.answered or any(f'"{one.request_id}"' in log for log in logs)]
    cut = [f"the answer of {one.request_id} was cut: {one.error}" for one in begun]
    given_up = sum(log.count(GIVEN_UP) for log in logs)
    return [*cut, *(["requests were given up at the end"] if given_up else [])], len(line.broken) - len(begun)


def stopped_worker() -> Scenario:
    """SIGTERM to a worker on its own, in the middle of a pass."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        people = [f"+39348{number:07}" for number in range(OWED)]
        for who in people:
            await fill(gateway, who, first=0)
        await _owe(world, gateway, people)
        with closing(world.worker(1)) as worker:
            seconds, code = await _stop_in_a_pass(world, worker)
            left = await evidence.owed(world.database_url)
            await worker.start()
            await until(lambda: _nothing_is_owed(world), "the second worker")
            await worker.kill()
        wrong = [] if seconds <= DRAIN_SECONDS else [f"it ended after {seconds:.1f} s"]
        wrong += [] if code == 0 else [f"it ended with {code}"]
        wrong += [] if left else ["nothing was left when it ended: it was in no pass"]
        figure = f"ended after {seconds:.1f} s with {code}, {left} of {OWED} left for the next one, which made them up"
        return Outcome(figure, [*violations(await case_of(world, gateway)), *wrong])

    run = in_a_world(play, {"SWEEP_INTERVAL_SECONDS": "0.2"})
    return Scenario("SIGTERM to a worker in a pass", "ends with 0, and nothing is left undone", run)


async def _owe(world: World, gateway: Gateway, people: list[str]) -> None:
    """Rollovers that OpenAI refused: the replicas stop asking after some, and answer with the old conversation."""
    await world.fail_next(CREATE, status=500, times=100)
    await asyncio.gather(*(gateway.say(who, "Vorrei altra farina") for who in people))
    await world.heal()


async def _stop_in_a_pass(world: World, worker: Replica) -> tuple[float, int | None]:
    before = (await world.calls()).get(CREATE, 0)
    await world.fail_next(CREATE, delay=4)
    await worker.start()

    async def is_asking() -> bool:
        return (await world.calls()).get(CREATE, 0) > before

    await until(is_asking, "the worker asks OpenAI")
    world.cut |= await evidence.reserving(world.database_url)
    started = time.monotonic()
    worker.terminate()
    code = await worker.ended()
    await world.heal()
    return time.monotonic() - started, code


async def _nothing_is_owed(world: World) -> bool:
    return not await evidence.owed(world.database_url)
