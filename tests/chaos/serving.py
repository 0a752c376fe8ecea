"""What a forked process becomes: the service's own `serve`, or the emulator with its state in a file.

The fork server has imported this module already, so that a replica is back a moment after it was killed.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import aiosqlite  # noqa: F401
import asyncpg  # noqa: F401
import openai.resources.conversations
import openai.types.conversations  # noqa: F401
import stamina  # noqa: F401
import uvicorn
import uvicorn.loops.auto
import uvicorn.protocols.http.auto

import convo_service.app
import convo_service.worker
from convo_service.cli import main
from convo_service.llm.emulator import Emulator

CLOCK = "CHAOS_CLOCK"  # set: the app is given a clock that is wrong by what a file beside the log says


def service(port: int, env: Mapping[str, str], log: Path) -> None:
    """`convo-service serve`, with this environment and nothing of the caller's settings."""
    _become(env, log)
    if CLOCK in env:
        convo_service.app.create_app = partial(convo_service.app.create_app, clock=_wrong_clock(log))
    sys.argv = ["convo-service", "serve", "--host", "127.0.0.1", "--port", str(port)]
    main()


def shift(log: Path, seconds: float) -> None:
    """Set the clock of the replica that has this log wrong by so many seconds, also while it runs."""
    draft = log.with_suffix(".draft")
    draft.write_text(str(seconds))
    draft.replace(log.with_suffix(".clock"))


def _wrong_clock(log: Path) -> Callable[[], datetime]:
    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(log.with_suffix(".clock").read_text()))

    return clock


def worker(_port: int, env: Mapping[str, str], log: Path) -> None:
    """`convo-service worker`; it listens on no port."""
    _become(env, log)
    sys.argv = ["convo-service", "worker"]
    main()


def emulator(port: int, env: Mapping[str, str], log: Path) -> None:
    """OpenAI, whose state the harness reads in a file beside the log; the log has the URLs that it was asked."""
    _become(env, log)
    uvicorn.run(Emulator(log.with_name("openai.db")), port=port)


def _become(env: Mapping[str, str], log: Path) -> None:
    if sys.platform == "linux":  # else it outlives a harness that is killed
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(log.parent)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
