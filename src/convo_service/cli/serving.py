"""Commands around the service itself: `serve`, `openapi` and `demo`."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convo_service.cli.common import database_errors, make_room, read_settings, require_migrated, start_telemetry, stop

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from convo_service.app import Beside
    from convo_service.settings import Settings

DRAIN_SECONDS = 10
GC_THRESHOLDS = (50_000, 20, 50)
EMULATED_MODEL = "emulator"
EMULATOR_PATH = "/emulator"
DEMO_DATABASE = Path("var/demo.db")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    emulator: Annotated[bool, typer.Option("--emulator", help="Put an emulator where OpenAI would be.")] = False,
    emulator_without_key: Annotated[
        bool, typer.Option("--emulator-without-key", help="Use the emulator when OPENAI_API_KEY is not set.")
    ] = False,
) -> None:
    """Serve the REST API."""
    import uvicorn

    from convo_service.routes.wire import BoundedHttp

    settings = read_settings()
    start_telemetry(settings)
    require_migrated(settings)
    without_openai = emulator or (emulator_without_key and settings.openai_api_key is None)
    service = _with_emulator(settings) if without_openai else _with_openai(settings)
    if settings.worker_enabled and not settings.model_for_summaries and not without_openai:
        typer.echo("No OPENAI_MODEL or SUMMARY_MODEL for summaries: seeds are made without a model.", err=True)
    _collect_seldom()
    uvicorn.run(
        service,
        host=host,
        port=port,
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _collect_seldom() -> None:
    """Keep the collector from looking again and again at all that was loaded: every look stops all requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def openapi() -> None:
    """Print the OpenAPI document."""
    import json

    from convo_service.app import create_app

    typer.echo(json.dumps(create_app(read_settings()).openapi(), indent=2, ensure_ascii=False))


def demo(
    database: Annotated[Path, typer.Option(help="A SQLite file that does not exist yet.")] = DEMO_DATABASE,
) -> None:
    """Play several weeks of an Italian B2B history and print what the windows change."""
    from urllib.parse import quote

    from convo_service import demo as story

    make_room(database)
    with database_errors(str(database)):
        try:
            story.run(f"sqlite+aiosqlite:///{quote(str(database))}", typer.echo)
        except story.DatabaseInUse as error:
            stop(str(error))


def _with_openai(settings: "Settings") -> "FastAPI":
    from convo_service.app import create_app

    if settings.openai_api_key is None:
        stop("OPENAI_API_KEY is not set. Set it, or try the service without OpenAI: convo-service serve --emulator")
    return create_app(settings, beside=_worker(settings))


def _with_emulator(settings: "Settings") -> "ASGIApp":
    from convo_service.app import create_app
    from convo_service.llm.client import LLMClient
    from convo_service.llm.emulator import Emulator

    typer.secho("EMULATOR: no model is behind this service; its replies say so. Not for real customers.", err=True)
    settings = settings.model_copy(update={"openai_model": settings.openai_model or EMULATED_MODEL})
    emulator = Emulator(settings.emulator_file)
    return _beside(create_app(settings, llm=LLMClient.against(emulator), beside=_worker(settings)), emulator)


def _beside(service: "FastAPI", emulator: "ASGIApp") -> "ASGIApp":
    """The emulator under a path of its own, for gateways that call OpenAI themselves."""

    async def either(scope: "Scope", receive: "Receive", send: "Send") -> None:
        path = scope.get("path", "")
        if path.startswith(f"{EMULATOR_PATH}/v1/"):
            await emulator({**scope, "path": path.removeprefix(EMULATOR_PATH)}, receive, send)
        else:
            await service(scope, receive, send)

    return either


def _worker(settings: "Settings") -> "Beside | None":
    from convo_service.worker import beside

    return beside if settings.worker_enabled else None
