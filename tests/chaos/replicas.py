"""Processes that can be killed, stopped and started again; each start has a port of its own, unless it keeps one."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx

from tests.chaos import serving

START_SECONDS = 90  # of a slow machine on which everything starts at once
STARTS = 3  # the free port may be taken by somebody else in between
NOBODY = "http://127.0.0.1:1"  # the port of a dead process may be somebody else's by now
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")

_forks = get_context("forkserver")
# A fork imports its parent's main module once more: then what that needs had better be there.
_forks.set_forkserver_preload([serving.__name__, "tests.chaos.__main__", "pytest"])

Serve = Callable[[int, Mapping[str, str], Path], None]


class Broken(Exception):
    """The harness itself does not work; says nothing about the service."""


async def until(what: Callable[[], Awaitable[bool]], why: str, seconds: float = START_SECONDS) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not await what():
        if time.monotonic() > deadline:
            raise Broken(f"waited {seconds:.0f} s in vain: {why}")
        await asyncio.sleep(0.02)


class Replica:
    """One process, most often one that serves HTTP, and its place after a restart."""

    def __init__(
        self,
        serve: Serve,
        ready: str | None,  # the path that answers; None: it listens on no port
        env: Mapping[str, str],
        log: Path,
        http: httpx.AsyncClient,
        *,
        port: int | None = None,
    ) -> None:
        self.url = NOBODY
        self.log = log  # of all its lives
        self._serve = serve
        self._ready = ready
        self._port = port
        self._env = {**{name: os.environ[name] for name in KEPT if name in os.environ}, **env}
        self._http = http
        self._process: ForkServerProcess | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the process runs (or is stopped, and could go on)."""
        return self._process is not None and self._process.is_alive()

    async def start(self, **more: str) -> None:
        """Start it, with more environment, and wait until it is ready."""
        for _ in range(STARTS):
            if await self._start_once(more):
                return
        raise Broken(f"no start:\n{self.log.read_text(errors='replace')[-2000:]}")

    async def _start_once(self, more: Mapping[str, str]) -> bool:
        _ensure_fork_server()
        port = self._port or free_port()
        url = f"http://127.0.0.1:{port}"
        self._process = _forks.Process(target=self._serve, args=(port, {**self._env, **more}, self.log), daemon=True)
        self._process.start()
        await until(lambda: self._answers_or_ended(url), f"{url} answers, see {self.log}")
        self.url = url
        return self.is_alive

    async def _answers_or_ended(self, url: str) -> bool:
        if self._ready is None or not self.is_alive:
            return True
        try:
            return (await self._http.get(url + self._ready, timeout=5)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def ended(self) -> int | None:
        """Wait until the process is gone, and say how it ended."""
        await until(self._is_gone, f"the end of {self.url}")
        self.url = NOBODY
        return self._started().exitcode

    def terminate(self) -> None:
        """Ask it to end."""
        self._started().terminate()

    async def _is_gone(self) -> bool:
        return not self.is_alive

    async def kill(self) -> None:
        """End it at once; a stopped one too."""
        self._started().kill()
        await self.ended()

    def wake(self) -> None:
        """Let it go on after SIGSTOP."""
        os.kill(self._started().pid or 0, signal.SIGCONT)

    def _started(self) -> ForkServerProcess:
        if self._process is None:
            raise Broken("it was never started")
        return self._process

    def close(self) -> None:
        """End it, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()


def _ensure_fork_server() -> None:
    """Without the coverage that a test run wants of its processes: these get killed, and would only be slow."""
    hidden = {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith("COVERAGE_PROCESS")}
    forkserver.ensure_running()
    os.environ.update(hidden)


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
