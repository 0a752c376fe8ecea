"""What is written down beside the requests, every second: the last uses of keys, and counts that replicas share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from convo_service.telemetry import failure, get_logger

EVERY_SECONDS = 1.0
LAST_SECONDS = 2.0  # for the last pass, when the service stops

Pass = Callable[[], Awaitable[None]]

log = get_logger()


@asynccontextmanager
async def beside(passes: Sequence[Pass], every: float) -> AsyncIterator[None]:
    """Make the passes again and again while the block runs, and once at its end."""
    stopping = asyncio.Event()
    keeping = asyncio.create_task(_keep(passes, every, stopping))
    try:
        yield
    finally:
        stopping.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(keeping, LAST_SECONDS)


async def _keep(passes: Sequence[Pass], every: float, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), every)
        for one in passes:
            try:
                await one()
            except Exception as error:  # the database is away; the next pass makes up for it
                log.debug("bookkeeping_failed", **failure(error))
