"""The existing bot, as far as its database goes: writes files as it does, with everything that is odd about them."""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from tests.databases import on

ROME = ZoneInfo("Europe/Rome")
SCHEMA = """
CREATE TABLE conversations (phone_number TEXT PRIMARY KEY, conversation_id TEXT NOT NULL,
                            created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, phone_number TEXT NOT NULL, sender TEXT NOT NULL,
                       message TEXT, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE profiles (phone_number TEXT PRIMARY KEY, name TEXT, last_name TEXT, ragione_sociale TEXT, email TEXT,
                       found_all_info BOOLEAN DEFAULT 0, updated_at TIMESTAMP);
CREATE INDEX idx_messages_phone ON messages (phone_number, timestamp);
"""
ALTERED = """
ALTER TABLE conversations ADD COLUMN last_message_at TIMESTAMP;
ALTER TABLE conversations ADD COLUMN is_active BOOLEAN DEFAULT 1;
"""


class Bot:
    """The bot's database in a file."""

    def __init__(self, path: Path, schema: str = SCHEMA) -> None:
        self.path = path
        self.run(schema)

    def run(self, script: str) -> None:
        """Run statements."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)

    def add(self, table: str, *rows: tuple[Any, ...], **columns: Any) -> None:
        """Insert a row by names, or whole rows by their places."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            if columns:
                names, marks = ", ".join(columns), ", ".join("?" * len(columns))
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608
            for row in rows:
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608

    def talk(self, phone: str, conversation_id: str | None, *lines: tuple[str, str | None, str | None]) -> None:
        """A conversation and its messages: sender, text, time; it began with the first."""
        if conversation_id is not None:
            self.add("conversations", phone_number=phone, conversation_id=conversation_id, created_at=lines[0][2])
        for sender, text, at in lines:
            self.add("messages", phone_number=phone, sender=sender, message=text, timestamp=at)

    def dump(self, prefix: str = "") -> list[list[tuple[Any, ...]]]:
        """Every row of the bot's three tables."""
        with closing(sqlite3.connect(self.path)) as connection:
            return [
                connection.execute(f"SELECT * FROM {prefix}{table} ORDER BY 1").fetchall()  # noqa: S608
                for table in ("conversations", "messages", "profiles")
            ]


def small(path: Path, schema: str = SCHEMA) -> Bot:
    """A little of everything."""
    bot = Bot(path, schema)
    bot.talk(
        "+393331111111",
        "conv_anna",
        ("user", "Buongiorno", "2026-07-01T10:00:00"),
        ("bot", "Buongiorno Anna", "2026-07-01 10:00:05"),
        ("user", "A che punto è l'ordine 4471?", "2026-01-10T09:30:00.000123"),
    )
    bot.talk("393331111111", None, ("user", "Senza più", "2026-07-02T10:00:00"))
    bot.talk("+39 333 222 2222", None, ("user", "Siete aperti?", "2026-10-25T02:30:00"), ("bot", None, None))
    bot.talk("nessuno\x01", "conv_nobody", ("user", "Chi sono?", "2026-07-01T10:00:00"))
    bot.add("conversations", phone_number="+393333333333", conversation_id="conv_empty", created_at=None)
    bot.add("profiles", ("+393331111111", "Anna", None, "", "anna@example.it", 0, None))
    bot.add("profiles", ("393331111111", "Anna", "Neri", "Molino Neri", None, 0, "2026-07-01 10:00:00"))
    return bot


def grown(path: Path, people: int, messages: int, *, seed: int = 1) -> Bot:
    """A bot that was in use for a year: three spellings of times, numbers with and without +, gaps everywhere."""
    chance = random.Random(seed)  # noqa: S311 - the same file every time
    bot = Bot(path)
    said: list[tuple[Any, ...]] = []
    for n in range(people):
        phone = f"+39333{n:07d}"
        at = datetime(2025, 9, 1, 8, tzinfo=UTC) + timedelta(minutes=chance.randrange(500_000))
        if n % 17 != 5:
            bot.add("conversations", (phone, f"conv_{n:040x}", None if n % 13 == 7 else spelled(at, n)))
        if n % 7 != 3:
            bot.add("profiles", (phone, "Anna", None if n % 4 else "Rossi", "", f"a{n}@example.it", 0, None))
        for k in range(messages // people if n else 0):
            at += timedelta(minutes=chance.expovariate(1 / 900))
            shown = phone if chance.random() < 0.9 else phone[1:]
            text = None if chance.random() < 0.02 else f"messaggio {k} di {n}, ordine {chance.randrange(9999)}"
            said.append((shown, "user" if k % 2 == 0 else "bot", text, spelled(at, k)))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO messages (phone_number, sender, message, timestamp) VALUES (?, ?, ?, ?)", said
        )
    return bot


def spelled(at: datetime, n: int) -> str:
    """An instant as the bot's versions wrote it: local, without a zone, in one of three spellings."""
    local = at.astimezone(ROME).replace(tzinfo=None, microsecond=0)
    return (local.isoformat(), local.isoformat(" "), local.replace(microsecond=n % 999_983).isoformat())[n % 3]


MESSAGES = """
    SELECT i.value AS identity, m.conversation_id, m.direction, m.text, m.sent_at, m.id
    FROM messages m JOIN identities i ON i.user_id = m.user_id ORDER BY i.value, m.sent_at, m.id
"""
CONVERSATIONS = """
    SELECT c.id, c.number, c.identity, c.is_active, c.created_reason, c.closed_reason, c.parent_conversation_id,
           c.message_count, c.created_at, c.last_message_at, c.last_inbound_at, c.closed_at, u.message_count AS total,
           u.conversation_count, u.first_seen_at, u.last_seen_at, u.cohort,
           EXISTS (SELECT 1 FROM remote_ids r WHERE r.remote_id = c.id) AS is_taken
    FROM conversations c JOIN users u ON u.id = c.user_id ORDER BY c.identity, c.number
"""
PROFILES = """
    SELECT i.value AS identity, p.name, p.last_name, p.ragione_sociale, p.email, p.search_text, p.updated_at
    FROM profiles p JOIN identities i ON i.user_id = p.user_id ORDER BY i.value
"""


def rows(url: str, query: str) -> list[dict[str, Any]]:
    """What the service's tables say; times as they are stored, to the microsecond."""
    found = on(url, lambda connection: connection.execute(sa.text(query)).mappings().all())
    return [{name: _plain(value) for name, value in row.items()} for row in found]


def content(url: str) -> list[list[dict[str, Any]]]:
    """All that an adoption makes, but for the random ids of users."""
    return [rows(url, query) for query in (CONVERSATIONS, MESSAGES, PROFILES)]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'microseconds')}"
    return bool(value) if value in (0, 1) and not isinstance(value, str) else value


def undated(found: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Content without the times of conversations that have no message."""
    conversations, *rest = found
    times = ("created_at", "last_message_at", "last_inbound_at", "first_seen_at", "last_seen_at", "closed_at")
    plain = [row if row["message_count"] else {**row, **dict.fromkeys(times)} for row in conversations]
    return [plain, *rest]


def url(file: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{file}"
