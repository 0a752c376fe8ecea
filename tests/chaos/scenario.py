"""A line of the table: a fault, the promise that it puts to the test, and what came of it."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import evidence
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import Case
from tests.chaos.world import World, running

SQLITE, POSTGRES = "sqlite", "postgres"
BOTH = (SQLITE, POSTGRES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figure that was reached, and what broke a promise."""

    figure: str
    violations: list[str]
    is_shown: bool = True  # False: this machine does not allow what the scenario needs


Play = Callable[[World], Awaitable[Outcome]]
Run = Callable[[str, Path], Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played on a migrated database that nobody else uses, with a folder of its own."""

    fault: str
    promise: str
    run: Run
    databases: Sequence[str] = BOTH


def in_a_world(play: Play, knobs: Mapping[str, str] | None = None) -> Run:
    """Play it with two replicas and OpenAI."""

    async def run(database_url: str, folder: Path) -> Outcome:
        async with running(database_url, folder, knobs or {}) as world:
            return await play(world)

    return run


async def case_of(world: World, gateway: Gateway) -> Case:
    """What there is to be judged."""
    found = await evidence.gather(world.database_url, world.remotes)
    return Case(found, gateway.ledger, world.faults, world.cut)


def few(people: list[str], most: int) -> list[list[str]]:
    """So many at a time: twenty requests in flight are enough for two cores."""
    return [people[start : start + most] for start in range(0, len(people), most)]
