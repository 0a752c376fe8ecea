"""The time that a request may take, and work that goes on when its request is over."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from convo_service.errors import DatabaseUnavailable
from convo_service.telemetry import failure, get_logger

ANSWER_SECONDS = 9.7  # after which whoever waits has an answer
OPENAI_SECONDS = 8.0  # all calls of one opening together
OPENAI_UNTIL = 9.0  # of the answer's time: what comes of the calls has to be written down
WAIT_SECONDS = 5.0  # for somebody else's work
SETTLE_SECONDS = 2.0  # for what goes on when the service stops

Result = TypeVar("Result")

log = get_logger()
_going_on: set[asyncio.Task[Any]] = set()  # the loop itself holds its tasks by weak references only


class Patience:
    """The time of one request, on `time.monotonic()`."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return time.monotonic() >= self._started + ANSWER_SECONDS

    @property
    def left(self) -> float:
        """Seconds until nobody waits any more."""
        return max(self._started + ANSWER_SECONDS - time.monotonic(), 0.0)

    @property
    def may_wait(self) -> bool:
        """Whether there is time to wait for somebody else."""
        return time.monotonic() < self._started + WAIT_SECONDS

    @property
    def openai_deadline(self) -> float:
        """When the calls of an opening that begins now have to be done."""
        return min(time.monotonic() + OPENAI_SECONDS, self._started + OPENAI_UNTIL)


async def in_time(work: Coroutine[Any, Any, Result], patience: Patience) -> Result:
    """The result of some work; raises DatabaseUnavailable when nobody waits for it any more.

    The work goes on to its end: what is late leaves less to repair than what is cut off.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=patience.left)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise
    if done:
        return task.result()
    _let_go_on(task)
    raise DatabaseUnavailable


def in_background(work: Coroutine[Any, Any, None]) -> None:
    """Do something that nobody waits for."""
    goes_on(work)


def goes_on(work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Something that goes on to its end, even when whoever waits for it has left."""
    task = asyncio.create_task(work)
    _let_go_on(task)
    return task


async def to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of some work, which goes on when whoever waits for it is cut off."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            _let_go_on(task)
        raise


async def settle(seconds: float = SETTLE_SECONDS) -> None:
    """Let what goes on come to its end before the service does; what takes too long is cut off, and says so."""
    await _wait_for_all(seconds)
    for task in _going_on_here():
        task.cancel()
    await _wait_for_all(seconds)  # what was cut off has something to write down, in tasks of its own


async def _wait_for_all(seconds: float) -> None:
    ends = time.monotonic() + seconds
    while (mine := _going_on_here()) and (left := ends - time.monotonic()) > 0:
        await asyncio.wait(mine, timeout=left)
        await asyncio.sleep(0)  # what came to its end leaves the set


def _going_on_here() -> list[asyncio.Task[Any]]:
    return [task for task in _going_on if task.get_loop() is asyncio.get_running_loop()]


def _let_go_on(task: asyncio.Task[Any]) -> None:
    _going_on.add(task)
    task.add_done_callback(_end)


def _end(task: asyncio.Task[Any]) -> None:
    _going_on.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("late_work_failed", **failure(error))
