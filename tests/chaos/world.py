"""A world to break: the emulator, replicas of the service on one database, and the gateway's HTTP client."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.canaries import Canaries
from tests.chaos import serving
from tests.chaos.evidence import Remote, remotes, reserving, watch
from tests.chaos.replicas import Broken, Replica, free_port

KEY = "csk_chaos_" + "0" * 32
CAP = 4  # messages of a conversation: every fifth message rolls over
CREATE = "conversations.create"
KNOBS = {
    "OPENAI_API_KEY": "sk-emulator",
    "BOOTSTRAP_ADMIN_KEY": KEY,
    "KEY_PEPPER": "pepper",
    "WORKER_ENABLED": "false",
    "RATE_LIMIT_PER_MINUTE": "1000000",
    "USER_TURNS_PER_MINUTE": "1000000",
    "USER_RESETS_PER_HOUR": "1000000",
    "LOG_FORMAT": "json",
    "PYTHONUNBUFFERED": "1",
    "MAX_CONVERSATION_MESSAGES": str(CAP),
}
# Whoever is alive makes up what is owed; what the dead left at OpenAI rests a minute first.
WORKING = {"WORKER_ENABLED": "true", "SWEEP_INTERVAL_SECONDS": "0.5"}


class Leaked(Broken):
    """What was said to the service stands in an output of a process, or in a URL that OpenAI was asked."""


@dataclass(slots=True)
class World:
    """Everything that runs, and how often it was killed."""

    database_url: str
    folder: Path
    http: httpx.AsyncClient
    emulator: Replica
    replicas: list[Replica]
    knobs: Mapping[str, str]
    kills: int = 0
    cut: set[str] = field(default_factory=set)  # attempts that a kill found between T1 and T3: one kill can cut several

    async def kill(self, replica: Replica) -> None:
        """`kill -9`, counted."""
        self.kills += 1
        self.cut |= await reserving(self.database_url)
        await replica.kill()

    async def fail_next(self, operation: str, **how: Any) -> None:
        """Order a fault of the emulator."""
        await self._command("faults", {"operation": operation, **how})

    async def heal(self) -> None:
        """Take back all faults that nobody has met yet."""
        await self._command("reset", {})

    async def _command(self, name: str, how: dict[str, Any]) -> None:
        # A connection that was idle may be closed in the moment in which it is used again.
        async with httpx.AsyncClient() as fresh:
            (await fresh.post(f"{self.emulator.url}/_emulator/{name}", json=how)).raise_for_status()

    def remotes(self) -> dict[str, Remote]:
        """The conversations at OpenAI."""
        return remotes(self.folder / "openai.db")

    def lost_answers(self) -> int:
        """How often a replica asked for a conversation and got no answer, as its log says."""
        found = self._events("openai_failed")
        return sum(one.get("operation") == CREATE and one.get("status") is None for one in found)

    def database_failures(self) -> int:
        """How often the database did not do what it was asked in time: each may have been a T3."""
        return sum(len(self._events(name)) for name in ("database_failed", "owed_skipped"))

    @property
    def faults(self) -> int:
        """What may have cut off an opening between OpenAI's answer and T3."""
        return self.kills + self.lost_answers() + self.database_failures()

    def _events(self, name: str) -> list[dict[str, Any]]:
        return [event for log in self.folder.glob("replica-*.log") for event in _events(log, name)]

    def replica(self, number: int) -> Replica:
        """One more replica; not started."""
        return Replica(serving.service, "/readyz", self._env(), self.folder / f"replica-{number}.log", self.http)

    def worker(self, number: int) -> Replica:
        """A worker on its own; not started, and counted as a replica by what its log says."""
        return Replica(serving.worker, None, self._env(), self.folder / f"replica-worker-{number}.log", self.http)

    def _env(self) -> dict[str, str]:
        address = {"DATABASE_URL": self.database_url, "OPENAI_BASE_URL": f"{self.emulator.url}/v1"}
        return {**KNOBS, **self.knobs, **address}

    async def calls(self) -> dict[str, int]:
        """What OpenAI was asked so far."""
        async with httpx.AsyncClient() as fresh:
            return dict((await fresh.get(f"{self.emulator.url}/_emulator/calls")).json())


def _events(log: Path, name: str) -> list[dict[str, Any]]:
    lines = [line for line in log.read_text(errors="replace").splitlines() if f'"{name}"' in line]
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@asynccontextmanager
async def running(
    database_url: str, folder: Path, knobs: Mapping[str, str], *, shifts: Sequence[float] = ()
) -> AsyncIterator[World]:
    """Run replicas and OpenAI on a migrated database; everything ends with the block.

    `shifts`: one replica for each, whose clock is wrong by so many seconds; without any, two whose clocks are right.
    """
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        headers = {"Authorization": f"Bearer {KEY}"}
        canaries = Canaries()
        hooks = {"request": [canaries.overhear]}
        http = await stack.enter_async_context(
            httpx.AsyncClient(headers=headers, limits=limits, timeout=30, event_hooks=hooks)
        )
        # It comes back where it was: the replicas know one address of OpenAI.
        emulator = Replica(serving.emulator, "/_emulator/calls", {}, folder / "openai.log", http, port=free_port())
        stack.callback(emulator.close)
        await emulator.start()
        watch(folder / "openai.db")
        if shifts:
            knobs = {**knobs, serving.CLOCK: "wrong"}
        world = World(database_url, folder, http, emulator, [], knobs)
        for number, seconds in enumerate(shifts or (0, 0), start=1):
            replica = world.replica(number)
            serving.shift(replica.log, seconds)
            stack.callback(replica.close)
            world.replicas.append(replica)
        await asyncio.gather(*(replica.start() for replica in world.replicas))
        yield world
        canaries.look_at_files(folder)
        if canaries.found:
            raise Leaked("\n".join(canaries.found))
