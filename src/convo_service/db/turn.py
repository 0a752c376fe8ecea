"""Processes that write to one SQLite file take turns, in the order in which they came.

SQLite's own waiting looks again after up to 100 ms, so that a process with a queue of writers wins again and again:
with two processes of eight writers the longest wait was about 2 s, with turns 0.1 to 0.3 s. It costs the median, as
nobody is served before his time any more.
"""

import asyncio
import fcntl
import os
import threading
from concurrent.futures import Future, wait
from contextlib import suppress


class Turn:
    """One connection's place in the line: a lock on a file beside the database, of which a killed process lets go.

    Whoever waits in vain goes on without it, and SQLite decides.
    """

    def __init__(self, database: str) -> None:
        """Raises OSError where no file can be made."""
        self._fd = os.open(f"{database}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._guard = threading.Lock()
        self._coming: Future[None] | None = None
        self._is_wanted = False
        self._is_closed = False

    async def take(self, seconds: float) -> None:
        """Wait for the turn, so long at most."""
        if (coming := self._come()) is not None:
            await asyncio.wait({asyncio.wrap_future(coming)}, timeout=seconds)

    def take_in_thread(self, seconds: float) -> None:
        """The same, in a thread that has nothing else to do."""
        if (coming := self._come()) is not None:
            wait({coming}, timeout=seconds)

    def give_back(self) -> None:
        """Let the next one have it."""
        with self._guard:
            self._is_wanted = False
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave the line."""
        with self._guard:
            self._is_closed = True
            os.close(self._fd)

    def _come(self) -> "Future[None] | None":
        """What comes to its end when it is our turn; None when it is now."""
        with self._guard:
            self._is_wanted = True
            if self._coming is None:
                with suppress(BlockingIOError):
                    fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return None
                self._coming = Future()
                # A thread of its own: a process that is stopped in mid-transaction must not use up anybody else's.
                threading.Thread(target=self._wait, name="turn", daemon=True).start()
            return self._coming

    def _wait(self) -> None:
        with suppress(OSError):  # closed meanwhile
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        with self._guard:
            coming, self._coming = self._coming, None
            if not self._is_wanted and not self._is_closed:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        if coming is not None and coming.set_running_or_notify_cancel():
            coming.set_result(None)
