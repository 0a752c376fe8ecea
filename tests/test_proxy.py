"""The proxy of the compose file, with its very configuration, before two replicas of which one is killed."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from convo_service.db.engine import open_database
from tests.canaries import Canaries
from tests.gateway import Gateway, assert_problem

ROOT = Path(__file__).parents[1]
CONFIG = (ROOT / "ops" / "haproxy.cfg").read_text()
HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
KEY = "an admin key from outside, for tests"
GATEWAYS = 8
SECONDS = 3.0
CUT = "cut"  # an answer that ended in its middle

pytestmark = [
    pytest.mark.skipif(HAPROXY is None, reason="no haproxy on this machine"),
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], folder: Path, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process, until the end of the block."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, env={**os.environ, **more}, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Installation:
    """Two replicas on one database, and the proxy before them."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.port, *self.ports = (free_port() for _ in range(3))
        self._folder = folder
        self._environment = {
            "DATABASE_URL": database_url,
            "BOOTSTRAP_ADMIN_KEY": KEY,
            "KEY_PEPPER": "pepper",
            "WORKER_ENABLED": "false",
        }
        self._stack = ExitStack()
        self.canaries = Canaries({KEY})

    def client(self) -> httpx.AsyncClient:
        """A gateway's, of the proxy; what it sends may stand in no output of the three."""
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=20,
            event_hooks={"request": [self.canaries.overhear]},
        )

    def serve(self, port: int) -> "subprocess.Popen[bytes]":
        """Start a replica."""
        command = [sys.executable, "-m", "convo_service.cli", "serve", "--emulator", "--port", str(port)]
        return self._stack.enter_context(running(command, self._folder, **self._environment))

    def proxy(self) -> None:
        """Start the proxy: only the addresses are others than in the compose file."""
        text = re.sub("^    bind :8000", f"    bind 127.0.0.1:{self.port}", CONFIG, flags=re.MULTILINE)
        for name, port in zip(("convo-a", "convo-b"), self.ports, strict=True):
            text = text.replace(f"{name}:8000", f"127.0.0.1:{port}")
        (self._folder / "haproxy.cfg").write_text(text)
        self._stack.enter_context(running([HAPROXY or "", "-db", "-f", "haproxy.cfg"], self._folder))

    def close(self) -> None:
        """End all of it."""
        self._stack.close()


@pytest.fixture
def installation(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    """An installation of which nothing runs yet."""
    made = Installation(tmp_path, database_url)
    yield made
    made.close()
    made.canaries.look_at_files(tmp_path)
    made.canaries.complain()


async def until_ready(http: httpx.AsyncClient, url: str) -> None:
    """Wait for somebody who is ready."""
    for _ in range(300):
        try:
            if (await http.get(f"{url}/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(url)


async def talk(http: httpx.AsyncClient, number: int, seconds: float, found: Counter[str]) -> None:
    """One gateway, which repeats nothing: each message has one try."""
    gateway, ends = Gateway(http), time.monotonic() + seconds
    for sent in count():
        if time.monotonic() > ends:
            return
        try:
            answer = await gateway.post("ciao", identity=f"+3933300000{number:02}", id=f"wamid.{number}.{ends}.{sent}")
            found[str(answer.status_code)] += 1
        except httpx.RemoteProtocolError:
            found[CUT] += 1


@pytest.mark.parametrize(("how", "cut"), [(signal.SIGTERM, 0), (signal.SIGKILL, 1)])
async def test_a_replica_dies_under_load(installation: Installation, how: signal.Signals, cut: int) -> None:
    """While one of two replicas is stopped, every message of eight users is answered at its first try; when it is
    killed, all but the one whose answer it was just writing.
    """
    replicas = [installation.serve(port) for port in installation.ports]
    installation.proxy()
    found: Counter[str] = Counter()
    async with installation.client() as http:
        for url in (*(f"http://127.0.0.1:{port}" for port in installation.ports), ""):
            await until_ready(http, url)
        await asyncio.gather(
            *(talk(http, number, 0.1, found) for number in range(GATEWAYS))
        )  # opens, and that can wait
        talking = asyncio.gather(*(talk(http, number, SECONDS, found) for number in range(GATEWAYS)))
        await asyncio.sleep(SECONDS / 3)
        replicas[0].send_signal(how)
        await talking
        await asyncio.to_thread(replicas[0].wait, 10)
        stored = await Gateway(http).listed("/users", limit=100)
    assert (set(found) <= {"200", "201", CUT}, found[CUT] <= cut) == (True, True), found
    assert sum(user["message_count"] for user in stored) == found.total() > GATEWAYS


async def test_nobody_is_ready(installation: Installation, database_url: str) -> None:
    """When no replica is ready, one of them says so itself, with Retry-After; without any the proxy answers 503."""
    installation.proxy()
    async with installation.client() as http:
        await asyncio.sleep(1)
        assert (await http.get("/livez")).status_code == 503
        installation.serve(installation.ports[0])
        await until_ready(http, "")
        database = open_database(database_url)
        async with database.write.begin() as tx:
            await tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        await database.close()
        await asyncio.sleep(3)
        assert assert_problem(await http.get("/readyz"), 503, "migrations_pending")
