"""What is left of somebody who was erased: in any row, in SQLite's files, and at OpenAI."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from convo_service.db.engine import create_engine
from convo_service.db.models import Base, Erasure
from tests.chaos.evidence import Remote, Row, look
from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Everything, as text."""

    rows: Mapping[str, Sequence[str]]  # by table
    files: str  # of SQLite, with its log; of PostgreSQL none
    remotes: Mapping[str, Remote]
    responses: str


async def leftovers(world: World) -> Leftovers:
    """Read both sides past the service."""
    rows = {name: [str(tuple(row)) for row in found] for name, found in (await rows_of(world.database_url)).items()}
    return Leftovers(rows, _files(world.database_url), world.remotes(), _responses(world.folder / "openai.db"))


async def rows_of(database_url: str, user_ids: Sequence[str] | None = None) -> dict[str, list[Row]]:
    """All rows by table; or those of some users, in the tables that have users."""
    engine = create_engine(database_url)
    found: dict[str, list[Row]] = {}
    try:
        async with engine.begin() as tx:
            for table in Base.metadata.sorted_tables:
                rows = sa.select(table).order_by(*table.primary_key)
                if user_ids is not None:
                    if "user_id" not in table.c:
                        continue
                    rows = rows.where(table.c.user_id.in_(user_ids))
                found[table.name] = list((await tx.execute(rows)).all())
    finally:
        await engine.dispose()
    return found


async def receipts(database_url: str, *, completed: bool) -> list[str]:
    """The erasures that are completed, or those that are not."""
    which = Erasure.completed_at.is_not(None) if completed else Erasure.completed_at.is_(None)
    return [row.id for row in await look(database_url, sa.select(Erasure.id).where(which))]


def left_of(left: Leftovers, words: Sequence[str]) -> Iterator[str]:
    """Where any of these words still stands, or is kept at OpenAI after it stood there."""
    for table, rows in left.rows.items():
        if found := [row for row in rows if any(word in row for word in words)]:
            yield f"{len(found)} rows of {table} hold something of {words}, such as {found[0]}"
    yield from (f"a file holds {word}" for word in words if word in left.files)
    yield from (f"a response at OpenAI holds {word}" for word in words if word in left.responses)
    for id_, remote in left.remotes.items():
        was_here = any(word in text for _, text in remote.items for word in words)
        if was_here and (remote.left or not remote.deleted):
            yield f"{id_} held something of {words}: {remote.left} items are left, deleted: {remote.deleted}"


def _files(database_url: str) -> str:
    if not database_url.startswith("sqlite"):
        return ""
    path = Path(database_url.partition("///")[2])
    both = (path, path.with_name(f"{path.name}-wal"))
    return "".join(one.read_bytes().decode("latin-1") for one in both if one.exists())


def _responses(file: Path) -> str:
    with closing(sqlite3.connect(file)) as db:
        return str(db.execute("SELECT body, inputs FROM responses").fetchall())
