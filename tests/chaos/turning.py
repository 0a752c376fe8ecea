"""Turns whose process dies: at each of their points, and at random under bursts; every message has one reply."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from convo_service import crashing
from convo_service.db.engine import create_engine
from convo_service.db.models import Message, Turn
from tests.chaos.crashes import SIZE, fill_reserve
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import violations
from tests.chaos.replicas import Broken, Replica, until
from tests.chaos.scenario import Outcome, Scenario, case_of, in_a_world
from tests.chaos.world import WORKING, World

POINTS = (crashing.BEFORE_ASKING, crashing.REPLIED, crashing.COMPLETED)
UNHEARD = "reply_sent"  # OpenAI has answered, and the replica is killed while it waits
RESPONSES = "responses.create"
CAP = 6
KNOBS = {"OPENAI_MODEL": "emulator", "OPENAI_TIMEOUT_SECONDS": "3", "MAX_CONVERSATION_MESSAGES": str(CAP)}
RESERVING = {SIZE: "20", "SWEEP_INTERVAL_SECONDS": "0.2"}
BURST = 3


@dataclass(frozen=True, slots=True)
class Books:
    """What the database says of turns."""

    turns: Sequence[Any]
    messages: dict[str, Any]


async def _books(database_url: str) -> Books:
    engine = create_engine(database_url)
    try:
        async with engine.begin() as tx:
            turns = (await tx.execute(sa.select(Turn.__table__))).all()
            messages = (await tx.execute(sa.select(Message.__table__))).all()
    finally:
        await engine.dispose()
    return Books(turns, {row.id: row for row in messages})


def dying_turns() -> Scenario:
    """Each point of a turn, one after the other: inside a window, and where it opens the next and brings its seed."""

    async def play(world: World) -> Outcome:
        gateway, victim = Gateway(world.http, world.replicas), world.replicas[0]
        await fill_reserve(world)
        cuts = [(1, point) for point in (*POINTS, UNHEARD)]
        cuts += [(CAP // 2, point) for point in (crashing.AFTER_T4, *POINTS, UNHEARD)]
        asked = [(f"+39351{number:07}", turns, point) for number, (turns, point) in enumerate(cuts)]
        for who, turns, point in asked:
            for number in range(turns):
                await gateway.ask(who, f"Buongiorno {number}", first=1)
            await victim.kill()
            await victim.start(**({} if point == UNHEARD else {crashing.VARIABLE: point}))
            await _die(world, victim, gateway, who, point)
            await victim.start()
        await asyncio.gather(*(gateway.ask(who, f"Ordine {point}", id_=f"wamid.{who}") for who, _, point in asked))
        wrong, twice = await _judge(world, gateway)
        return Outcome(f"{len(asked)} points, {twice} messages asked twice", wrong)

    promise = "one reply for the message, and one seed before it"
    return Scenario("kill -9 at each point of a turn", promise, in_a_world(play, KNOBS | RESERVING))


async def _die(world: World, victim: Replica, gateway: Gateway, who: str, point: str) -> None:
    if point == UNHEARD:
        await world.fail_next(RESPONSES, after=True, hang=True)
        before = _said(world)
        asked = asyncio.create_task(gateway.ask_once(victim, who, f"Ordine {point}", f"wamid.{who}"))

        async def is_answered() -> bool:
            return _said(world) > before

        await until(is_answered, point)
        await world.kill(victim)
        await world.heal()
        await asked
        return
    if await gateway.ask_once(victim, who, f"Ordine {point}", f"wamid.{who}") is not None:
        raise Broken(f"{point} was not reached")
    world.kills += 1
    if (code := await victim.ended()) != -signal.SIGKILL:
        raise Broken(f"{point}: the replica ended with {code}")


def _said(world: World) -> int:
    return sum(role == "assistant" for remote in world.remotes().values() for role, _ in remote.items)


def turns_in_a_storm(kills: int, users: int = 12, seed: int = 1) -> Scenario:
    """Bursts of turns while replicas are killed and OpenAI's answers get lost."""

    async def play(world: World) -> Outcome:
        gateway, chance = Gateway(world.http, world.replicas), random.Random(seed)  # noqa: S311 - chaos, not secrets
        gateway.calm_since = float("inf")
        over = asyncio.Event()
        people = [asyncio.create_task(_bursts(gateway, f"+39352{number:07}", over)) for number in range(users)]
        for number in range(kills):
            await _replies(gateway, chance.randint(1, 10))
            await world.fail_next(RESPONSES, **chance.choice(({"after": True}, {"delay": 1.0}, {"status": 500})))
            victim = world.replicas[number % 2]
            await world.kill(victim)
            await victim.start()
        await world.heal()
        over.set()
        gateway.calm_since = asyncio.get_running_loop().time()
        await asyncio.gather(*people)
        wrong, twice = await _judge(world, gateway)
        figure = f"{world.kills} kills, {len(gateway.ledger.replies)} replies after {gateway.ledger.repeats} repeats"
        return Outcome(f"{figure}, {twice} messages asked twice, slowest {gateway.ledger.slowest:.1f} s", wrong)

    return Scenario(
        f"bursts of turns, kill -9 at random, {kills} times",
        "one reply for each message, none lost",
        in_a_world(play, KNOBS | WORKING),
    )


