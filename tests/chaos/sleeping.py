"""A replica that falls asleep between seeding and T4, and goes on when somebody else has taken its opening over."""

import asyncio
from typing import Any

from convo_service import crashing
from tests.chaos import evidence
from tests.chaos.crashes import TRIES, fill
from tests.chaos.gateway import Gateway
from tests.chaos.replicas import Broken, until
from tests.chaos.world import CREATE, World

ASLEEP = f"{crashing.SEEDED}:1:SIGSTOP"
TEXT, ID = "Avete il lievito?", "wamid.asleep"


class Sleeper:
    """Without a fence it would finish what it began, with a conversation that is in the garbage by then."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway
        self._replica = world.replica(3)
        self._identity = ""
        self._asked: asyncio.Task[Any] | None = None

    async def fall_asleep(self) -> None:
        """Bring it to where it stops itself; one that OpenAI was too slow for gets another user."""
        for number in range(TRIES):
            self._identity = f"+3934999999{number:02}"
            await fill(self._gateway, self._identity, first=0)
            await self._replica.start(**{crashing.VARIABLE: ASLEEP})
            self._asked = asyncio.create_task(self._send_once())
            await until(self._is_seeded_or_done, "the sleeper's seed")
            if not self._asked.done():
                return
            await self._replica.kill()
            await self._say()
        raise Broken("the sleeper never fell asleep")

    async def wake_up_late(self) -> None:
        """Let it go on while another replica, which has taken over, waits for OpenAI."""
        await until(self._lease_is_over, "the sleeper's lease")
        before = await evidence.opening(self._world.database_url, self._identity)
        await self._world.fail_next(CREATE, delay=4)
        said = asyncio.create_task(self._say())

        async def is_taken_over() -> bool:
            now = await evidence.opening(self._world.database_url, self._identity)
            return now is None or before is None or now.attempt_id != before.attempt_id

        await until(is_taken_over, "somebody takes the sleeper's opening over")
        self._replica.wake()
        if self._asked is not None:
            await self._asked
        await said
        await self._world.heal()

    async def _say(self) -> None:
        await self._gateway.say(self._identity, TEXT, id_=ID)
        await self._gateway.settle(self._identity, "E il malto?")

    async def _send_once(self) -> Any:
        return await self._gateway.once(self._replica, self._identity, TEXT, ID)

    async def _is_seeded_or_done(self) -> bool:
        found = await evidence.opening(self._world.database_url, self._identity)
        remote = self._world.remotes().get(found.remote_id or "") if found is not None else None
        return (remote is not None and bool(remote.items)) or (self._asked is not None and self._asked.done())

    async def _lease_is_over(self) -> bool:
        found = await evidence.opening(self._world.database_url, self._identity)
        return found is None or bool(found.is_over)

    def close(self) -> None:
        """End it."""
        self._replica.close()
