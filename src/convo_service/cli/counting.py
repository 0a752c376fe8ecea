"""The command `analytics rebuild`: the counts of analytics made anew of what is stored."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from convo_service.cli.common import INTERRUPTED, on_database, progress_bar, read_settings, require_migrated, stop

if TYPE_CHECKING:
    from convo_service.db.engine import Database


def rebuild_analytics(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Count everything that is stored anew, by days of ANALYTICS_TIMEZONE; the service may go on meanwhile.

    What was erased, or has expired, is in no count any more. Stopped in the middle, the worker carries it through.
    """
    settings = read_settings()
    require_migrated(settings)
    try:
        with progress_bar() as watch:

            async def run(database: "Database") -> Counter[str]:
                from convo_service.app import utc_now
                from convo_service.services.tallying import Tallying

                return await Tallying(database, utc_now, settings.analytics_timezone).rebuild(watch)

            done = on_database(settings, run)
    except KeyboardInterrupt:
        stop("Stopped; the worker counts on.", status=INTERRUPTED)
    found = {kind: done[kind] for kind in ("messages", "conversations", "calls")}
    typer.echo(json.dumps(found) if as_json else ", ".join(f"{count:,} {kind}" for kind, count in found.items()))