async def _replies(gateway: Gateway, more: int) -> None:
    wanted = len(gateway.ledger.replies) + more

    async def is_reached() -> bool:
        return len(gateway.ledger.replies) >= wanted

    await until(is_reached, "replies", 120)


async def _bursts(gateway: Gateway, who: str, over: asyncio.Event) -> None:
    number = 0
    while not over.is_set():
        number += 1
        texts = [f"Domanda {who[-4:]} {number} {place}" for place in range(BURST)]
        await asyncio.gather(*(gateway.ask(who, text, first=place) for place, text in enumerate(texts)))


async def _judge(world: World, gateway: Gateway) -> tuple[list[str], int]:
    """What broke a promise, and how many messages a model was asked about twice."""
    case, books = await case_of(world, gateway), await _books(world.database_url)
    wrong = [one for one in violations(case) if not one.startswith("orphans_are_empty:") or "holds" in one]
    remotes = case.evidence.remotes.items()  # what a rollover carries along stands in two, and was asked in one
    asked = Counter((id_, text) for id_, remote in remotes for role, text in remote.items if role == "user")
    twice = sum(times > 1 for times in asked.values())
    return [*wrong, *_one_reply_each(books), *_kept(books, gateway)], twice


def _one_reply_each(books: Books) -> Iterator[str]:
    """A completed turn has one reply, every reply one turn, and none is left open."""
    replies = Counter(turn.reply_message_id for turn in books.turns if turn.status == "completed")
    stored = {id_ for id_, row in books.messages.items() if row.direction == "outbound"}
    yield from (f"reply {id_} belongs to {times} turns" for id_, times in replies.items() if times > 1)
    yield from (f"reply {id_} belongs to no turn" for id_ in stored - set(replies))
    yield from (f"{turn.id} is {turn.status}" for turn in books.turns if turn.status != "completed")


def _kept(books: Books, gateway: Gateway) -> Iterator[str]:
    """A reply that was given is stored, answers its own message, and is the same for each repeat."""
    given: dict[str, set[str]] = {}
    for reply in gateway.ledger.replies:
        given.setdefault(reply.external_id, set()).add(reply.message_id)
        row = books.messages.get(reply.message_id)
        if row is None or row.text != reply.said:
            yield f"the reply to {reply.external_id} is not stored"
        elif reply.text not in reply.said:
            yield f"{reply.external_id} got somebody else's reply"
    yield from (f"{id_} had {len(replies)} replies" for id_, replies in given.items() if len(replies) > 1)
