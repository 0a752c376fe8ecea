"""The same talk twice: as turns of the real service, and in one endless conversation for each customer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
import openai
import sqlalchemy as sa
from bench.exchanges import Exchange
from bench.lying import LyingModel
from bench.processes import Broken
from bench.reading import after_command
from bench.stage import StillClock, Worker
from bench.tapping import Count, Tap

from convo_service.app import create_app
from convo_service.db.models import ModelCall
from convo_service.domain.usage import Usage
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings


class Endless:
    """A gateway without windows: each customer has one conversation for ever."""

    def __init__(self, tap: Tap, emulator: Emulator, settings: Settings) -> None:
        self.tap = tap
        self._emulator = emulator
        self._settings = settings
        self._conversations: dict[str, str] = {}
        self._sdk = openai.AsyncOpenAI(
            api_key="emulator",
            base_url="http://emulator/v1",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(app=tap)),
        )

    async def ask(self, identity: str, text: str, *, scripted: str) -> Usage:
        """Have a message answered, with what we know to be the answer; what that used."""
        if identity not in self._conversations:
            self._conversations[identity] = (await self._sdk.conversations.create()).id
        self._emulator.reply_next(scripted)
        made = await self._sdk.responses.create(
            model=self._settings.openai_model or "",
            conversation=self._conversations[identity],
            instructions=self._settings.instructions or openai.omit,
            input=text,
        )
        used = made.usage
        assert used is not None
        return Usage(used.input_tokens, used.input_tokens_details.cached_tokens, 0, used.output_tokens)

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()


@dataclass(slots=True)
class Played:
    """What came of it: the service's ledger, what the same turns used without windows, and what the wire saw."""

    ledger: list[ModelCall]
    endless: dict[str, Usage]  # by turn
    window_prompts: int  # all that was sent, counted on the wire
    endless_prompts: int


@dataclass(slots=True)
class _World:
    http: httpx.AsyncClient
    worker: Worker
    clock: StillClock
    emulator: Emulator
    tap: Tap
    endless: Endless
    used: dict[str, Usage] = field(default_factory=dict)

    async def play(self, one: Exchange) -> None:
        """One turn at its time, after what the worker had to do before; then the same without windows."""
        await self.worker.work_until(one.sent_at)
        self.clock.now = one.sent_at
        rest = after_command(one.text)
        if rest != "":  # a command alone has a fixed reply
            self.emulator.reply_next(one.reply)
        message = {"id": one.id, "text": one.text, "sent_at": one.sent_at.isoformat()}
        answer = await self.http.post("/turns", json={"identity": one.identity, "message": message})
        turn: dict[str, Any] = answer.json()
        if not answer.is_success or turn["duplicate"]:
            raise Broken(f"a turn was answered {answer.status_code}: {turn.get('code')}")
        if rest != "":
            said = one.text if rest is None else rest
            self.used[turn["id"]] = await self.endless.ask(one.identity, said, scripted=one.reply)

    async def ledger(self) -> list[ModelCall]:
        async with self.worker.sweep.database.read.begin() as tx:
            return list((await tx.scalars(sa.select(ModelCall).order_by(ModelCall.called_at))).all())


async def play(settings: Settings, exchanges: Sequence[Exchange], count: Count) -> Played:
    """Play all exchanges into a migrated database that holds no users."""
    async with _world(settings, exchanges, count) as world:
        for one in exchanges:
            await world.play(one)
        await world.worker.work_until(world.clock.now + settings.window * 2)
        return Played(await world.ledger(), world.used, world.tap.prompts, world.endless.tap.prompts)


@asynccontextmanager
async def _world(settings: Settings, exchanges: Sequence[Exchange], count: Count) -> AsyncIterator[_World]:
    """The service in this process, with an emulator behind it and a second one beside it, on one clock."""
    clock = StillClock(exchanges[0].sent_at)
    async with AsyncExitStack() as stack:
        emulators = [Emulator(model=LyingModel(), count=count, clock=clock.seconds) for _ in range(2)]
        for emulator in emulators:
            stack.enter_context(closing(emulator))
        taps = [Tap(emulator, count) for emulator in emulators]
        llm = LLMClient.against(taps[0])
        app = create_app(settings, llm=llm, clock=clock)
        await stack.enter_async_context(app.router.lifespan_context(app))
        services = app.state.services
        _, key = await services.keys.create("bench", Scope.ADMIN, now=clock())
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://convo",
            headers={"Authorization": f"Bearer {key}"},
        )
        endless = Endless(taps[1], emulators[1], settings)
        stack.push_async_callback(endless.close)
        worker = Worker(Sweep(services.database, llm, settings, clock), clock)
        yield _World(await stack.enter_async_context(client), worker, clock, emulators[0], taps[0], endless)
