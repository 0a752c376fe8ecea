"""Processes that write to one SQLite file take turns, in the order in which they came.

SQLite's own waiting looks again after up to 100 ms, so that a process with a queue of writers wins again and again:
with two processes of eight writers the longest wait was about 2 s, with turns 0.1 to 0.3 s. It costs the median, as
nobody is served before his time any more.
"""

import asyncio
import fcntl
import os
import threading
from contextlib import suppress


class Turn:
    """One connection's place in the line: a lock on a file beside the database, of which a killed process lets go."""

    def __init__(self, database: str) -> None:
        """Raises OSError where no file can be made."""
        self._fd = os.open(f"{database}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._coming: asyncio.Future[None] | None = None
        self._is_wanted = False
        self._is_closed = False

    async def take(self, seconds: float) -> None:
        """Wait for the turn, so long at most: who waits in vain goes on without it, and SQLite decides."""
        self._is_wanted = True
        if self._coming is None:
            if self._is_free():
                return
            self._coming = self._wait_in_a_thread()
        await asyncio.wait({self._coming}, timeout=seconds)

    def give_back(self) -> None:
        """Let the next one have it."""
        self._is_wanted = False
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave the line."""
        os.close(self._fd)
        self._is_closed = True

    def _is_free(self) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _wait_in_a_thread(self) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        coming = loop.create_future()

        def wait() -> None:
            with suppress(OSError, RuntimeError):  # closed meanwhile: the connection, or the loop
                fcntl.flock(self._fd, fcntl.LOCK_EX)
                loop.call_soon_threadsafe(self._arrived, coming)

        # A thread of its own: a process that is stopped in mid-transaction must not use up those of everybody else.
        threading.Thread(target=wait, name="turn", daemon=True).start()
        return coming

    def _arrived(self, coming: "asyncio.Future[None]") -> None:
        self._coming = None
        if not self._is_wanted and not self._is_closed:
            self.give_back()
        if not coming.done():
            coming.set_result(None)
