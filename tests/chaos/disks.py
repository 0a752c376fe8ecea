"""A disk that fills up: writes are refused and say when to come again, reads go on, and room is all that it takes.

The disk is a small tmpfs. On SQLite the file lies on it, with its log. On PostgreSQL the tables lie on it, in a
tablespace, and the server's own log does not: a server without room for that stops itself, reads and all, and whoever
runs it has to start it again. That is a scenario of its own: nothing is lost, and the replicas find it again.
"""

import asyncio
import os
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from alembic.command import upgrade

from convo_service.db import migrations
from tests import postgres
from tests.chaos import clusters
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import violations
from tests.chaos.replicas import free_port, until
from tests.chaos.scenario import POSTGRES, SQLITE, Outcome, Scenario, case_of
from tests.chaos.world import World, running
from tests.postgres import Server

SIZE = "24m"
SERVER_SIZE = "160m"
CHUNK = bytes(64 * 1024)
USERS = 4
REFUSALS = 12  # of writes, until the disk counts as full
MOST_WRITES = 4000
AGAIN_SECONDS = 5.0  # from the room to the first success of each replica
TEXT = "Vorrei un preventivo per la farina. " * 40


class NotAllowed(Exception):
    """This machine lets nobody make a small disk."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder on a small disk, and the file that fills it."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Leave no byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for chunk in (CHUNK, CHUNK[:4096]):
                try:
                    while file.write(chunk):
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """Throw the ballast away."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, owner: int, size: str = SIZE) -> Iterator[Disk]:
    """Mount one; raises NotAllowed."""
    folder.mkdir()
    options = f"size={size},mode=0700,uid={owner}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise NotAllowed(str(error)) from error
    if done.returncode:
        raise NotAllowed(done.stderr.strip().partition("\n")[0])
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)  # noqa: S603, S607


def disk_full() -> Scenario:
    """The disk with the tables is full for a while."""

    async def run(url: str, folder: Path) -> Outcome:
        on_a_disk = _sqlite(folder) if url.startswith(SQLITE) else _tablespace()
        try:
            async with on_a_disk as (where, disk), running(where, folder, {}) as world:
                return await _play(world, disk)
        except NotAllowed as error:
            return Outcome(str(error), [], is_shown=False)

    promise = "writes 503 with Retry-After, reads 200, no 500; with room again, writes succeed without a restart"
    return Scenario("disk full (on PostgreSQL: the tables' disk)", promise, run)


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[tuple[str, Disk]]:
    with small_disk(folder / "disk", os.geteuid()) as disk:
        url = f"sqlite+aiosqlite:///{disk.folder / 'convo.db'}"
        await asyncio.to_thread(upgrade, migrations.config(url), "head")
        yield url, disk


@asynccontextmanager
async def _tablespace() -> AsyncIterator[tuple[str, Disk]]:
    with (
        postgres.made({**postgres.SAFE, **clusters.over_tcp(free_port())}) as server,
        small_disk(server.base / "disk", server.user) as disk,
    ):
        server.initialise()
        server.start()
        yield await clusters.create(server, tablespace=str(disk.folder)), disk


def server_out_of_room() -> Scenario:
    """The whole server lies on the full disk, its log too."""

    async def run(_url: str, folder: Path) -> Outcome:
        settings = {**postgres.SAFE, "min_wal_size": "32MB", "max_wal_size": "64MB"}
        with postgres.made({**settings, **clusters.over_tcp(free_port())}) as server:
            try:
                with small_disk(server.data, server.user, SERVER_SIZE) as disk:
                    server.initialise()
                    server.start()
                    async with running(await clusters.create(server), folder, {}) as world:
                        return await _stop_and_go(world, disk, server)
            except NotAllowed as error:
                return Outcome(str(error), [], is_shown=False)

    promise = "no 500, nothing acknowledged lost; when the server is back, writes succeed without a restart"
    return Scenario("disk full (PostgreSQL's own log, it stops)", promise, run, (POSTGRES,))


