"""What several commands share: the settings, the database, and how a command stops."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from convo_service.db.engine import Database
    from convo_service.services.legacy import Progress as Advance
    from convo_service.services.legacy import Watch
    from convo_service.settings import Settings

Result = TypeVar("Result")

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130  # as a shell says it of SIGINT


def stop(*lines: str, status: int = USAGE_ERROR) -> NoReturn:
    """Say why, and leave."""
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(status)


def read_settings() -> "Settings":
    """The settings, or one line for each that is wrong."""
    from pydantic import ValidationError

    from convo_service.domain.identities import normalise
    from convo_service.errors import InvalidIdentity
    from convo_service.settings import Settings, problems

    try:
        settings = Settings()
        for identity in settings.rollout_identities:
            normalise(identity)
    except ValidationError as error:
        stop(*problems(error))
    except InvalidIdentity as error:
        stop(f"ROLLOUT_USERS: {error}")
    except UnicodeDecodeError:
        stop(".env: it is not UTF-8")
    except OSError as error:
        stop(f".env: {error.strerror}")
    return settings


def start_telemetry(settings: "Settings") -> None:
    """Write logs as the settings say, and send spans where they say, if anywhere."""
    from convo_service.telemetry import configure_logging, tracing

    configure_logging(format_=settings.log_format, level=settings.log_level)
    if settings.otel_exporter_otlp_endpoint is None:
        return
    try:
        from convo_service.telemetry import otlp
    except ImportError:
        stop("OTEL_EXPORTER_OTLP_ENDPOINT is set, and what sends traces is missing: pip install 'convo-service[otlp]'")
    provider = otlp.provider(settings.otel_exporter_otlp_endpoint)
    tracing.use(provider, provider.force_flush)


def make_room(file: Path) -> None:
    """Make the folder of a SQLite file. A folder in its place is said here: the driver would add a traceback."""
    if file.is_dir():
        stop(f"{file} is a folder; a database is a file", status=FAILED)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"The folder {file.parent} cannot be made: {error.strerror}", status=FAILED)


@contextmanager
def database_errors(address: str) -> Iterator[None]:
    """A database that does not answer is one line, not a traceback; never the driver's text, which repeats values."""
    import sqlalchemy as sa

    from convo_service.db.faults import describe

    try:
        yield
    except BrokenPipeError:
        raise  # whoever read our output has left: that is no fault of the database
    except (OSError, sa.exc.SQLAlchemyError, ValueError) as error:
        stop(f"The database {address} cannot be used: {describe(error)}", status=FAILED)


def on_database(settings: "Settings", work: "Callable[[Database], Awaitable[Result]]") -> Result:
    """Open the database, do the work, close it."""
    import asyncio

    from convo_service.db.engine import open_database

    async def run() -> Result:
        database = open_database(settings.database_url)
        try:
            return await work(database)
        finally:
            await database.close()

    with database_errors(settings.database_address):
        return asyncio.run(run())


def revision(settings: "Settings") -> str | None:
    """The revision that the database is at; a file that is not there is not made by looking for it."""
    from convo_service.db import migrations

    async def read(database: "Database") -> str | None:
        async with database.read.begin() as tx:
            return await migrations.current_revision(tx)

    file = settings.sqlite_file
    return on_database(settings, read) if file is None or file.exists() else None


def require_migrated(settings: "Settings") -> None:
    """Stop unless the database is at a version that this code works with."""
    from convo_service.db import migrations

    found = revision(settings)
    if not migrations.serves(found):
        refuse(settings, found)


def refuse(settings: "Settings", found: str | None) -> NoReturn:
    """Say why a database at this revision is not for this code."""
    from convo_service.db import migrations

    if found is None:
        stop(f"{settings.database_address} was never migrated. Run: convo-service migrate")
    state = f"{settings.database_address} is at revision {found}, this code at {migrations.HEAD}"
    if migrations.knows(found):
        stop(f"{state}. Run: convo-service migrate")
    stop(f"{state}: the code is older than the database. Use the version that migrated it, or newer.", status=FAILED)


def instant(text: str, option: str) -> "datetime":
    """The time that an option gives, in UTC."""
    from datetime import UTC, datetime

    try:
        at = datetime.fromisoformat(text)
        in_utc = at.astimezone(UTC)
    except (ValueError, OverflowError):
        stop(f"{option} has to be a date and time such as 2026-03-02T09:00Z")
    if at.tzinfo is None:
        stop(f"{option} needs a zone: Z, or an offset such as +01:00")
    return in_utc


@contextmanager
def progress_bar() -> Iterator["Watch"]:
    """A bar on a terminal's standard error, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("messages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def watch(total: int) -> "Advance":
            task = bar.add_task("messages", total=total, visible=total > 0)
            return lambda messages: bar.advance(task, messages)

        yield watch
