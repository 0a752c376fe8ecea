"""Commands that change the database itself: `migrate`."""

import typer

from convo_service.cli.common import database_errors, make_room, read_settings, refuse, revision, shown


def migrate() -> None:
    """Bring the database to the version of this code."""
    from alembic import command
    from alembic.util import CommandError

    from convo_service.db import migrations

    settings = read_settings()
    if file := settings.sqlite_file:
        make_room(file)
    try:
        with database_errors(shown(settings)):
            command.upgrade(migrations.config(settings.database_url), "head")
    except CommandError:
        refuse(settings, revision(settings))
    typer.echo(f"{shown(settings)} is at revision {migrations.HEAD}")
