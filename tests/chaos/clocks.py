"""Replicas whose clocks are wrong, by hours and in both directions; leases go by the database's clock alone."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from convo_service import crashing
from tests.chaos import evidence, serving
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import Case, violations
from tests.chaos.scenario import Outcome, Scenario, case_of
from tests.chaos.world import CREATE, World, running

HOUR = 3600
SHIFTS = (2 * HOUR, -2 * HOUR, 0)
JUMPS = (3 * HOUR, -3 * HOUR, 0)  # of the last one, while it works
JUMP_SECONDS = 0.3
BURST = 3
LEASE_SECONDS = 12.0
SLACK_SECONDS = 8.0  # the next message comes, waits for its turn, and opens
# Behind every one of these clocks: what is ahead of a replica's clock by more than five minutes is refused.
SAID = timedelta(hours=4)
AT_ONCE = 4


def clocks(users: int) -> Scenario:
    """A burst after expiry on all of them, and one that dies with a lease."""

    async def run(url: str, folder: Path) -> Outcome:
        knobs = {"MAX_CONVERSATION_MESSAGES": "50"}
        async with running(url, folder, knobs, shifts=SHIFTS) as world:
            return await _play(world, users)

    promise = "one rollover, no takeover of who is at work, nobody stuck, sent_at as the gateway gave it"
    return Scenario("clocks that are wrong by 2 hours, and one that jumps", promise, run)


async def _play(world: World, users: int) -> Outcome:
    gateway = Gateway(world.http, world.replicas)
    people = [f"+39347{number:07}" for number in range(users)]
    said = (datetime.now(UTC) - SAID).replace(microsecond=0)
    async with _jumping(world):
        for start in range(0, users, AT_ONCE):
            await _burst(world, gateway, people[start : start + AT_ONCE], said)
    stolen = await _taken_over(world, people)
    waited = await _die_with_a_lease(world, gateway, people[0])
    case = await case_of(world, gateway)
    wrong = [*stolen, *_once_each(case, people[1:]), *_as_said(case, said)]
    if not LEASE_SECONDS * 0.7 < waited < LEASE_SECONDS + SLACK_SECONDS:
        wrong.append(f"the lease of a dead replica was over after {waited:.1f} s")
    figure = f"{users - len(wrong)} of {users} with one rollover, a dead replica's lease was over after {waited:.1f} s"
    return Outcome(figure, [*violations(case), *wrong])


@asynccontextmanager
async def _jumping(world: World) -> AsyncIterator[None]:
    """Let the last replica's clock jump for as long as the block runs."""

    async def jump() -> None:
        while True:
            for shift in JUMPS:
                serving.shift(world.replicas[-1].log, shift)
                await asyncio.sleep(JUMP_SECONDS)

    jumping = asyncio.create_task(jump())
    try:
        yield
    finally:
        jumping.cancel()
        serving.shift(world.replicas[-1].log, 0)


async def _burst(world: World, gateway: Gateway, people: list[str], said: datetime) -> None:
    """A first message of long ago, and then some at once, on each replica, while OpenAI takes its time."""
    long_ago = (said - timedelta(days=30)).isoformat()
    await asyncio.gather(*(gateway.say(who, "Avete la farina?", sent_at=long_ago) for who in people))
    await world.fail_next(CREATE, delay=1.5, times=len(people))
    at = said.isoformat()
    says = [gateway.say(who, f"Messaggio {n}", first=n, sent_at=at) for who in people for n in range(BURST)]
    await asyncio.gather(*says)
    await world.heal()


async def _taken_over(world: World, people: list[str]) -> list[str]:
    """Nobody has died so far: a conversation in the garbage was taken from somebody who was at work."""
    garbage, made = await evidence.garbage(world.database_url), len(world.remotes())
    wrong = [f"{id_} was taken over from a replica that was at work" for id_ in garbage]
    allowed = 2 * len(people) + world.lost_answers()
    return [*wrong, *([f"{made} conversations were made for {allowed}"] if made > allowed else [])]


async def _die_with_a_lease(world: World, gateway: Gateway, who: str) -> float:
    """The seconds from a death after T3 to the answer of the other ones."""
    victim = world.replicas[-1]
    await victim.kill()
    await victim.start(**{crashing.VARIABLE: crashing.AFTER_T3})
    world.kills += 1
    await gateway.once(victim, who, "/new", "wamid.dies")
    await victim.ended()
    started = time.monotonic()
    await gateway.say(who, "/new", id_="wamid.dies")
    waited = time.monotonic() - started
    await victim.start()
    return waited


def _once_each(case: Case, people: list[str]) -> list[str]:
    wrong = []
    for who in people:
        rows = [row for row in case.evidence.conversations.values() if row.user_id == case.evidence.users[who]]
        reasons = Counter(row.created_reason for row in rows)
        if reasons != {"first_contact": 1, "idle_timeout": 1}:
            wrong.append(f"{who}: {dict(reasons)}")
    return wrong


def _as_said(case: Case, said: datetime) -> list[str]:
    """Event time is the gateway's, whatever a replica's clock shows."""
    rows = [row for row in case.evidence.messages if row.text.startswith("Messaggio")]
    return [f"{row.external_id} was said at {row.sent_at}" for row in rows if row.sent_at != said]
