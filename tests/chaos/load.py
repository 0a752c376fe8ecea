"""People who write without end, while something happens to the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.chaos.gateway import Gateway
from tests.chaos.replicas import Broken, until

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.05


@asynccontextmanager
async def load(gateway: Gateway, users: int, *, pause: float = PAUSE_SECONDS) -> AsyncIterator[None]:
    """Let so many people write during the block; whatever they have begun has its answer at the end."""
    over = asyncio.Event()
    people = [asyncio.create_task(_writes(gateway, number, over, pause)) for number in range(users)]
    try:
        yield
        over.set()
        await asyncio.gather(*people)
    finally:
        for person in people:
            person.cancel()


async def _writes(gateway: Gateway, number: int, over: asyncio.Event, pause: float) -> None:
    identity, said = f"+39342{number:07}", 0
    while not over.is_set():
        said += 1
        ack = await gateway.say(identity, f"Messaggio {said}", first=said + number)
        if ack is not None and said % 3 == 0:
            await gateway.reply(identity, ack.conversation_id, "Certo", first=number)
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), pause)


async def progress(gateway: Gateway, acks: int) -> None:
    """Wait for so many more answers, and not for seconds: a slow machine is to be in the middle of something, too."""
    wanted = len(gateway.ledger.acks) + acks

    async def is_reached() -> bool:
        return len(gateway.ledger.acks) >= wanted

    with suppress(Broken):
        await until(is_reached, "answers", PATIENCE_SECONDS)
