"""When a request may be made again, and how long to wait before it is."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx

from convo_service.client.problems import ProblemError

Out = TypeVar("Out")

# The request did not leave, whatever it was.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# Refused before anything was done: the contract asks for the same request again.
NOT_DONE = frozenset(
    {"opening_in_progress", "turn_in_progress", "rate_limited", "turn_budget_spent", "reset_budget_spent"}
)
# What comes from the service's surroundings and passes; whether anything was done is not known.
PASSING_STATUSES = frozenset({429, 503, 504})
UNTIL_SOMEBODY_ACTS = "model_not_configured"  # a 503, too, and no wait helps
PROXY_FAILED = "http_502"  # the service's own 502 is a model that was asked and gave no reply: it would cost again

FIRST_WAIT = 0.2
LONGEST_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is repeated in all, in seconds; no wait is begun that would end later."""

    seconds: float
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    async def keep_trying(self, attempt: Callable[[], Awaitable[Out]], *, repeatable: bool) -> Out:
        """Make an attempt until it succeeds, fails for good, or the time is over; then the last error comes out."""
        deadline, tries = self.clock() + self.seconds, 0
        while True:
            try:
                return await attempt()
            except (httpx.TransportError, ProblemError) as error:
                if not may_repeat(error, repeatable=repeatable):
                    raise
                pause = wait_before(tries, error)
                if self.clock() + pause > deadline:
                    raise
            await self.sleep(pause)
            tries += 1


def may_repeat(error: httpx.TransportError | ProblemError, *, repeatable: bool) -> bool:
    """Whether the same request may go out again; `repeatable`: it has one effect, however often it arrives."""
    if isinstance(error, ProblemError):
        passes = error.status in PASSING_STATUSES and error.code != UNTIL_SOMEBODY_ACTS
        return error.code in NOT_DONE or (repeatable and (passes or error.code == PROXY_FAILED))
    if isinstance(error, NOT_SENT):
        return True
    return repeatable and isinstance(error, httpx.NetworkError | httpx.TimeoutException | httpx.RemoteProtocolError)


def wait_before(tries: int, error: httpx.TransportError | ProblemError) -> float:
    """As long as the service asks for; else longer each time, and never the same for two clients."""
    if isinstance(error, ProblemError) and error.retry_after is not None:
        return float(error.retry_after)
    return min(FIRST_WAIT * 2.0**tries, LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
