"""create_app(settings): engine, LLM client, services, routes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

from convo_service.db.engine import Database, open_database
from convo_service.llm.client import LLMClient
from convo_service.routes import (
    adapters,
    analytics,
    commands,
    contract,
    conversations,
    dashboard,
    docs,
    figures,
    health,
    messages,
    metrics,
    notes,
    privacy,
    problems,
    profiles,
    seeds,
    templates,
    topics,
    turns,
    users,
)
from convo_service.routes.deps import Services, only_known_parameters
from convo_service.routes.middleware import RequestEdge
from convo_service.services import bookkeeping
from convo_service.services.arrivals import Clock
from convo_service.services.budgets import Budgets
from convo_service.services.catalog import Catalogs
from convo_service.services.commands import Commands
from convo_service.services.conversations import ConversationService
from convo_service.services.erasures import Erasures
from convo_service.services.gauges import Gauges
from convo_service.services.keys import Keys
from convo_service.services.patience import settle
from convo_service.services.previews import Previews
from convo_service.services.revisions import Revisions
from convo_service.services.sessions import Sessions
from convo_service.services.summaries import Summaries
from convo_service.services.sweep import Sweep
from convo_service.services.turns import Turns
from convo_service.settings import Settings
from convo_service.telemetry import tracing

# The framework's own spans and logs hold paths, queries and the messages of errors; `RequestEdge` has what we want.
UNTOLD: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}

ROOMS = (
    conversations,
    messages,
    turns,
    users,
    privacy,
    profiles,
    notes,
    seeds,
    templates,
    topics,
    commands,
    adapters,
    analytics,
    figures,
    metrics,
    health,
    docs,
)  # in the order of the published contract
Beside = Callable[[Sweep], AbstractAsyncContextManager[None]]


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    *,
    llm: LLMClient | None = None,
    clock: Clock = utc_now,
    beside: Beside | None = None,
    books_every: float = bookkeeping.EVERY_SECONDS,
) -> FastAPI:
    """Assemble the service. `llm` and `clock` are given by whoever plays another world: tests, demo, emulator.

    `beside` is what runs as long as the app does, on the same database: the worker. `books_every` so many seconds it is
    written down what keys and users have used.
    """
    database = open_database(settings.database_url)
    client = llm or openai_client(settings)
    keys = Keys(database, settings)
    budgets = Budgets(settings, clock, keys.pepper)
    catalogs = Catalogs(database)
    service = ConversationService(database, client, settings, clock, budgets, catalogs)
    books = bookkeeping.beside((keys.note_uses, partial(budgets.counts.settle, database)), books_every)
    app = FastAPI(
        title="convo_service",
        version=version("convo-service"),
        description="Windows of conversation for WhatsApp bots on OpenAI's Conversations API.",
        lifespan=_lifespan(
            database, client, books, beside(Sweep(database, client, settings, clock)) if beside else nullcontext()
        ),
        dependencies=[Depends(only_known_parameters)],
        docs_url=None,  # its page loads scripts from another host; `routes.docs` has ours
        redoc_url=None,
        telemetry=UNTOLD,
        redirect_slashes=False,  # a redirect would be an answer without a key, and to the host that a caller names
    )
    app.state.services = Services(
        settings=settings,
        clock=clock,
        database=database,
        keys=keys,
        budgets=budgets,
        commands=Commands(catalogs, settings),
        conversations=service,
        catalogs=catalogs,
        turns=Turns(database, client, service, settings, clock, catalogs),
        previews=Previews(database, Summaries(database, client, settings, clock), settings, clock, catalogs),
        erasures=Erasures(database, settings, clock, keys.pepper),
        gauges=Gauges(database, client, clock),
        revisions=Revisions(database, settings, clock, keys.pepper),
        sessions=Sessions(database, settings, keys),
    )
    app.add_middleware(RequestEdge, max_body_bytes=settings.max_body_bytes)
    problems.install(app)
    for router in (conversations.hot, turns.hot, *(room.router for room in ROOMS)):
        app.include_router(router)
    app.router.routes.append(dashboard.Door(dashboard.make(app.state.services, UNTOLD)))
    app.openapi = lambda: contract.document(app)  # type: ignore[method-assign]
    return app


def openai_client(settings: Settings) -> LLMClient:
    """OpenAI as the settings name it."""
    key = settings.openai_api_key
    return LLMClient(api_key=key.get_secret_value() if key else "", base_url=settings.openai_base_url)


def _lifespan(
    database: Database,
    client: LLMClient,
    books: AbstractAsyncContextManager[None],
    worker: AbstractAsyncContextManager[None],
) -> Any:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(asyncio.to_thread(client.warm))
        async with books, worker:
            yield
        await settle()
        await warming
        await client.close()
        await database.close()
        await tracing.finish()

    return lifespan
