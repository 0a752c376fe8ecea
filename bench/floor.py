"""The least that one message takes: a bare route and the driver itself, without a key, a rule or a check.

`uvicorn --factory bench.floor:create_app`, with DATABASE_URL. The statements are those that cannot be left out: find
the conversation, store the message unless its id is known, count it in the conversation and for the user, and read
back the conversation.
"""

import asyncio
import json
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import asyncpg
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from convo_service.db.sqlite import PRAGMAS

_FIND = """
SELECT c.user_id, c.id FROM identities i
JOIN conversations c ON c.user_id = i.user_id AND c.topic = 'general' AND c.is_active WHERE i.value = ?
"""
_STORE = """
INSERT INTO messages (user_id, id, topic, conversation_id, answered_conversation_id, direction, text, command_length,
  external_id, sent_at, received_at, late) VALUES (?, ?, 'general', ?, ?, 'inbound', ?, 0, ?, ?, ?, 0)
ON CONFLICT (user_id, external_id) DO NOTHING
"""
_COUNT_USER = """
UPDATE users SET message_count = message_count + 1, talk_tokens = talk_tokens + ?, last_seen_at = max(last_seen_at, ?)
WHERE id = ?
"""
_COUNT = """
UPDATE conversations SET message_count = message_count + 1, talk_tokens = talk_tokens + ?,
  last_message_at = max(last_message_at, ?), last_inbound_at = ?, inbound_received_at = ?
WHERE user_id = ? AND id = ? RETURNING id, user_id, is_active, created_at, last_message_at, message_count
"""
_READ = """
SELECT id, user_id, is_active, created_at, last_message_at, message_count FROM conversations
WHERE user_id = ? AND id = ?
"""
# Where the id is known nothing is counted, and the conversation is read as it is.
_ON_POSTGRES = """
WITH found AS (
  SELECT c.user_id, c.id FROM identities i
  JOIN conversations c ON c.user_id = i.user_id AND c.topic = 'general' AND c.is_active WHERE i.value = $1
), stored AS (
  INSERT INTO messages (user_id, id, topic, conversation_id, answered_conversation_id, direction, text, command_length,
    external_id, sent_at, received_at, late)
  SELECT user_id, $2, 'general', id, id, 'inbound', $3, 0, $4, $5, $5, false FROM found
  ON CONFLICT (user_id, external_id) DO NOTHING RETURNING user_id, conversation_id
), counted AS (
  UPDATE users SET message_count = message_count + 1, talk_tokens = talk_tokens + $6,
    last_seen_at = greatest(last_seen_at, $5) FROM stored WHERE users.id = stored.user_id
), moved AS (
  UPDATE conversations c SET message_count = message_count + 1, talk_tokens = talk_tokens + $6,
    last_message_at = greatest(last_message_at, $5), last_inbound_at = $5, inbound_received_at = $5
  FROM stored WHERE c.user_id = stored.user_id AND c.id = stored.conversation_id
  RETURNING c.id, c.user_id, c.is_active, c.created_at, c.last_message_at, c.message_count
)
SELECT * FROM moved UNION ALL
SELECT c.id, c.user_id, c.is_active, c.created_at, c.last_message_at, c.message_count
FROM conversations c JOIN found USING (user_id, id) WHERE NOT EXISTS (SELECT 1 FROM stored)
"""


class Store(Protocol):
    """One of the two databases."""

    async def add(self, identity: str, external_id: str, text: str) -> list[Any]:
        """Store a message once, and read back its conversation."""

    async def close(self) -> None:
        """Let go of it."""


class OnSqlite:
    """One connection in one thread, one hop and one transaction a message."""

    def __init__(self, file: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for pragma in (*PRAGMAS, "journal_mode=WAL"):
            self._connection.execute(f"PRAGMA {pragma}")

    async def add(self, identity: str, external_id: str, text: str) -> list[Any]:
        """Store a message once, and read back its conversation."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._add, identity, external_id, text)

    def _add(self, identity: str, external_id: str, text: str) -> list[Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            user, conversation = run(_FIND, (identity,)).fetchone()
            one = (user, _id(), conversation, conversation, text, external_id, now, now)
            if run(_STORE, one).rowcount:
                run(_COUNT_USER, (_tokens(text), now, user))
                row = run(_COUNT, (_tokens(text), now, now, now, user, conversation)).fetchall()[0]
            else:
                row = run(_READ, (user, conversation)).fetchone()
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        return list(row)

    async def close(self) -> None:
        """Let go of it."""
        self._thread.shutdown()
        self._connection.close()


class OnPostgres:
    """One statement on one connection of a pool."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def add(self, identity: str, external_id: str, text: str) -> list[Any]:
        """Store a message once, and read back its conversation."""
        now = datetime.now(UTC)
        row = await self._pool.fetchrow(_ON_POSTGRES, identity, _id(), text, external_id, now, _tokens(text))
        return list(row)

    async def close(self) -> None:
        """Let go of it."""
        await self._pool.close()


async def open_store(url: str) -> Store:
    """The database of a URL as the service takes it."""
    parsed = sa.make_url(url)
    if parsed.drivername.startswith("sqlite"):
        return OnSqlite(str(parsed.database))
    pool = await asyncpg.create_pool(
        host=parsed.query["host"], user=parsed.username, database=parsed.database, min_size=10, max_size=10
    )
    return OnPostgres(pool)


def create_app(url: str | None = None) -> Starlette:
    """The floor on a database, that of the environment when none is named."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.store = store = await open_store(url or os.environ["DATABASE_URL"])
        yield
        await store.close()

    return Starlette(
        routes=[Route("/conversations", add, methods=["POST"]), Route("/readyz", ready)], lifespan=lifespan
    )


async def add(request: Request) -> Response:
    """POST /conversations, for a user who is known and has a conversation."""
    body = json.loads(await request.body())
    message = body["message"]
    store: Store = request.app.state.store
    row = await store.add(body["identity"], message["id"], message["text"])
    return Response(json.dumps(row, default=str), media_type="application/json")


async def ready(_request: Request) -> Response:
    """GET /readyz."""
    return Response()


def _id() -> str:
    return f"msg_{secrets.token_hex(13)}"


def _tokens(text: str) -> int:
    return len(text) // 4
