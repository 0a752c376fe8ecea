"""What OpenAI would keep: conversations, their items, stored responses; in SQLite, so that it can outlive a restart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from convo_service.llm.emulator.wire import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, metadata TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS items (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, conversation_id TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS items_of_a_conversation ON items (conversation_id, position);
CREATE TABLE IF NOT EXISTS responses (id TEXT PRIMARY KEY, body TEXT NOT NULL, inputs TEXT NOT NULL);
"""


class Store:
    """Every write is one short transaction; there is no await inside, so a cancelled call leaves all or nothing."""

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        # With WAL a commit is in the file before the answer leaves, so it outlives `kill -9`, and needs no fsync.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def conversations(self) -> dict[str, Json]:
        """Every conversation there ever was, by id."""
        rows = self._db.execute("SELECT id, created_at, metadata, deleted FROM conversations ORDER BY rowid")
        return {
            conversation_id: {"created_at": created_at, "metadata": json.loads(metadata), "deleted": bool(deleted)}
            for conversation_id, created_at, metadata, deleted in rows
        }

    def conversation(self, conversation_id: str, *, also_deleted: bool = False) -> Json | None:
        """One conversation as {id, created_at, metadata}."""
        query = "SELECT created_at, metadata FROM conversations WHERE id = ? AND deleted <= ?"
        row = self._db.execute(query, (conversation_id, also_deleted)).fetchone()
        return row and {"id": conversation_id, "created_at": row[0], "metadata": json.loads(row[1])}

    def add_conversation(self, conversation_id: str, created_at: int, metadata: Json, items: list[Json]) -> None:
        """Keeps a new conversation together with its first items."""
        with self._db:
            self._db.execute(
                "INSERT INTO conversations (id, created_at, metadata) VALUES (?, ?, ?)",
                (conversation_id, created_at, json.dumps(metadata)),
            )
            self._insert_items(conversation_id, items)

    def set_metadata(self, conversation_id: str, metadata: Json) -> None:
        """Replaces the metadata as a whole."""
        with self._db:
            self._db.execute(
                "UPDATE conversations SET metadata = ? WHERE id = ?", (json.dumps(metadata), conversation_id)
            )

    def delete_conversation(self, conversation_id: str) -> None:
        """Deletes the conversation and, as OpenAI does, leaves its items behind."""
        with self._db:
            self._db.execute("UPDATE conversations SET deleted = 1 WHERE id = ?", (conversation_id,))

    def items(self, conversation_id: str) -> list[Json]:
        """All items of a conversation, oldest first, orphans too."""
        query = "SELECT body FROM items WHERE conversation_id = ? ORDER BY position"
        return [json.loads(body) for (body,) in self._db.execute(query, (conversation_id,))]

    def item(self, conversation_id: str, item_id: str) -> Json | None:
        """One item of this conversation."""
        query = "SELECT body FROM items WHERE conversation_id = ? AND id = ?"
        return _loaded(self._db.execute(query, (conversation_id, item_id)).fetchone())

    def add_items(self, conversation_id: str, items: list[Json]) -> None:
        """Appends items in this order."""
        with self._db:
            self._insert_items(conversation_id, items)

    def delete_item(self, item_id: str) -> None:
        """Deletes one item."""
        with self._db:
            self._db.execute("DELETE FROM items WHERE id = ?", (item_id,))

    def finish_response(self, response: Json, inputs: list[Json], *, keep: bool) -> None:
        """Appends what a response that has ended brings to its conversation, and keeps it if it is to be stored."""
        with self._db:
            if response["conversation"] and response["status"] == "completed":
                self._insert_items(response["conversation"]["id"], [*inputs, *response["output"]])
            if keep:
                values = (response["id"], json.dumps(response), json.dumps(inputs))
                self._db.execute("INSERT INTO responses (id, body, inputs) VALUES (?, ?, ?)", values)

    def response(self, response_id: str) -> Json | None:
        """One stored response."""
        return _loaded(self._db.execute("SELECT body FROM responses WHERE id = ?", (response_id,)).fetchone())

    def inputs(self, response_id: str) -> list[Json]:
        """The input items of a stored response, oldest first."""
        row = self._db.execute("SELECT inputs FROM responses WHERE id = ?", (response_id,)).fetchone()
        return json.loads(row[0]) if row else []

    def delete_response(self, response_id: str) -> None:
        """Deletes one stored response."""
        with self._db:
            self._db.execute("DELETE FROM responses WHERE id = ?", (response_id,))

    def _insert_items(self, conversation_id: str, items: Iterable[Json]) -> None:
        self._db.executemany(
            "INSERT INTO items (id, conversation_id, body) VALUES (?, ?, ?)",
            [(item["id"], conversation_id, json.dumps(item)) for item in items],
        )


def _loaded(row: tuple[str] | None) -> Json | None:
    return None if row is None else json.loads(row[0])
