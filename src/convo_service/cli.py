"""The command `convo-service`; each command imports what it needs, so that `--help` stays quick."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from convo_service.db.engine import Database
    from convo_service.services.keys import Keys, Scope
    from convo_service.settings import Settings

Result = TypeVar("Result")

FAILED = 1
USAGE_ERROR = 2
DRAIN_SECONDS = 10
MAX_NAME_CHARS = 128
DEMO_DATABASE = Path("var/demo.db")

app = typer.Typer(
    help="Windows of conversation for WhatsApp bots on OpenAI's Conversations API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@app.command()
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

    from convo_service.telemetry import configure_logging

    settings = _settings()
    configure_logging(format_=settings.log_format, level=settings.log_level)
    _require_migrated(settings)
    without_openai = emulator or (emulator_without_key and settings.openai_api_key is None)
    service = _with_emulator(settings) if without_openai else _with_openai(settings)
    uvicorn.run(
        service,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


@app.command()
def migrate() -> None:
    """Bring the database to the version of this code."""
    from alembic import command
    from alembic.util import CommandError

    from convo_service.db import migrations

    settings = _settings()
    if file := settings.sqlite_file:
        _make_room(file)
    try:
        with _database_errors(_shown(settings)):
            command.upgrade(migrations.config(settings.database_url), "head")
    except CommandError:
        _refuse(settings, _revision(settings))
    typer.echo(f"{_shown(settings)} is at revision {migrations.HEAD}")


@app.command()
def demo(
    database: Annotated[Path, typer.Option(help="A SQLite file that does not exist yet.")] = DEMO_DATABASE,
) -> None:
    """Play several weeks of an Italian B2B history and print what the windows change."""
    from urllib.parse import quote

    from convo_service import demo as story

    _make_room(database)
    with _database_errors(str(database)):
        try:
            story.run(f"sqlite+aiosqlite:///{quote(str(database))}", typer.echo)
        except story.DatabaseInUse as error:
            _stop(str(error))


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    import json

    from convo_service.app import create_app

    typer.echo(json.dumps(create_app(_settings()).openapi(), indent=2, ensure_ascii=False))


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Who will use it.")],
    scope: Annotated[str, typer.Option(help="gateway, dashboard or admin.")],
) -> None:
    """Make a key; it stands alone on the last line, and cannot be shown again."""
    from convo_service.app import utc_now

    wanted = _scope(scope)
    if not (name.strip() and name.isprintable() and len(name) <= MAX_NAME_CHARS):
        _stop(f"--name has to be 1 to {MAX_NAME_CHARS} printable characters")
    row, key = _with_keys(lambda keys: keys.create(name, wanted, now=utc_now()))
    typer.echo(f"{row.id}  {row.scope}  {row.name}", err=True)
    typer.echo(key)


@keys_app.command("list")
def list_keys() -> None:
    """Show every key by its prefix."""
    for row in _with_keys(lambda keys: keys.all()):
        state = "active" if row.revoked_at is None else f"revoked {row.revoked_at:%Y-%m-%d %H:%M}"
        typer.echo(f"{row.id}  {row.prefix}...  {row.scope:<9}  {row.created_at:%Y-%m-%d %H:%M}  {state}  {row.name}")


@keys_app.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="The id (key_...) or the prefix (csk_...).")]) -> None:
    """Revoke a key; every replica refuses it within five seconds."""
    from convo_service.app import utc_now

    if not key.isprintable() or not _with_keys(lambda keys: keys.revoke(key, now=utc_now())):
        _stop("No key has this id or prefix; see `convo-service keys list`.", status=FAILED)
    typer.echo("revoked")


def _settings() -> "Settings":
    """The settings, or one line for each that is wrong."""
    from pydantic import ValidationError

    from convo_service.domain.identities import normalise
    from convo_service.errors import InvalidIdentity
    from convo_service.settings import Settings

    try:
        settings = Settings()
        for identity in settings.rollout_identities:
            normalise(identity)
    except ValidationError as error:
        _stop(
            *(
                f"{'_'.join(str(part) for part in one['loc']).upper() or 'settings'}: {one['msg']}"
                for one in error.errors()
            )
        )
    except InvalidIdentity as error:
        _stop(f"ROLLOUT_USERS: {error}")
    except UnicodeDecodeError:
        _stop(".env: it is not UTF-8")
    except OSError as error:
        _stop(f".env: {error.strerror}")
    return settings


def _with_openai(settings: "Settings") -> "FastAPI":
    from convo_service.app import create_app

    if settings.openai_api_key is None:
        _stop("OPENAI_API_KEY is not set. Set it, or try the service without OpenAI: convo-service serve --emulator")
    return create_app(settings)


def _with_emulator(settings: "Settings") -> "FastAPI":
    from convo_service.app import create_app
    from convo_service.llm.client import LLMClient
    from convo_service.llm.emulator import Emulator

    typer.secho("EMULATOR: no model is behind this service; its replies say so. Not for real customers.", err=True)
    return create_app(settings, llm=LLMClient.against(Emulator(settings.emulator_file)))


def _shown(settings: "Settings") -> str:
    """The database's address and nothing else of its URL: user, password and arguments stay where they are."""
    import sqlalchemy as sa

    url = sa.make_url(settings.database_url)
    return sa.URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def _make_room(file: Path) -> None:
    """Make the folder of a SQLite file. A folder in its place is said here: the driver would add a traceback."""
    if file.is_dir():
        _stop(f"{file} is a folder; a database is a file", status=FAILED)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _stop(f"The folder {file.parent} cannot be made: {error.strerror}", status=FAILED)


