"""The service over a socket, as an example sees it, and processes that are really started and really killed."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from convo_service.services.keys import Scope
from tests.conftest import Clock
from tests.serving import served

ADMIN_KEY = "k" * 40
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True, slots=True)
class Service:
    """Where it is, and a gateway's key to it."""

    url: str
    key: str


@pytest.fixture
def database_url(migrated: Path, tmp_path: Path) -> str:
    """SQLite alone: an example sees nothing of the database."""
    shutil.copy(migrated, tmp_path / "convo.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'convo.db'}"


@pytest.fixture
def env() -> dict[str, object]:
    """A model for turns."""
    return {"openai_model": "gpt-5-mini"}


@pytest.fixture
async def service(app: FastAPI, clock: Clock) -> AsyncIterator[Service]:
    """The service, listening."""
    _, key = await app.state.services.keys.create("example", Scope.GATEWAY, now=clock())
    async with served(app) as url:
        yield Service(url, str(key))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def running(folder: Path, script: str, *arguments: str, **environment: str) -> AsyncIterator["Running"]:
    """An example as a process of its own, with nothing in its environment but what it is given."""
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(EXAMPLES.parent / "src"))))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        *arguments,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    found = Running(process)
    try:
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        found.said = (await process.communicate())[0].decode()


@dataclass(slots=True)
class Running:
    """A process, and what it said, once it is over."""

    process: asyncio.subprocess.Process
    said: str = ""


@pytest.fixture
async def served_with_emulator(database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """The service as a process, as `make run` starts it without a key of OpenAI."""
    port = free_port()
    more = {"DATABASE_URL": database_url, "BOOTSTRAP_ADMIN_KEY": ADMIN_KEY}
    command = ("convo_service.cli", "serve", "--emulator-without-key", "--port", str(port))
    async with running(tmp_path, "-m", *command, **more), httpx.AsyncClient() as http:
        async with asyncio.timeout(30):
            while True:
                try:
                    await http.get(f"http://127.0.0.1:{port}/readyz")
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
                else:
                    break
        yield f"http://127.0.0.1:{port}"
