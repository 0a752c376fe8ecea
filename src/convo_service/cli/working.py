"""The commands `sweep` and `worker`: what goes on while nobody writes."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from convo_service.cli.common import instant, on_database, read_settings, require_migrated, start_telemetry

if TYPE_CHECKING:
    from convo_service.db.engine import Database
    from convo_service.services.sweep import Sweep
    from convo_service.settings import Settings


def sweep(
    now: Annotated[
        str | None, typer.Option(metavar="TIME", help="Sweep as if it were this time, such as 2026-03-02T09:00Z.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Close what is over and have quiet conversations summarised, once."""
    settings = _settings()
    at = instant(now, "--now") if now is not None else None

    async def run(database: "Database") -> dict[str, int]:
        found = _sweep(database, settings)
        try:
            return dict(await found.run_once(now=at))
        finally:
            await found.llm.close()

    done = on_database(settings, run)
    if as_json:
        typer.echo(json.dumps(done, sort_keys=True))
        return
    typer.echo(", ".join(f"{count} {what}" for what, count in sorted(done.items())) or "nothing was due")


def worker() -> None:
    """Sweep every SWEEP_INTERVAL_SECONDS until it is stopped; any number may run beside each other."""
    import asyncio
    import signal

    from convo_service.services.patience import settle
    from convo_service.worker import beside

    settings = _settings()

    async def run(database: "Database") -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        found = _sweep(database, settings)
        async with beside(found):
            await stopped.wait()
        await settle()
        await found.llm.close()

    on_database(settings, run)


def _settings() -> "Settings":
    """The settings; without a key there is no model to ask, and windows are closed all the same."""
    settings = read_settings()
    start_telemetry(settings)
    require_migrated(settings)
    if settings.openai_api_key is None and settings.model_for_summaries is not None:
        typer.echo("OPENAI_API_KEY is not set: windows are closed, and no summary is written.", err=True)
        return settings.model_copy(update={"summarize_old_conversations": False})
    return settings


def _sweep(database: "Database", settings: "Settings") -> "Sweep":
    from convo_service.app import openai_client, utc_now
    from convo_service.services.sweep import Sweep

    return Sweep(database, openai_client(settings), settings, utc_now)