def _revision(settings: "Settings") -> str | None:
    """The revision that the database is at; a file that is not there is not made by looking for it."""
    from convo_service.db import migrations

    async def revision(database: "Database") -> str | None:
        async with database.read.begin() as tx:
            return await migrations.current_revision(tx)

    file = settings.sqlite_file
    return _on_database(settings, revision) if file is None or file.exists() else None


def _require_migrated(settings: "Settings") -> None:
    from convo_service.db import migrations

    found = _revision(settings)
    if found != migrations.HEAD:
        _refuse(settings, found)


def _refuse(settings: "Settings", found: str | None) -> NoReturn:
    """Say why a database at this revision is not for this code."""
    from convo_service.db import migrations

    if found is None:
        _stop(f"{_shown(settings)} has no tables yet. Run: convo-service migrate")
    state = f"{_shown(settings)} is at revision {found}, this code at {migrations.HEAD}"
    if migrations.knows(found):
        _stop(f"{state}. Run: convo-service migrate")
    _stop(f"{state}: the code is older than the database. Use the version that migrated it, or newer.", status=FAILED)


def _with_keys(work: "Callable[[Keys], Awaitable[Result]]") -> Result:
    from convo_service.services.keys import Keys

    settings = _settings()
    _require_migrated(settings)
    return _on_database(settings, lambda database: work(Keys(database, settings)))


def _on_database(settings: "Settings", work: "Callable[[Database], Awaitable[Result]]") -> Result:
    from convo_service.db.engine import open_database

    async def run() -> Result:
        database = open_database(settings.database_url)
        try:
            return await work(database)
        finally:
            await database.close()

    with _database_errors(_shown(settings)):
        return asyncio.run(run())


@contextmanager
def _database_errors(shown: str) -> Iterator[None]:
    """A database that does not answer is one line, not a traceback; never the driver's text, which repeats values."""
    import sqlalchemy as sa

    from convo_service.telemetry import failure

    try:
        yield
    except BrokenPipeError:
        raise  # whoever read our output has left: that is no fault of the database
    except (OSError, sa.exc.SQLAlchemyError, ValueError) as error:
        what = " ".join(f"{name}={value}" for name, value in failure(error).items())
        _stop(f"The database {shown} cannot be used: {what}", status=FAILED)


def _scope(name: str) -> "Scope":
    from convo_service.services.keys import Scope

    try:
        return Scope(name)
    except ValueError:
        _stop(f"--scope has to be one of: {', '.join(Scope)}")


def _stop(*lines: str, status: int = USAGE_ERROR) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(status)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
