"""An app's CPU for one message: the app is called as a server calls it, in this very process, without any socket.

Blocks of about a hundred messages, the apps in random order, compared within a round. The process's time counts all of
its threads, and nothing of the client, of the network, or of a PostgreSQL server.
"""

import asyncio
import json
import random
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from bench import load
from starlette.types import Message

BLOCK = 96  # messages: three of each when 32 write at once


@dataclass(slots=True)
class Driver:
    """Sends messages into one app."""

    app: Any
    key: str
    users: int
    sent: int = 0
    run: str = field(default_factory=lambda: secrets.token_hex(4))  # no message id comes twice, whoever drives

    async def block(self, at_once: int) -> float:
        """Milliseconds of CPU for a message, when so many users write at once."""
        began = time.process_time()
        await asyncio.gather(*(self._talk(user, BLOCK // at_once) for user in range(at_once)))
        return (time.process_time() - began) * 1000 / BLOCK

    async def _talk(self, user: int, messages: int) -> None:
        for number in range(messages):
            status = await self._ask(load.identity(user if messages < BLOCK else number % self.users))
            assert status in load.OK, status

    async def _ask(self, identity: str) -> int:
        self.sent += 1
        text = f"Buongiorno, avete la farina da 25 kg? ({self.sent})"
        message = {"id": f"wamid.{self.run}.{self.sent}", "text": text}
        body = json.dumps({"identity": identity, "message": message}).encode()
        status = 0

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        await self.app(self._scope(len(body)), receive, send)
        return status

    def _scope(self, length: int) -> dict[str, Any]:
        """As uvicorn makes it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": "POST",
            "root_path": "",
            "path": "/conversations",
            "raw_path": b"/conversations",
            "query_string": b"",
            "headers": [
                (b"host", b"bench"),
                (b"authorization", f"Bearer {self.key}".encode()),
                (b"content-type", b"application/json"),
                (b"content-length", str(length).encode()),
            ],
            "state": {},
        }


async def measure(apps: Mapping[str, Any], key: str, users: int, at_once: int, rounds: int) -> list[dict[str, float]]:
    """Milliseconds of CPU for a message of each app, round by round; one round before them warms up."""
    drivers = {name: Driver(app, key, users) for name, app in apps.items()}
    found = []
    async with AsyncExitStack() as open_apps:
        for app in apps.values():
            await open_apps.enter_async_context(app.router.lifespan_context(app))
        for _ in range(rounds + 1):
            order = random.sample(list(drivers), len(drivers))
            found.append({name: await drivers[name].block(at_once) for name in order})
    return found[1:]
