"""The client of a bench as a process of its own: as many connections as wanted, or messages at a fixed rate.

A line of JSON on its standard input is a job, a line on its standard output is what came of it. It speaks just as much
HTTP as the answers need, so that it is not what is measured: `client_ms` is its own CPU for a message.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parents[1]
OK = (200, 201)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Job:
    """What to send where: by `rate` messages a second for so many seconds, else by every connection without a pause.

    `messages` ends it, too. Connection n writes for every n-th user, so that nobody waits for a user's lock.
    """

    port: int
    key: str
    users: int
    connections: int
    seconds: float
    rate: int = 0
    messages: int = 10**9


@dataclass(slots=True)
class Result:
    """How long each message took, in milliseconds; at a rate, from the moment when it had to be sent."""

    ms: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0
    client_ms: float = 0.0

    @property
    def per_second(self) -> float:
        """Messages that were answered, a second."""
        return len(self.ms) / self.seconds


def identity(user: int) -> str:
    """Who writes."""
    return f"+39333{user:07}"


class Connection:
    """One connection that stays open, and the users that write over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, job: Job, number: int) -> None:
        self._reader, self._writer = reader, writer
        self._head = (
            f"POST /conversations HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {job.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )
        self._identities = [identity(user) for user in range(number, job.users, job.connections)]
        self._prefix = f"wamid.{time.time_ns()}.{number}."
        self._sent = 0

    async def ask(self) -> bool:
        """Send the next message; False when the answer is an error."""
        writes = self._identities[self._sent % len(self._identities)]
        self._sent += 1
        body = (
            f'{{"identity":"{writes}","message":{{"id":"{self._prefix}{self._sent}",'
            f'"text":"Buongiorno, avete la farina tipo 00 da 25 kg? ({self._sent})"}}}}'
        )
        self._writer.write(f"{self._head}{len(body)}\r\n\r\n{body}".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None, head
        await self._reader.readexactly(int(length[1]))
        return int(head[9:12]) in OK

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def work(job: Job) -> Result:
    """Do a job; connecting is not timed."""
    made = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", job.port) for _ in range(job.connections)))
    connections = [Connection(reader, writer, job, number) for number, (reader, writer) in enumerate(made)]
    result = Result()
    began, used = time.perf_counter(), time.process_time()
    await (_at_rate(job, connections, result) if job.rate else _closed(job, connections, result))
    result.seconds = time.perf_counter() - began
    result.client_ms = (time.process_time() - used) * 1000 / max(len(result.ms) + result.errors, 1)
    for connection in connections:
        connection.close()
    return result


async def _closed(job: Job, connections: list[Connection], result: Result) -> None:
    ends = time.perf_counter() + job.seconds
    left = job.messages

    async def talk(connection: Connection) -> None:
        nonlocal left
        while left > 0 and (now := time.perf_counter()) < ends:
            left -= 1
            await _timed(connection, now, result)

    await asyncio.gather(*map(talk, connections))


async def _at_rate(job: Job, connections: list[Connection], result: Result) -> None:
    """Send when it is time, whatever became of those before; who finds no free connection waits, and it counts."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def send(due: float) -> None:
        connection = await free.get()
        await _timed(connection, due, result)
        free.put_nowait(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as sent:
        for number in range(int(job.rate * job.seconds)):
            due = began + number / job.rate
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            sent.create_task(send(due))


async def _timed(connection: Connection, since: float, result: Result) -> None:
    if await connection.ask():
        result.ms.append((time.perf_counter() - since) * 1000)
    else:
        result.errors += 1


@contextmanager
def client() -> Iterator[Callable[[Job], Result]]:
    """Start the process, and yield what does a job in it."""
    command = [sys.executable, "-m", "bench.load"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdin is not None
        assert process.stdout is not None
        orders, results = process.stdin, process.stdout

        def do(job: Job) -> Result:
            print(json.dumps(asdict(job)), file=orders, flush=True)
            return Result(**json.loads(results.readline()))

        yield do
        orders.close()


def main() -> None:
    """Do one job after the other."""
    for line in sys.stdin:
        print(json.dumps(asdict(uvloop.run(work(Job(**json.loads(line)))))), flush=True)


if __name__ == "__main__":
    main()
