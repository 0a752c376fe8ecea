"""The commands `doctor` and `config`: what is wrong here, and what is set."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from convo_service.cli.common import FAILED, read_settings

if TYPE_CHECKING:
    from convo_service.services.checkup import Check
    from convo_service.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def doctor(as_json: AsJson = False) -> None:
    """Look for what is wrong, and say what to do; the exit code is 1 when something does not work."""
    import asyncio

    from convo_service.telemetry import configure_logging

    settings = read_settings()
    configure_logging(format_=settings.log_format, level="error")  # what went wrong is said below
    found = asyncio.run(_look(settings))
    if as_json:
        typer.echo(json.dumps([_fields(one) for one in found], indent=2))
    else:
        for one in found:
            advice = f". {one.advice}." if one.advice else ""
            typer.echo(f"{one.verdict:<8} {one.about:<10} {one.detail}{advice}")
    if any(one.verdict == "problem" for one in found):
        raise typer.Exit(FAILED)


async def _look(settings: "Settings") -> "list[Check]":
    from convo_service.app import openai_client, utc_now
    from convo_service.services import checkup
    from convo_service.services.checkup_openai import of_openai

    llm = openai_client(settings)
    try:
        return [
            *await _of_database(settings),
            *[one async for one in checkup.of_surroundings(settings)],
            *[one async for one in of_openai(llm, settings, utc_now())],
        ]
    finally:
        await llm.close()


async def _of_database(settings: "Settings") -> "list[Check]":
    """A file that is not there is not made by looking for it."""
    import sqlalchemy as sa

    from convo_service.app import utc_now
    from convo_service.db.engine import open_database
    from convo_service.db.faults import describe
    from convo_service.services import checkup

    address, file = settings.database_address, settings.sqlite_file
    if file is not None and not file.exists():
        return [checkup.Check("database", "problem", f"{address} is not there", "Run: convo-service migrate")]
    database = open_database(settings.database_url)
    try:
        return [one async for one in checkup.of_database(database, settings, utc_now())]
    except (OSError, sa.exc.SQLAlchemyError, ValueError) as error:
        return [checkup.Check("database", "problem", f"{address}: {describe(error)}", "Check DATABASE_URL")]
    finally:
        await database.close()


def _fields(check: "Check") -> dict[str, str]:
    from dataclasses import asdict

    return asdict(check)


def config(as_json: AsJson = False) -> None:
    """Show every setting, masked, and where it comes from: the environment, `.env`, or the default."""
    from convo_service.settings import described

    rows = described(read_settings())
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2, ensure_ascii=False))
        return
    name_width, value_width = (max(len(str(row[place])) for row in rows) for place in (0, 1))
    for row in rows:
        typer.echo(f"{row.name:<{name_width}}  {row.value:<{value_width}}  {row.source}")
