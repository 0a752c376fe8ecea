"""What is left to look at: the rows of the database and the conversations at OpenAI, read past the service."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from convo_service.db.engine import create_engine, database_time
from convo_service.db.models import (
    Base,
    Conversation,
    Message,
    Opening,
    RemoteGarbage,
    RemoteReserve,
    Seed,
    UserIdentity,
)
from convo_service.domain.ids import new_id

Row = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Remote:
    """A conversation at OpenAI."""

    attempt: str
    deleted: bool
    items: Sequence[tuple[str, str]]  # role, text; all that were ever put in
    left: int = 0  # of them


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both sides, after the storm."""

    remotes: dict[str, Remote]
    users: dict[str, str]  # identity -> user
    conversations: dict[str, Row]
    messages: Sequence[Row]
    seeds: dict[str, str]  # conversation -> text
    openings: Sequence[Row]
    garbage: frozenset[str]
    reserve: frozenset[str] = frozenset()
    refuses_a_second_active: bool = field(default=True)


# Garbage is emptied before it is deleted: without a memory nobody could say how often it was seeded.
MEMORY = """
CREATE TABLE put_in (position INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL, body TEXT NOT NULL);
CREATE TRIGGER remember AFTER INSERT ON items
BEGIN INSERT INTO put_in (conversation_id, body) VALUES (NEW.conversation_id, NEW.body); END;
"""


LOOKS, REST_SECONDS = 20, 0.8  # longer than workers wait between two passes


def watch(file: Path) -> None:
    """Have the emulator's file remember every item that was ever put in, deleted or not."""
    with closing(sqlite3.connect(file, timeout=30)) as db:
        db.executescript(MEMORY)


def remotes(file: Path) -> dict[str, Remote]:
    """The conversations in the emulator's file."""
    with closing(sqlite3.connect(file)) as db:
        items: dict[str, list[tuple[str, str]]] = {}
        for conversation_id, body in db.execute("SELECT conversation_id, body FROM put_in ORDER BY position"):
            items.setdefault(conversation_id, []).append(_said(json.loads(body)))
        left = dict(db.execute("SELECT conversation_id, count(*) FROM items GROUP BY conversation_id").fetchall())
        rows = db.execute("SELECT id, metadata, deleted FROM conversations").fetchall()
    return {
        id_: Remote(json.loads(metadata).get("attempt", ""), bool(deleted), items.get(id_, []), left.get(id_, 0))
        for id_, metadata, deleted in rows
    }


def _said(item: dict[str, Any]) -> tuple[str, str]:
    return item.get("role", ""), "".join(part.get("text", "") for part in item.get("content", []))


async def gather(database_url: str, remotes: Callable[[], dict[str, Remote]]) -> Evidence:
    """Read OpenAI and the database, again until nothing has moved between: a worker may fill the reserve meanwhile."""
    before = None
    for _ in range(LOOKS):
        found = await _read(database_url, remotes())
        now = (found.remotes.keys(), found.reserve, len(found.openings))
        if now == before:
            break
        before = now
        await asyncio.sleep(REST_SECONDS)
    return found


async def _read(database_url: str, remote: dict[str, Remote]) -> Evidence:
    """The database in one go."""
    engine = create_engine(database_url)
    try:
        async with engine.begin() as tx:
            identities = await _rows(tx, UserIdentity)
            conversations = await _rows(tx, Conversation)
            evidence = Evidence(
                remotes=remote,
                users={row.value: row.user_id for row in identities},
                conversations={row.id: row for row in conversations},
                messages=await _rows(tx, Message),
                seeds={row.conversation_id: row.text for row in await _rows(tx, Seed)},
                openings=await _rows(tx, Opening),
                garbage=frozenset(row.remote_id for row in await _rows(tx, RemoteGarbage)),
                reserve=frozenset(row.remote_id for row in await _rows(tx, RemoteReserve)),
                refuses_a_second_active=await _refuses_a_second_active(tx),
            )
    finally:
        await engine.dispose()
    return evidence


async def _rows(tx: AsyncConnection, model: type[Base]) -> Sequence[Row]:
    rows: Sequence[Row] = (await tx.execute(sa.select(model.__table__))).all()
    return rows


async def _refuses_a_second_active(tx: AsyncConnection) -> bool:
    """Whether the database itself stands in the way: the service's own care may hide that it does not."""
    table = Conversation.__table__
    one = (await tx.execute(sa.select(table).where(Conversation.is_active).limit(1))).mappings().first()
    if one is None:
        return True
    second = await tx.begin_nested()
    try:
        await tx.execute(sa.insert(Conversation).values({**one, "id": new_id("conv")}))
    except sa.exc.IntegrityError:
        return True
    finally:
        await second.rollback()
    return False


async def two_active(database_url: str) -> list[str]:
    """Users with two active conversations of one topic at this moment."""
    of = (Conversation.user_id, Conversation.topic)
    found = sa.select(Conversation.user_id).where(Conversation.is_active).group_by(*of).having(sa.func.count() > 1)
    return [row.user_id for row in await look(database_url, found)]


async def users_of(database_url: str, identities: Sequence[str]) -> list[str]:
    """Who has one of these identities."""
    found = sa.select(UserIdentity.user_id).where(UserIdentity.value.in_(identities))
    return [row.user_id for row in await look(database_url, found)]


async def opening(database_url: str, identity: str) -> Row | None:
    """The opening of a user, and whether its lease is over."""
    over = (Opening.lease_until < database_time()).label("is_over")
    found = sa.select(Opening.attempt_id, Opening.remote_id, over).join(
        UserIdentity, UserIdentity.user_id == Opening.user_id
    )
    rows = await look(database_url, found.where(UserIdentity.value == identity))
    return rows[0] if rows else None


async def reserving(database_url: str) -> set[str]:
    """The attempts that are between T1 and T3 at this moment."""
    rows = await look(database_url, sa.select(Opening.attempt_id).where(Opening.remote_id.is_(None)))
    return {row.attempt_id for row in rows}


async def owed(database_url: str) -> int:
    """How many openings there are at this moment, under way or owed."""
    return len(await look(database_url, sa.select(Opening.user_id)))


async def garbage(database_url: str) -> list[str]:
    """The conversations at OpenAI that wait to be deleted there."""
    return [row.remote_id for row in await look(database_url, sa.select(RemoteGarbage.remote_id))]


async def reserve(database_url: str) -> list[str]:
    """The empty conversations at OpenAI that wait for an opening."""
    return [row.remote_id for row in await look(database_url, sa.select(RemoteReserve.remote_id))]


async def let_rest(database_url: str) -> None:
    """What minutes of the database's clock do: all garbage has rested, and nobody is at work on it any more."""
    engine = create_engine(database_url)
    try:
        async with engine.begin() as tx:
            await tx.execute(sa.update(RemoteGarbage).values(not_before=0.0))
    finally:
        await engine.dispose()


async def look(database_url: str, statement: sa.Executable) -> Sequence[Row]:
    """Read rows without being in anybody's way."""
    engine = create_engine(database_url, read_only=True)
    try:
        async with engine.begin() as tx:
            rows: Sequence[Row] = (await tx.execute(statement)).all()
    finally:
        await engine.dispose()
    return rows
