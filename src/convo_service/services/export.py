"""All that is stored about a person, as JSON in pieces: page by page, so that memory stays flat."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from convo_service.db import set_aside
from convo_service.db.engine import Database
from convo_service.db.legacy import COLUMNS
from convo_service.db.models import (
    ActiveDay,
    Base,
    Conversation,
    Merge,
    Message,
    ModelCall,
    Note,
    Opening,
    Profile,
    Seed,
    SeedEdit,
    Summary,
    Turn,
    User,
    UserIdentity,
)
from convo_service.db.statements import table_of
from convo_service.services import users
from convo_service.services.arrivals import Clock

AT_ONCE = 500  # rows of a page, each of which is a transaction
LISTS: dict[str, type[Base]] = {
    "identities": UserIdentity,
    "conversations": Conversation,
    "messages": Message,
    "notes": Note,
    "summaries": Summary,
    "seed_edits": SeedEdit,
    "turns": Turn,
    "model_calls": ModelCall,
    "openings": Opening,
    "merges": Merge,
    "active_days": ActiveDay,
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Export:
    """The export of one user, who is there when it begins."""

    database: Database
    user: Row
    profile: Row | None
    phones: Sequence[str]  # how the bot wrote the user's numbers
    at: datetime

    async def pieces(self) -> AsyncIterator[str]:
        """The document, in pieces: the user, a list for each table, and what an adopted bot had."""
        head = {"object": "user_export", "exported_at": self.at, "user": self.user, "profile": self.profile}
        yield _json(head)[:-1]
        for name, model in LISTS.items():
            yield f',"{name}":['
            async for piece in _joined(self._pages(model)):
                yield piece
            yield "]"
        yield ',"imported":{'
        for number, name in enumerate(COLUMNS):
            yield f'{"," if number else ""}"{name}":['
            async for piece in _joined(self._imported(name)):
                yield piece
            yield "]"
        yield "}}"

    async def _pages(self, model: type[Base]) -> AsyncIterator[list[Row]]:
        table = table_of(model)
        key = next(column for column in table.primary_key if column.name != "user_id")
        mine = sa.select(table).where(table.c.user_id == self.user["id"]).order_by(key).limit(AT_ONCE)
        query = mine
        while True:
            async with self.database.read.begin() as tx:
                rows = [dict(row) for row in (await tx.execute(query)).mappings()]
                if model is Conversation:
                    seeds = await tx.execute(_seeds(self.user["id"], [row["id"] for row in rows]))
                    by_id = {row["conversation_id"]: dict(row) for row in seeds.mappings()}
                    rows = [{**row, "seed": by_id.get(row["id"])} for row in rows]
            yield rows
            if len(rows) < AT_ONCE:
                return
            query = mine.where(key > rows[-1][key.name])

    async def _imported(self, name: str) -> AsyncIterator[list[Row]]:
        after = -1
        while True:
            async with self.database.read.begin() as tx:
                work = partial(_imported, name=name, phones=self.phones, after=after)
                rows = await tx.run_sync(work)
            yield rows
            if name != "messages" or len(rows) < AT_ONCE:
                return
            after = rows[-1]["id"]


async def begin(database: Database, clock: Clock, user_id: str) -> Export:
    """Look whether the user is there, before a word is said; raises UserNotFound."""
    async with database.read.begin() as tx:
        await users.get(tx, user_id)
        user = (await tx.execute(sa.select(table_of(User)).where(User.id == user_id))).mappings().one()
        found = await tx.execute(sa.select(table_of(Profile)).where(Profile.user_id == user_id))
        profile = found.mappings().one_or_none()
        values = set(await tx.scalars(sa.select(UserIdentity.value).where(UserIdentity.user_id == user_id)))
        phones = await tx.run_sync(lambda session: set_aside.spellings(session.connection(), values))
    return Export(database, dict(user), dict(profile) if profile is not None else None, phones, clock())


def _imported(session: sa.orm.Session, *, name: str, phones: Sequence[str], after: int) -> list[Row]:
    return set_aside.rows(session.connection(), name, phones, after=after, most=AT_ONCE)


async def _joined(pages: AsyncIterator[list[Row]]) -> AsyncIterator[str]:
    is_first = True
    async for rows in pages:
        if rows:
            yield ("" if is_first else ",") + ",".join(map(_json, rows))
            is_first = False


def _seeds(user_id: str, conversation_ids: Sequence[str]) -> sa.Select[Any]:
    return sa.select(table_of(Seed)).where(Seed.user_id == user_id, Seed.conversation_id.in_(conversation_ids))


def _json(value: Any) -> str:
    return json.dumps(value, default=_written, ensure_ascii=False, separators=(",", ":"))


def _written(value: Any) -> str:
    """A time in UTC; what the bot wrote without a zone stays as it is."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, datetime) else str(value)
