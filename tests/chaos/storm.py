"""A storm: users write in bursts while replicas are killed and OpenAI loses answers; then the sky clears."""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.chaos import evidence
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import Case, violations
from tests.chaos.replicas import Broken, Replica, until
from tests.chaos.world import World

WORDS = ("farina tipo 00", "lievito", "consegna", "fattura 118", "bonifico", "bancale", "reso", "preventivo")
PATIENCE_SECONDS = 20.0  # with a storm that has come to a standstill
OWED_SECONDS = 60.0  # a lease, a circuit breaker that has to close, and some passes of a slow machine
# What OpenAI does wrong, now and then: never so often that its breaker keeps everybody from everything.
OPENAI: Sequence[tuple[str, dict[str, Any]]] = (
    ("conversations.create", {"after": True}),
    ("conversations.create", {"delay": 1.5}),
    ("conversations.create", {"status": 500}),
    ("conversations.create", {"hang": True}),
    ("items.create", {"after": True}),
    ("items.create", {"delay": 1.5}),
    ("items.create", {"status": 503}),
    ("items.create", {"after": True, "hang": True}),
)


@dataclass(frozen=True, slots=True)
class Weather:
    """How hard it blows."""

    kills: int
    users: int = 24
    acks: int = 12  # answers between two kills of one replica, at most
    calm_seconds: tuple[float, float] = (3.0, 8.0)  # between two faults of OpenAI
    seed: int = 1


@dataclass(slots=True)
class Result:
    """What came of it."""

    kills: int
    lost: int
    database_failures: int
    seconds: float
    acks: int
    repeats: int
    degraded: int
    conversations: int
    orphans: int
    garbage: int
    slowest: float
    made_up: float
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.lost} answers lost or late, {self.database_failures} database failures, "
            f"{self.acks} messages acknowledged after {self.repeats} repeats, {self.degraded} degraded, "
            f"{self.conversations} conversations, {self.orphans} orphans, {self.garbage} in the garbage, "
            f"slowest answer {self.slowest:.1f} s, what was owed made up in {self.made_up:.1f} s"
        )


class Storm:
    """One storm over a world."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.gateway = Gateway(world.http, world.replicas)
        self._world = world
        self._weather = weather
        self._random = random.Random(weather.seed)  # noqa: S311 - chaos, not secrets
        self._over = asyncio.Event()
        self._seen_two: set[str] = set()

    async def run(self) -> Result:
        """Blow, clear up, and look."""
        started = time.monotonic()
        self.gateway.calm_since = math.inf
        people = [f"+39333{number:07}" for number in range(self._weather.users)]
        async with asyncio.TaskGroup() as group:
            for identity in people:
                group.create_task(self._user(identity))
            group.create_task(self._openai())
            group.create_task(self._watch())
            share, rest = divmod(self._weather.kills, len(self._world.replicas))
            killers = [
                group.create_task(self._killer(replica, share + (number < rest)))
                for number, replica in enumerate(self._world.replicas)
            ]
            await asyncio.wait(killers)
            self._over.set()
            await self._world.heal()
            self.gateway.calm_since = time.monotonic()
        made_up = await self._make_up()
        await asyncio.gather(*(self.gateway.settle(identity, "Grazie, a presto") for identity in people))
        return await self._judge(time.monotonic() - started, made_up)

    async def _make_up(self) -> float:
        """Nobody writes, and the workers make up all that is owed; the seconds that it took."""
        started = time.monotonic()

        async def is_done() -> bool:
            return not await evidence.owed(self._world.database_url)

        try:
            await until(is_done, "the workers", OWED_SECONDS)
        except Broken:
            self.gateway.ledger.unexpected.append(f"rollovers are still owed after {OWED_SECONDS:.0f} s")
        return time.monotonic() - started

    async def _judge(self, seconds: float, made_up: float) -> Result:
        world, ledger = self._world, self.gateway.ledger
        found = await evidence.gather(world.database_url, world.remotes)
        case = Case(found, ledger, world.faults, world.cut)
        return Result(
            kills=world.kills,
            lost=world.lost_answers(),
            database_failures=world.database_failures(),
            seconds=seconds,
            acks=len(ledger.acks),
            repeats=ledger.repeats,
            degraded=ledger.degraded,
            conversations=len(found.conversations),
            orphans=len(case.orphans),
            garbage=len(found.garbage),
            slowest=ledger.slowest,
            made_up=made_up,
            violations=[*violations(case), *(f"{user} had two active ones" for user in self._seen_two)],
        )

    async def _killer(self, replica: Replica, times: int) -> None:
        for _ in range(times):
            await self._progress(self._random.randint(1, self._weather.acks))
            await asyncio.sleep(self._random.uniform(0, 0.3))
            await self._world.kill(replica)
            await replica.start()

    async def _progress(self, acks: int) -> None:
        """Wait for answers, and not for seconds: a slow machine is to be in the middle of something, too."""
        wanted = len(self.gateway.ledger.acks) + acks

        async def is_reached() -> bool:
            return len(self.gateway.ledger.acks) >= wanted

        with suppress(Broken):
            await until(is_reached, "answers", PATIENCE_SECONDS)

    async def _openai(self) -> None:
        while not self._over.is_set():
            await self._rest(*self._weather.calm_seconds)
            operation, how = self._random.choice(OPENAI)
            await self._world.fail_next(operation, **how)

    async def _watch(self) -> None:
        """Two active conversations that somebody closes again were two all the same."""
        while not self._over.is_set():
            self._seen_two.update(await evidence.two_active(self._world.database_url))
            await self._rest(0.2, 0.4)

    async def _user(self, identity: str) -> None:
        while not self._over.is_set():
            await self._talk(identity)
            await self._rest(0.05, 1.0)

    async def _talk(self, identity: str) -> None:
        """A message, a burst, a webhook that comes to both replicas, or `/new`; now and then the bot replies."""
        text = f"Mi serve {self._random.choice(WORDS)}, riga {self._random.randrange(1000)}"
        first, kind = self._random.randrange(2), self._random.random()
        if kind < 0.1:
            await self.gateway.say(identity, f"/new {text}", first=first)
        elif kind < 0.3:
            await asyncio.gather(*(self.gateway.say(identity, f"{text}, {n}", first=n) for n in range(3)))
        elif kind < 0.5:
            twice = self.gateway.new_id()
            await asyncio.gather(*(self.gateway.say(identity, text, id_=twice, first=n) for n in range(2)))
        else:
            ack = await self.gateway.say(identity, text, first=first)
            if ack is not None and kind < 0.75:
                await self.gateway.reply(identity, ack.conversation_id, "Certo, ci penso io", first=first)

    async def _rest(self, least: float, most: float) -> None:
        try:
            await asyncio.wait_for(self._over.wait(), self._random.uniform(least, most))
        except TimeoutError:
            return
