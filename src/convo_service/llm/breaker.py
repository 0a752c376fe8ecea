"""A circuit breaker: after some failures within a time nobody asks for a while; then one asks, and the others wait."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FAILURES = 5
WITHIN_SECONDS = 30.0
OPEN_SECONDS = 15.0


class CircuitOpen(Exception):
    """Nobody asks at the moment; `seconds` says for how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"open for {seconds:.0f} s")
        self.seconds = max(math.ceil(seconds), 1)


@dataclass(slots=True)
class Breaker:
    """One for each kind of call; `clock` in seconds."""

    clock: Callable[[], float] = time.monotonic
    _failures: deque[float] = field(default_factory=lambda: deque(maxlen=FAILURES))
    _open_until: float | None = None  # None: closed
    _is_probing: bool = False

    @property
    def state(self) -> int:
        """0: everybody may ask; 1: one may, to see how it is; 2: nobody."""
        if self._open_until is None:
            return 0
        return 2 if self._open_until > self.clock() else 1

    @contextmanager
    def guard(self, weigh: Callable[[BaseException], int | None]) -> Iterator[None]:
        """Around one call; raises CircuitOpen in place of it.

        `weigh` says how an error counts: 0 is an answer, if not the one that was hoped for; 1 is a failure, more than
        that opens at once; None says nothing, as when whoever asked has left.
        """
        probes = self._admit()
        try:
            yield
        except BaseException as error:
            self._ended(weigh(error), probes=probes)
            raise
        self._ended(0, probes=probes)

    def _admit(self) -> bool:
        """Let a call through, or raise; whether it is the one that probes."""
        if self._open_until is None:
            return False
        left = self._open_until - self.clock()
        if left > 0 or self._is_probing:
            raise CircuitOpen(left)
        self._is_probing = True
        return True

    def _ended(self, weight: int | None, *, probes: bool) -> None:
        if probes:
            self._is_probing = False
        if weight:
            self._failed(at_once=probes or weight > 1)
        elif probes and weight is not None:
            self._open_until = None

    def _failed(self, *, at_once: bool) -> None:
        now = self.clock()
        self._failures.append(now)
        if at_once or (len(self._failures) == FAILURES and now - self._failures[0] <= WITHIN_SECONDS):
            self._open_until = now + OPEN_SECONDS
            self._failures.clear()
