"""Turns of processes on one SQLite file: one at a time, and nobody keeps what he does not use."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from convo_service.db.turn import Turn

SOON = 0.05
LONG = 10.0


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[tuple[Turn, Turn]]:
    """Two processes on one file, as far as the lock can tell."""
    file = str(tmp_path / "convo.db")
    with closing(Turn(file)) as one, closing(Turn(file)) as other:
        yield one, other


async def test_the_second_waits_for_the_first(turns: tuple[Turn, Turn]) -> None:
    """Who comes second has the turn as soon as the first gives it back, and not before."""
    one, other = turns
    await one.take(LONG)
    waits = asyncio.create_task(other.take(LONG))
    await asyncio.sleep(SOON)
    assert not waits.done()
    one.give_back()
    await asyncio.wait_for(waits, LONG)
    back = asyncio.create_task(one.take(LONG))
    await asyncio.sleep(SOON)
    assert not back.done()
    other.give_back()
    await asyncio.wait_for(back, LONG)


async def test_waiting_has_an_end(turns: tuple[Turn, Turn]) -> None:
    """Behind a process that stands still nobody waits for ever; and what comes too late is given back at once."""
    one, other = turns
    await one.take(LONG)
    for _ in range(2):
        async with asyncio.timeout(LONG):
            await other.take(SOON)
        other.give_back()
    one.give_back()
    async with asyncio.timeout(LONG):
        await one.take(2 * LONG)


async def test_a_turn_that_is_closed_is_free(turns: tuple[Turn, Turn], tmp_path: Path) -> None:
    """A connection that is closed in mid-transaction keeps nobody waiting."""
    with closing(Turn(str(tmp_path / "convo.db"))) as closed:
        await closed.take(LONG)
    async with asyncio.timeout(LONG):
        await turns[0].take(2 * LONG)
