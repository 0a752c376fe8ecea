"""The crash points, one after the other: a replica dies there, and the message comes again as from any gateway."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from convo_service import crashing
from tests.chaos import evidence
from tests.chaos.gateway import Gateway
from tests.chaos.replicas import Broken, Replica, until
from tests.chaos.world import CAP, World

INSIDE = (
    crashing.BEFORE_T1,
    crashing.AFTER_T1,
    crashing.IN_SEED,
    crashing.AFTER_SEED,
    crashing.CREATED,
    crashing.AFTER_T3,
    crashing.SEEDED,
    crashing.AFTER_T4,
)
# OpenAI has done it and the answer never comes: the replica is killed while it waits.
UNANSWERED = {"create_sent": "conversations.create", "seed_sent": "items.create"}
POINTS = (*INSIDE, *UNANSWERED)
# With an id of the reserve nothing is created, and the seed is saved together with it.
RESERVED = (crashing.IN_SEED, crashing.AFTER_T3, crashing.SEEDED, crashing.AFTER_T4, "seed_sent")
SIZE = "CONVERSATION_RESERVE"
TRIES = 5  # on a slow machine OpenAI may be given up before the point is reached


@dataclass(frozen=True, slots=True)
class Cut:
    """A message whose request was cut off at a point."""

    point: str
    identity: str
    text: str
    external_id: str


class Crashes:
    """Kills the first replica at each point, in the middle of a rollover with a seed."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self.cuts: list[Cut] = []
        self._world = world
        self._gateway = gateway
        self._tried: list[Cut] = []

    async def everywhere(self, points: Sequence[str] = POINTS) -> None:
        """All points, one after the other; the replica is back at the end."""
        victim = self._world.replicas[0]
        await victim.kill()
        for point in points:
            self.cuts.append(await self._cut_off(victim, point))
        await victim.start()

    async def repeat(self) -> None:
        """Send what was cut off once more, all at once, and then one more message for each."""
        say = self._gateway.say
        await asyncio.gather(*(say(cut.identity, cut.text, id_=cut.external_id) for cut in self._tried))
        await asyncio.gather(*(self._gateway.settle(cut.identity, "E la consegna?") for cut in self._tried))

    async def _cut_off(self, victim: Replica, point: str) -> Cut:
        for _ in range(TRIES):
            identity = f"+39340{len(self._tried):07}"
            cut = Cut(point, identity, f"Vorrei altra farina, {point}", f"wamid.{point}")
            self._tried.append(cut)
            await fill(self._gateway, identity, first=1)
            env = {} if point in UNANSWERED else {crashing.VARIABLE: point}
            await victim.start(**env)
            die = _die_waiting if point in UNANSWERED else _die_inside
            if await die(self._world, victim, self._gateway, cut):
                return cut
            await victim.kill()
        raise Broken(f"{point} was not reached")


async def fill(gateway: Gateway, identity: str, *, first: int) -> None:
    """Bring a user to where the next message rolls over."""
    for number in range(CAP):
        await gateway.say(identity, f"Messaggio {number} sulla farina tipo 00 da 25 kg", first=first)


async def fill_reserve(world: World, *, dying: bool = False) -> None:
    """Let a worker fill the reserve, and go; `dying`: the first one dies when OpenAI has made one."""
    with closing(world.worker(1)) as worker:
        if dying:
            await worker.start(**{crashing.VARIABLE: crashing.RESERVE_MADE})
            world.kills += 1
            if (code := await worker.ended()) != -signal.SIGKILL:
                raise Broken(f"{crashing.RESERVE_MADE}: the worker ended with {code}")
        await worker.start()

        async def is_full() -> bool:
            return len(await evidence.reserve(world.database_url)) == int(world.knobs[SIZE])

        await until(is_full, "a full reserve")
        await worker.kill()


async def _die_inside(world: World, victim: Replica, gateway: Gateway, cut: Cut) -> bool:
    if await gateway.once(victim, cut.identity, cut.text, cut.external_id) is not None:
        return False
    world.kills += 1
    if (code := await victim.ended()) != -signal.SIGKILL:
        raise Broken(f"{cut.point}: the replica ended with {code}")
    return True


async def _die_waiting(world: World, victim: Replica, gateway: Gateway, cut: Cut) -> bool:
    await world.fail_next(UNANSWERED[cut.point], after=True, hang=True)
    before = _state(world)
    created = 0 if await evidence.reserve(world.database_url) else 1
    wanted = (created, 0) if cut.point == "create_sent" else (created, 1)
    asked = asyncio.create_task(gateway.once(victim, cut.identity, cut.text, cut.external_id))

    async def is_done() -> bool:
        now = _state(world)
        return asked.done() or all(new - old >= more for new, old, more in zip(now, before, wanted, strict=True))

    await until(is_done, cut.point)
    await world.kill(victim)
    await world.heal()
    return await asked is None


def _state(world: World) -> tuple[int, int]:
    """How many conversations there are at OpenAI, and how many of them hold something."""
    found = world.remotes().values()
    return len(found), sum(bool(one.items) for one in found)


def rolled_over_once(found: evidence.Evidence, cuts: list[Cut]) -> list[str]:
    """Each of them has two conversations, the second opened by the cap, with the message that was cut off."""
    wrong = []
    for cut in cuts:
        user = found.users[cut.identity]
        reasons = [row.created_reason for row in found.conversations.values() if row.user_id == user]
        if sorted(reasons) != ["first_contact", "message_cap"]:
            wrong.append(f"{cut.point}: {reasons}")
    return wrong