async def _stop_and_go(world: World, disk: Disk, server: Server) -> Outcome:
    gateway = Gateway(world.http, world.replicas)
    people = [f"+39345{number:07}" for number in range(USERS)]
    await asyncio.gather(*(gateway.say(who, "Buongiorno") for who in people))
    disk.fill()
    await clusters.execute(server, "SELECT pg_switch_wal()")  # the next write needs a segment that has no room
    for number in range(REFUSALS):
        await asyncio.gather(*(gateway.once(replica, people[0], f"{number} {TEXT}") for replica in world.replicas))
    reads = Counter([(await world.http.get(f"{one.url}/conversations")).status_code for one in world.replicas])
    stopped, refused = server.has_ended, gateway.ledger.statuses[503]
    disk.make_room()
    if stopped:
        server.launch()
    await until(lambda: clusters.accepts(server), "PostgreSQL")
    took = await _write_again(gateway, people)
    await asyncio.gather(*(gateway.settle(who, "Grazie") for who in people))
    wrong = [f"{seconds:.1f} s until writes succeed" for seconds in took if seconds > AGAIN_SECONDS]
    wrong += [f"{status} of GET /conversations" for status in reads if status not in (200, 503)]
    wrong += [] if refused else ["the disk was never full"]
    figure = (
        f"the server {'stopped' if stopped else 'went on'}, {refused} writes refused, reads {dict(reads)}, "
        f"writes succeed {max(took):.2f} s after the server's return"
    )
    return Outcome(figure, [*violations(await case_of(world, gateway)), *wrong])


async def _play(world: World, disk: Disk) -> Outcome:
    gateway = Gateway(world.http, world.replicas)
    people = [f"+39344{number:07}" for number in range(USERS)]
    acks = [await gateway.say(who, "Buongiorno") for who in people]
    known = [ack.conversation_id for ack in acks if ack is not None]
    disk.fill()
    wrong = await _refused(world, gateway, people, known)
    refused = gateway.ledger.statuses[503]
    disk.make_room()
    took = await _write_again(gateway, people)
    await asyncio.gather(*(gateway.settle(who, "Grazie") for who in people))
    wrong += [f"{seconds:.1f} s until writes succeed" for seconds in took if seconds > AGAIN_SECONDS]
    case = await case_of(world, gateway)
    figure = f"{refused} writes refused, reads went on, writes succeed {max(took):.2f} s after there was room"
    return Outcome(figure, [*violations(case), *wrong])


async def _refused(world: World, gateway: Gateway, people: Sequence[str], known: Sequence[str]) -> list[str]:
    """Write until the disk has refused often enough; meanwhile everything that is there can be read."""
    wrong: list[str] = []
    for number in range(MOST_WRITES):
        replica = world.replicas[number % len(world.replicas)]
        answer = await gateway.once(replica, people[number % len(people)], f"{number} {TEXT}")
        if answer is None:
            wrong.append(f"message {number} had no answer")
        elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            wrong += _as_documented(answer) + await _read(world, known)
        if gateway.ledger.statuses[503] >= REFUSALS:
            return wrong
    return [*wrong, f"{MOST_WRITES} writes went well on a full disk"]


def _as_documented(answer: httpx.Response) -> list[str]:
    code = answer.json()["code"]
    return [] if code == "database_unavailable" else [f"503 with the code {code}"]


async def _read(world: World, known: Sequence[str]) -> list[str]:
    paths = ["/conversations", "/readyz", *(f"/conversations/{id_}/messages" for id_ in known)]
    urls = [replica.url + path for replica in world.replicas for path in paths]
    answers = await asyncio.gather(*(world.http.get(url) for url in urls))  # new connections to the database, too
    return [f"{one.status_code} of GET {one.url.path}" for one in answers if one.status_code != httpx.codes.OK]


async def _write_again(gateway: Gateway, people: Sequence[str]) -> list[float]:
    """The seconds until each replica, never started again, takes a message."""
    started = time.monotonic()
    took = []
    for replica in gateway.replicas:
        id_ = gateway.new_id()

        async def is_written(replica=replica, id_=id_) -> bool:  # type: ignore[no-untyped-def]
            answer = await gateway.once(replica, people[0], "C'è posto?", id_)
            return answer is not None and answer.is_success

        await until(is_written, "a write")
        took.append(time.monotonic() - started)
    return took
