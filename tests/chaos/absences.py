"""OpenAI is away, each time in another way: everybody is answered in time, and what is owed is made up afterwards."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos import evidence
from tests.chaos.crashes import fill
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import Case, violations
from tests.chaos.replicas import Broken, until
from tests.chaos.scenario import Outcome, Scenario, case_of, in_a_world
from tests.chaos.world import CREATE, WORKING, World

ANSWER_SECONDS = 10.0
MADE_UP_SECONDS = 60.0
FOR_EVER = 10**6
ROUNDS = (0, 1)  # the first finds the circuit closed, the second most often open
EACH = 4  # people of each kind
FOREIGN = "the id of something else"
KNOWN = "the id of a conversation that we have"


@dataclass(frozen=True, slots=True)
class Absence:
    """A way to be away: what the emulator is ordered to do with every call, or nothing at all."""

    name: str
    how: Mapping[str, Any] | None = None  # None: nobody listens
    ids: Sequence[str] = ()  # what it gives in place of a new conversation's id


def _answers(id_: str) -> str:
    return f'{{"id": "{id_}", "object": "conversation", "created_at": 1, "metadata": {{}}}}'


ABSENCES = (
    Absence("down"),
    Absence("slow", {"hang": True}),
    Absence("one byte a second", {"drip": 1.0}),
    Absence("HTML", {"body": "<html><body>Bad gateway</body></html>"}),
    Absence("{}", {"body": "{}"}),
    Absence(FOREIGN, ids=[f"resp_{number:032}" for number in range(40)]),
    Absence(KNOWN),
    Absence("429, Retry-After 100", {"code": "rate_limit_exceeded", "headers": {"Retry-After": "100"}}),
    Absence("insufficient_quota", {"code": "insufficient_quota"}),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """People who are in one situation, what they write, and what they are promised meanwhile."""

    prefix: str
    text: str
    promised: Callable[[httpx.Response], bool]
    reasons: Sequence[str]  # of their conversations, when all is made up

    @property
    def people(self) -> list[str]:
        """Their identities."""
        return [f"{self.prefix}{number:06}" for number in range(EACH)]


def _is_served(answer: httpx.Response) -> bool:
    return answer.status_code == httpx.codes.OK and answer.json()["degraded"] is None


def _is_stale(answer: httpx.Response) -> bool:
    return answer.status_code == httpx.codes.OK and answer.json()["degraded"] == "stale_conversation"


def _is_refused(answer: httpx.Response) -> bool:
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and answer.json()["code"] == "upstream_unavailable"


def _is_being_opened(answer: httpx.Response) -> bool:
    """A worker is trying at this moment, and has the place; a repeat is asked for."""
    return answer.status_code == httpx.codes.CONFLICT and answer.json()["code"] == "opening_in_progress"


INSIDE = Kind("+393461", "Buongiorno", _is_served, ["first_contact"])
OWED = Kind("+393462", "E la consegna?", _is_stale, ["first_contact", "message_cap"])
NEW = Kind("+393463", "Sono nuovo", _is_refused, ["first_contact"])
RESETTING = Kind("+393464", "/new un preventivo", _is_refused, ["first_contact", "user_reset"])
KINDS = (INSIDE, OWED, NEW, RESETTING)


@dataclass(slots=True)
class Seen:
    """What was answered meanwhile."""

    wrong: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_inside: float = 0.0


def away(absence: Absence) -> Scenario:
    """One way to be away."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        await _before(gateway)
        seen = Seen()
        await _leave(world, absence)
        await _inside_asks_nobody(world, gateway, absence, seen)
        for number in ROUNDS:
            await asyncio.gather(*(_write(gateway, kind, who, number, seen) for kind in KINDS for who in kind.people))
        await _come_back(world)
        made_up = await _made_up(world, seen)
        await _repeat(gateway)
        case = await case_of(world, gateway)
        wrong = [*violations(case), *seen.wrong, *_as_owed(case)]
        answers = ", ".join(f"{count} {what}" for what, count in sorted(seen.answers.items()))
        figure = (
            f"{answers}; slowest {seen.slowest:.1f} s, inside a window {seen.slowest_inside:.2f} s; "
            f"all made up {made_up:.0f} s after it came back"
        )
        return Outcome(figure, wrong)

    promise = f"answered within {ANSWER_SECONDS:.0f} s, windows unaffected, no bad row, made up afterwards"
    return Scenario(f"OpenAI away: {absence.name}", promise, in_a_world(play, WORKING))


