"""Analytics cost the same however much there is: counted in steps of SQLite's virtual machine, which are exact."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import open_database
from convo_service.domain.calendar import Span
from convo_service.services import overview, timeseries
from convo_service.services.analytics import Wanted
from convo_service.services.tallying import Tallying
from tests.databases import steps
from tests.filling import START, Filling, fill_sqlite

SIZES = (4_000, 40_000)
SPAN = timedelta(days=4)  # however much was said: each hour has something at either size
ISSUES = 25  # open at either size: they are read as they are
TOLERANCE = 0.05
ROME = ZoneInfo("Europe/Rome")
WANTED = Wanted(Span(START + timedelta(hours=5), START + SPAN), ROME)

Reading = Callable[[AsyncSession], Awaitable[Any]]


class Days(Filling):
    """A history of a few days."""

    def __init__(self, messages: int) -> None:
        super().__init__(messages)
        self._step = SPAN / self.conversations


READINGS: dict[str, Reading] = {
    "overview": lambda tx: overview.read(tx, WANTED, ROME.key, START + SPAN),
    "messages by hour": lambda tx: timeseries.read(tx, WANTED, "messages", "hour", ROME.key),
    "conversations by day": lambda tx: timeseries.read(tx, WANTED, "conversations_created", "day", ROME.key),
    "lengths by week": lambda tx: timeseries.read(tx, WANTED, "length", "week", ROME.key),
    "users by day": lambda tx: timeseries.read(tx, WANTED, "active_users", "day", ROME.key),
    "failures": lambda tx: timeseries.read(tx, WANTED, "failures", "day", ROME.key),
}


@pytest.fixture(scope="module")
def files(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A file of each size, counted."""
    folder = tmp_path_factory.mktemp("counted")
    made = {size: folder / f"{size}.db" for size in SIZES}
    for size, file in made.items():
        shutil.copy(migrated, file)
        fill_sqlite(file, Days(size))
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DELETE FROM notes WHERE id >= ?", (f"note_{ISSUES:08}",))
            connection.execute("ANALYZE")  # before anything is counted: statistics must lead nobody astray
        asyncio.run(count(file))
    return made


async def count(file: Path) -> None:
    """Count everything."""
    database = open_database(f"sqlite+aiosqlite:///{file}")
    await Tallying(database, lambda: datetime.now(UTC), ROME.key).rebuild(lambda _total: lambda _count: None)
    await database.close()


@pytest.mark.parametrize("name", READINGS)
async def test_an_answer_costs_the_same(files: dict[int, Path], name: str) -> None:
    """Ten times as many rows in the same days take the same steps."""
    (few, _), (many, found) = [await steps(file, READINGS[name]) for file in files.values()]
    assert found.is_complete
    assert many <= few * (1 + TOLERANCE), (few, many)
