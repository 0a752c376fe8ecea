"""The demo: five weeks of a flour mill's WhatsApp, played through the real service into a database of their own."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import command
from pydantic_settings import PydanticBaseSettingsSource
from sqlalchemy.orm import Session

from convo_service.db import migrations
from convo_service.db.engine import open_database
from convo_service.db.models import User
from convo_service.demo.player import play
from convo_service.demo.table import Row, explanation, table
from convo_service.settings import Settings

__all__ = ["DatabaseInUse", "Row", "play", "run"]


class DatabaseInUse(ValueError):
    """The database holds users already, and the demo never mixes with a real history."""


class _Defaults(Settings):
    """The defaults, whatever the environment says, so that the demo shows the same everywhere."""

    @classmethod
    def settings_customise_sources(cls, *_sources: Any, **named: Any) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what is given."""
        return (named["init_settings"],)


def run(database_url: str, echo: Callable[[str], None]) -> None:
    """Migrate the database, play the story into it, and print the table; never inside a running event loop.

    Raises DatabaseInUse, before anything is changed, when users are there already.
    """
    # The key of the demo is revoked when it ends, so nobody needs its pepper any more.
    settings = _Defaults(database_url=database_url, key_pepper=secrets.token_hex(16))
    asyncio.run(_refuse_users(settings.database_url))
    command.upgrade(migrations.config(settings.database_url), "head")
    with _only_warnings():
        rows = asyncio.run(play(settings))
    for line in (*table(rows), "", *explanation(settings.database_url)):
        echo(line)


async def _refuse_users(url: str) -> None:
    database = open_database(url)
    try:
        async with database.read.begin() as tx:
            if await tx.run_sync(_has_users):
                shown = sa.make_url(url).render_as_string(hide_password=True)
                raise DatabaseInUse(f"{shown} already holds users: name a database for the demo alone.")
    finally:
        await database.close()


def _has_users(session: Session) -> bool:
    if not sa.inspect(session.connection()).has_table(User.__tablename__):
        return False
    return session.scalar(sa.select(User.id).limit(1)) is not None


@contextmanager
def _only_warnings() -> Iterator[None]:
    """Keep the log of what went well out of the table, in whatever way the log is set up."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)
