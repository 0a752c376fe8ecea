"""Plays the story through the real service, over HTTP, as a gateway does that calls OpenAI itself."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from convo_service.app import create_app
from convo_service.demo.script import START, Customer, Event, Side, events
from convo_service.demo.story import CAST
from convo_service.demo.table import Row
from convo_service.llm.client import LLMClient
from convo_service.llm.demo_model import MODEL, Reply, ScriptedModel
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.settings import Settings

PAGE = 50
AT_ONCE = timedelta(seconds=1)  # a ready-made answer needs no model


class StoryClock:
    """The time as the service sees it: it stands still between two lines of the story."""

    def __init__(self) -> None:
        self.now: datetime = START

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@dataclass(slots=True)
class Talk:
    """What the gateway knows of one customer, and what her talk has used so far."""

    endless_id: str
    user_id: str = ""
    conversation_id: str = ""
    webhook: dict[str, Any] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    input_tokens: int = 0
    endless_tokens: int = 0


class Gateway:
    """A WhatsApp gateway: it asks the service for the conversation, the model for the reply, and stores both."""

    def __init__(self, http: httpx.AsyncClient, windows: ScriptedModel, endless: ScriptedModel) -> None:
        self.http = http
        self._windows = windows
        self._endless = endless
        self._talks: dict[str, Talk] = {}
        self._said = 0

    async def play(self, event: Event) -> None:
        """Do what a line of the story says."""
        talk = await self._talk(event.customer)
        match event.side:
            case Side.CUSTOMER | Side.LATE:
                await self._hear(talk, event)
            case Side.BOT:
                await self._answer(talk, event)
            case Side.AGAIN:
                await self._deliver(talk, event)
            case Side.OPERATOR:
                talk.conversation_id = (await self._call("POST", f"/users/{talk.user_id}/reset"))["id"]

    async def rows(self, cast: Sequence[Customer]) -> list[Row]:
        """What the service knows of each customer by now, as its API tells it, and what was measured on the way."""
        return [await self._row(self._talks[one.identity]) for one in cast]

    async def _talk(self, customer: Customer) -> Talk:
        if customer.identity not in self._talks:
            self._talks[customer.identity] = Talk(await self._endless.open_conversation())
        return self._talks[customer.identity]

    async def _hear(self, talk: Talk, event: Event) -> None:
        message = {"id": self._next_id(), "text": event.text, "sent_at": event.sent_at.isoformat()}
        talk.webhook = {"identity": event.customer.identity, "message": message}
        is_new = not talk.user_id
        await self._deliver(talk, event)
        if is_new and event.customer.profile:
            await self._call("PUT", f"/users/{talk.user_id}/profile", json=event.customer.profile)

    async def _deliver(self, talk: Talk, event: Event) -> None:
        """Take a webhook; one that was taken before needs no answer."""
        given = await self._call("POST", "/conversations", json=talk.webhook)
        if given["duplicate"]:
            return
        talk.user_id = given["conversation"]["user_id"]
        talk.conversation_id = given["conversation"]["id"]
        if given["reply"] is not None:
            await self._store(talk, given["reply"], event.at + AT_ONCE)
        if given["input"] is not None:
            talk.unanswered.append(given["input"])

    async def _answer(self, talk: Talk, event: Event) -> None:
        """Ask the model in the window's conversation; the endless one gets the same, and only tells what it used."""
        said = "\n".join(talk.unanswered)
        talk.unanswered.clear()
        reply = await self._windows.reply(talk.conversation_id, said, scripted=event.text)
        endless = await self._endless.reply(talk.endless_id, said, scripted=event.text)
        talk.input_tokens += reply.input_tokens
        talk.endless_tokens += endless.input_tokens
        await self._store(talk, reply.text, event.at, usage=_usage(reply, endless))

    async def _store(self, talk: Talk, text: str, at: datetime, **more: Any) -> None:
        message = {"direction": "outbound", "text": text, "id": self._next_id(), "sent_at": at.isoformat(), **more}
        await self._call("POST", f"/conversations/{talk.conversation_id}/messages", json={"messages": [message]})

    async def _row(self, talk: Talk) -> Row:
        user = await self._call("GET", f"/users/{talk.user_id}")
        found = [one async for one in self._listed("/conversations", user_id=talk.user_id)]
        found.sort(key=lambda one: str(one["created_at"]))
        seed = found[-1]["seed"]
        return Row(
            user=user["display_name"] or user["identities"][0],
            reasons=tuple(one["created_reason"] for one in found),
            messages=user["message_count"],
            seed_tokens=seed["tokens"] if seed else None,
            input_tokens=talk.input_tokens,
            endless_tokens=talk.endless_tokens,
        )

    async def _listed(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Every row of a list, page by page."""
        place: dict[str, str] = {}
        while True:
            page = await self._call("GET", path, params={**query, **place, "limit": str(PAGE)})
            for row in page["data"]:
                yield row
            if not page["has_more"]:
                return
            place = {"after": page["last_id"]}

    async def _call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = await self.http.request(method, path, **more)
        answer.raise_for_status()
        return dict(answer.json())

    def _next_id(self) -> str:
        self._said += 1
        return f"wamid.demo{self._said:04}"


async def play(settings: Settings, cast: Sequence[Customer] = CAST) -> list[Row]:
    """Play the story into a migrated database that holds no users, and tell what came of it, a row per customer."""
    clock = StoryClock()
    async with _gateway(settings, clock) as gateway:
        for event in events(cast):
            clock.now = event.at
            await gateway.play(event)
        return await gateway.rows(cast)


@asynccontextmanager
async def _gateway(settings: Settings, clock: StoryClock) -> AsyncIterator[Gateway]:
    """The service in this process, with an emulator behind it, a second one beside it, and a key for a moment."""
    async with AsyncExitStack() as stack:
        emulator = stack.enter_context(closing(Emulator(settings.emulator_file if settings.is_sqlite else None)))
        endless = stack.enter_context(closing(Emulator()))
        app = create_app(settings, llm=LLMClient.against(emulator), clock=clock)
        await stack.enter_async_context(app.router.lifespan_context(app))
        keys = app.state.services.keys
        row, key = await keys.create("demo", Scope.ADMIN, now=clock())
        stack.push_async_callback(keys.revoke, row.id, now=clock())
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://convo",
            headers={"Authorization": f"Bearer {key}"},
        )
        models = ScriptedModel(emulator), ScriptedModel(endless)
        for model in models:
            stack.push_async_callback(model.close)
        yield Gateway(await stack.enter_async_context(http), *models)


def _usage(reply: Reply, endless: Reply) -> dict[str, Any]:
    return {
        "model": MODEL,
        "input_tokens": reply.input_tokens,
        "cached_input_tokens": reply.cached_input_tokens,
        "output_tokens": reply.output_tokens,
        "baseline_input_tokens": endless.input_tokens,
    }
