"""Where the migrations are, and whether a database is up to date; Alembic itself is only loaded to migrate."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db import legacy

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0028"  # the revision that this code works with; a test compares it with the scripts
PACKAGE = Path(__file__).resolve().parents[1]


def scripts() -> Path:
    """The folder of the migrations: inside an installed wheel, or beside `src` in a checkout."""
    installed = PACKAGE / "migrations"
    return installed if installed.is_dir() else PACKAGE.parents[1] / "alembic"


def knows(revision: str) -> bool:
    """Whether a revision is one of this code's; a database of newer code is at another one."""
    return revision in {path.name.split("_")[1] for path in scripts().glob("versions/*_*.py")}


def serves(revision: str | None) -> bool:
    """Whether this code works with a database at this revision: its own, or a later one whose id says so.

    `0014from0012` was made by newer code and took nothing away that code of 0012 reads or writes.
    """
    if revision is None or knows(revision):
        return revision == HEAD
    oldest = revision.partition("from")[2]
    return oldest.isdecimal() and oldest <= HEAD[: len(oldest)]


def is_modelled(name: str | None, type_: str, _parents: Any) -> bool:
    """Whether the models say what this is like: not the existing bot's tables, which were set aside, and not what
    each database searches messages by, in its own way.
    """
    return name is None or not ((type_ == "table" and name.startswith(legacy.PREFIX)) or "message_search" in name)


def config(url: str, report: TextIO | None = None) -> "Config":
    """What `alembic.command` wants, told where to report; never call those inside a running event loop."""
    from argparse import Namespace

    from alembic.config import Config

    made = Config(cmd_opts=Namespace(x=[f"url={url}"]), stdout=report or sys.stdout)
    made.set_main_option("script_location", str(scripts()))
    made.set_main_option("path_separator", "os")
    return made


async def current_revision(tx: AsyncSession) -> str | None:
    """The revision that the database is at; None when it was never migrated."""
    try:
        revision: str | None = await tx.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except sa.exc.DBAPIError as error:
        if _no_such_table(error):
            return None
        raise
    return revision


def _no_such_table(error: sa.exc.DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig)
