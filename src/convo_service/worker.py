"""The worker: one sweep after the other, for as long as it is wanted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from convo_service.services.sweep import Sweep
from convo_service.telemetry import failure, get_logger, metrics

log = get_logger()


async def work(sweep: Sweep) -> None:
    """Sweep for ever; a pass that fails, because the database is away, is made up by the next."""
    while True:
        try:
            done = await sweep.run_once()
            metrics.sweeps.add(1, {"outcome": "done"})
            (log.info if done else log.debug)("sweep_done", **done)
        except Exception as error:
            metrics.sweeps.add(1, {"outcome": "failed"})
            log.warning("sweep_failed", **failure(error))
        await asyncio.sleep(sweep.settings.sweep_interval_seconds)


@asynccontextmanager
async def beside(sweep: Sweep) -> AsyncIterator[None]:
    """Sweep while the block runs. A call of the model that is under way at its end is dropped; its lease runs out."""
    working = asyncio.create_task(work(sweep))
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
