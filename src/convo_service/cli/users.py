"""The commands `user export`, `user erase` and `user merge`; a user is named by id or by any identity."""

import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from convo_service.cli.common import FAILED, Result, on_database, read_settings, require_migrated, stop

if TYPE_CHECKING:
    from convo_service.db.engine import Database
    from convo_service.services.erasures import Erasures, Receipt
    from convo_service.settings import Settings

Who = Annotated[str, typer.Argument(help="The id (usr_...), a phone number, or another identity.")]


def export_user(
    who: Who, to: Annotated[Path | None, typer.Option(help="A file that is made for it; else it is printed.")] = None
) -> None:
    """Write all that is stored about a person, as one JSON document."""
    from convo_service.app import utc_now
    from convo_service.services import export

    async def run(database: "Database", _settings: "Settings") -> None:
        found = await export.begin(database, utc_now, await _id(database, who))
        with _output(to) as file:
            async for piece in found.pieces():
                file.write(piece)
            file.write("\n")

    _with_database(run)


def erase_user(
    who: Who, yes: Annotated[bool, typer.Option("--yes", help="Do not ask; there is no way back.")] = False
) -> None:
    """Erase a person here, and have the worker erase her at OpenAI; prints the receipt's id alone on the last line."""
    if not yes:
        typer.confirm("Erase everything about this person, for ever?", abort=True, err=True)

    async def run(database: "Database", settings: "Settings") -> "Receipt":
        erasures = _erasures(database, settings)
        erasure = await erasures.lock_out(await _id(database, who))
        await erasures.carry_out(erasure.id)
        return await erasures.receipt(erasure.id)

    receipt = _with_database(run)
    rows = ", ".join(f"{count} {table}" for table, count in sorted(receipt.erasure.rows.items()))
    typer.echo(f"erased here: {rows}", err=True)
    typer.echo(f"to be deleted at OpenAI by the worker: {receipt.remotes_left}", err=True)
    typer.echo(receipt.erasure.id)


def merge_users(who: Who, into: Annotated[str, typer.Option(help="The user who stays, by id or identity.")]) -> None:
    """Move everything of one user to another, who is the same person."""
    from convo_service.app import utc_now
    from convo_service.services import merging

    async def run(database: "Database", _settings: "Settings") -> str:
        user_id, stays = await _id(database, who), await _id(database, into)
        async with database.write.begin() as tx:
            return (await merging.merge(tx, user_id, stays, by="command line", now=utc_now())).id

    typer.echo(_with_database(run))


@contextmanager
def _output(to: Path | None) -> "Iterator[TextIO]":
    """Where a document goes; a file is for its owner's eyes, and never written over."""
    if to is None:
        yield sys.stdout
        return
    try:
        handle = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        stop(f"{to} cannot be made: {error.strerror}", status=FAILED)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yield file


def _with_database(work: "Callable[[Database, Settings], Awaitable[Result]]") -> Result:
    from convo_service.errors import ConvoError
    from convo_service.telemetry import configure_logging

    settings = read_settings()
    configure_logging(format_=settings.log_format, level=settings.log_level)
    require_migrated(settings)
    try:
        return on_database(settings, lambda database: work(database, settings))
    except ConvoError as error:
        stop(error.detail, status=FAILED)


async def _id(database: "Database", who: str) -> str:
    from convo_service.services import users

    async with database.read.begin() as tx:
        return (await users.find(tx, who)).id


def _erasures(database: "Database", settings: "Settings") -> "Erasures":
    from convo_service.app import utc_now
    from convo_service.services.erasures import Erasures
    from convo_service.services.pepper import Pepper

    return Erasures(database, settings, utc_now, Pepper(database, settings))
