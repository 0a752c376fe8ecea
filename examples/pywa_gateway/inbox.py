"""Messages that were acknowledged and are not answered yet; a file of SQLite, so that they outlive the process."""

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

REMEMBERED_SECONDS = 8 * 24 * 3600  # WhatsApp repeats a webhook for up to seven days

TABLE = """
CREATE TABLE IF NOT EXISTS inbox (
    id TEXT PRIMARY KEY, sender TEXT NOT NULL, webhook TEXT,
    state TEXT NOT NULL DEFAULT 'waiting', moved_at REAL NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message: its id at WhatsApp, who sent it, and the webhook that brought it, with this message alone."""

    id: str
    sender: str
    webhook: str


class Inbox:
    """One file for one process; each call is a transaction that has reached the disk when it returns."""

    def __init__(self, file: Path) -> None:
        self._lock = Lock()
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON", TABLE):
            self._db.execute(statement)

    def add(self, messages: Iterable[Waiting]) -> None:
        """Take messages in; one that was here before, answered or not, is no second one."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO inbox (id, sender, webhook, moved_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(one.id, one.sender, one.webhook, time.time()) for one in messages],
            )

    def next_of(self, sender: str) -> Waiting | None:
        """The oldest message of a sender that waits."""
        query = "SELECT id, sender, webhook FROM inbox WHERE sender = ? AND state = 'waiting' ORDER BY rowid LIMIT 1"
        with self._lock:
            row = self._db.execute(query, (sender,)).fetchone()
        return Waiting(*row) if row else None

    def settle(self, message: Waiting) -> None:
        """It needs nothing more: its text goes, its id stays for as long as it may be repeated."""
        self._execute("UPDATE inbox SET webhook = NULL, state = 'settled', moved_at = ? WHERE id = ?", message.id)

    def set_aside(self, message: Waiting) -> None:
        """It was tried in vain for long enough; the next start tries again."""
        self._execute("UPDATE inbox SET state = 'aside', moved_at = ? WHERE id = ?", message.id)

    def resume(self) -> list[str]:
        """After a start: forget what cannot come again, and name everybody who waits."""
        with self._lock:
            self._db.execute(
                "DELETE FROM inbox WHERE state = 'settled' AND moved_at < ?", (time.time() - REMEMBERED_SECONDS,)
            )
            self._db.execute("UPDATE inbox SET state = 'waiting' WHERE state = 'aside'")
            return [row[0] for row in self._db.execute("SELECT DISTINCT sender FROM inbox WHERE state = 'waiting'")]

    def _execute(self, statement: str, id: str) -> None:
        with self._lock:
            self._db.execute(statement, (time.time(), id))