async def _before(gateway: Gateway) -> None:
    await asyncio.gather(*(gateway.say(who, "Buongiorno") for kind in (INSIDE, RESETTING) for who in kind.people))
    await asyncio.gather(*(fill(gateway, who, first=number) for number, who in enumerate(OWED.people)))


async def _leave(world: World, absence: Absence) -> None:
    ids = list(world.remotes())[:1] if absence.name == KNOWN else absence.ids
    if ids:
        for id_ in ids[:-1]:
            await world.fail_next(CREATE, body=_answers(id_))
        await world.fail_next(CREATE, body=_answers(ids[-1]), times=FOR_EVER)
    elif absence.how is None:
        await world.emulator.kill()
    else:
        await world.fail_next("*", **absence.how, times=FOR_EVER)


async def _come_back(world: World) -> None:
    if world.emulator.is_alive:
        await world.heal()
    else:
        await world.emulator.start()


async def _inside_asks_nobody(world: World, gateway: Gateway, absence: Absence, seen: Seen) -> None:
    """Nothing is owed yet, so that whoever asked would have asked for these."""
    is_there = world.emulator.is_alive
    before = await world.calls() if is_there else {}
    await asyncio.gather(*(_write(gateway, INSIDE, who, -1, seen) for who in INSIDE.people))
    if is_there and (after := await world.calls()) != before:
        seen.wrong.append(f"messages inside a window asked OpenAI: {before}, {after}")


async def _write(gateway: Gateway, kind: Kind, who: str, number: int, seen: Seen) -> None:
    replica = gateway.replicas[number % len(gateway.replicas)]
    started = time.monotonic()
    answer = await gateway.once(replica, who, kind.text, _id(kind, who, number))
    seconds = time.monotonic() - started
    seen.slowest = max(seen.slowest, seconds)
    if kind is INSIDE:
        seen.slowest_inside = max(seen.slowest_inside, seconds)
    if seconds > ANSWER_SECONDS:
        seen.wrong.append(f"{kind.text!r} was answered after {seconds:.1f} s")
    if answer is None:
        seen.wrong.append(f"{kind.text!r} was not answered")
        return
    seen.answers[f"{answer.status_code}{' stale' if _is_stale(answer) else ''}"] += 1
    if not (kind.promised(answer) or (number > 0 and _is_being_opened(answer))):
        seen.wrong.append(f"{kind.text!r} was answered {answer.status_code}: {answer.text[:200]}")


def _id(kind: Kind, who: str, number: int) -> str:
    """What was served is another message each time; what was refused comes again."""
    return f"wamid.{who}.{number}" if kind in (INSIDE, OWED) else f"wamid.{who}"


async def _made_up(world: World, seen: Seen) -> float:
    """Nobody writes: the workers do it; the seconds that it takes."""
    started = time.monotonic()

    async def is_done() -> bool:
        return not await evidence.owed(world.database_url)

    try:
        await until(is_done, "the workers", MADE_UP_SECONDS)
    except Broken:
        seen.wrong.append(f"rollovers are still owed after {MADE_UP_SECONDS:.0f} s")
    return time.monotonic() - started


async def _repeat(gateway: Gateway) -> None:
    """Everything comes again, as what was refused does from any gateway; the rest has its answer already."""
    again = {(who, kind.text, _id(kind, who, number)) for kind in KINDS for who in kind.people for number in ROUNDS}
    await asyncio.gather(*(gateway.say(who, text, id_=id_) for who, text, id_ in sorted(again)))


def _as_owed(case: Case) -> list[str]:
    """Everybody has the conversations that there would be if OpenAI had never been away."""
    wrong = []
    for kind in KINDS:
        for who in kind.people:
            user = case.evidence.users.get(who)
            rows = [row for row in case.evidence.conversations.values() if row.user_id == user]
            reasons = sorted(row.created_reason for row in rows)
            if reasons != sorted(kind.reasons):
                wrong.append(f"{kind.text!r}: {reasons} in place of {kind.reasons}")
    return wrong
