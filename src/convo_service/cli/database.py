"""Commands that change the database as a whole: `migrate`, and `import-legacy` for what the existing bot has."""

import sqlite3
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer

from convo_service.cli.common import (
    FAILED,
    INTERRUPTED,
    database_errors,
    make_room,
    on_database,
    progress_bar,
    read_settings,
    refuse,
    require_migrated,
    revision,
    stop,
)


def migrate() -> None:
    """Bring the database to the version of this code; the existing bot's SQLite file is taken over in place."""
    from alembic import command
    from alembic.util import CommandError

    from convo_service.db import migrations

    settings = read_settings()
    if file := settings.sqlite_file:
        make_room(file)
    report = StringIO()  # printed when the bar has gone
    try:
        with database_errors(settings.database_address), progress_bar() as watch:
            config = migrations.config(settings.database_url, report)
            config.attributes["watch"] = watch
            command.upgrade(config, "head")
    except CommandError as error:
        found = revision(settings)
        if migrations.serves(found):  # an update was taken back: the older code goes on with what the newer one made
            typer.echo(f"{settings.database_address} is at revision {found}, and this code works with it")
            return
        if found and not migrations.knows(found):
            refuse(settings, found)
        stop(f"{settings.database_address}: {error}", status=FAILED)
    except KeyboardInterrupt:
        stop("Stopped, and nothing was changed.", status=INTERRUPTED)
    finally:
        typer.echo(report.getvalue(), nl=False)
    typer.echo(f"{settings.database_address} is at revision {migrations.HEAD}")


def import_legacy(
    file: Annotated[Path, typer.Argument(help="The existing bot's SQLite file; it is only read.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken.")] = False,
) -> None:
    """Take what the existing bot's file has into this installation; run it again for what came since."""
    from convo_service.app import utc_now
    from convo_service.db.faults import describe
    from convo_service.db.legacy import ForeignDatabase
    from convo_service.domain.tally import report
    from convo_service.services import legacy
    from convo_service.telemetry import configure_logging

    settings = read_settings()
    configure_logging(format_=settings.log_format, level=settings.log_level)
    if not file.is_file():
        stop(f"{file} is a folder" if file.is_dir() else f"{file}: there is no such file")
    if settings.sqlite_file and settings.sqlite_file.exists() and file.samefile(settings.sqlite_file):
        stop(f"{file} is the database of this installation. To take it over in place, run: convo-service migrate")
    require_migrated(settings)
    try:
        with progress_bar() as watch:
            tally = on_database(
                settings,
                lambda database: legacy.import_file(
                    database, settings, file, now=utc_now(), dry_run=dry_run, watch=watch
                ),
            )
    except ForeignDatabase as error:
        stop(f"{file} is not the bot's: {error}", status=FAILED)
    except sqlite3.Error as error:
        stop(f"{file} cannot be read, or copied to the folder of temporary files: {describe(error)}", status=FAILED)
    except KeyboardInterrupt:
        stop("Stopped. What was taken stays; run it again for the rest.", status=INTERRUPTED)
    for line in report(tally):
        typer.echo(line)
    if dry_run:
        typer.echo("A dry run: nothing was written.")
