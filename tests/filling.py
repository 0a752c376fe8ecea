"""A long history, written into the tables at once: users who come back again and again over two years.

Something is rare everywhere: however many rows there are, RARE of them have it, evenly spread.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]
START, SPAN = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=730)
IN_A_CONVERSATION = 10
OF_A_USER = 4  # conversations
RARE = 25
FREQUENT_WORD, RARE_WORD = "farina", "zafferano"
COLUMNS = {
    "users": "id cohort first_seen_at last_seen_at conversation_count message_count",
    "profiles": "user_id name last_name search_text",
    "conversations": "user_id id number topic template cohort identity is_active created_at last_message_at "
    "last_inbound_at inbound_received_at created_reason parent_conversation_id timeout_seconds message_count",
    "messages": "user_id id topic conversation_id direction text command_length sent_at received_at late",
    "notes": "user_id id kind text status source message_ids resolved_by created_at",
    "summaries": "user_id id conversation_id state asked_at lease_until model prompt_hash covered_count "
    "message_count entries dropped input_tokens cached_input_tokens output_tokens",
}
_SYLLABLES = ["ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo"]
WORDS = [a + b + c for a in _SYLLABLES for b in _SYLLABLES for c in _SYLLABLES]


class Filling:
    """So many messages and what belongs to them; the same every time."""

    def __init__(self, messages: int) -> None:
        self.conversations = messages // IN_A_CONVERSATION
        self.users = max(self.conversations // OF_A_USER, 1)
        self.messages = self.conversations * IN_A_CONVERSATION
        self._step = SPAN / self.conversations
        self._chance = random.Random(1)  # noqa: S311 - the same history every time

    def tables(self) -> dict[str, Iterator[Row]]:
        """Rows of each table, in an order that foreign keys allow."""
        return {
            "users": self._users(),
            "profiles": self._profiles(),
            "conversations": self._conversations(),
            "messages": self._messages(),
            "notes": self._notes(),
            "summaries": self._summaries(),
        }

    def began(self, number: int) -> datetime:
        """When a conversation began."""
        return START + number * self._step

    def _rare(self, number: int, of: int) -> bool:
        every = max(of // RARE, 1)
        return number % every == every // 2 and number // every < RARE

    def _users(self) -> Iterator[Row]:
        for number in range(self.users):
            yield user(number), "window", START, START + number * self._step, OF_A_USER, OF_A_USER * IN_A_CONVERSATION

    def _profiles(self) -> Iterator[Row]:
        for number in range(self.users):
            name = "Maria" if number % 3 == 0 else WORDS[number % len(WORDS)].title()
            last = "Zanzotto" if self._rare(number, self.users) else self._chance.choice(WORDS).title()
            yield user(number), name, last, f"{name} {last}".casefold()

    def _conversations(self) -> Iterator[Row]:
        for number in range(self.conversations):
            at, rare = self.began(number), self._rare(number, self.conversations)
            last = at + timedelta(seconds=20 * IN_A_CONVERSATION - 20)
            before = conversation(number - self.users) if number >= self.users else None
            reason = "user_reset" if rare else "idle_timeout" if before else "first_contact"
            is_active = number >= self.conversations - RARE
            topic, template = ("ordini", "vip") if rare else ("general", None)
            names = user(number % self.users), conversation(number), number // self.users + 1, topic, template
            times = at, last, last, last
            yield *names, "window", "+39", is_active, *times, reason, before, 172800.0, IN_A_CONVERSATION

    def _messages(self) -> Iterator[Row]:
        for number in range(self.messages):
            owner, place = divmod(number, IN_A_CONVERSATION)
            at = self.began(owner) + timedelta(seconds=20 * place)
            words = self._chance.choices(WORDS, k=9)
            words[0] = FREQUENT_WORD if number % 3 == 0 else words[0]
            words[1] = RARE_WORD if self._rare(number, self.messages) else words[1]
            direction = "outbound" if place % 2 else "inbound"
            names = user(owner % self.users), message(number), "general", conversation(owner)
            yield *names, direction, " ".join(words), 0, at, at, False

    def numbered(self) -> Iterator[Row]:
        """The messages with what they are searched by on SQLite: the second, and any place in it."""
        for place, row in enumerate(self._messages()):
            yield *row, (int(row[7].timestamp()) << 25) + place

    def _notes(self) -> Iterator[Row]:
        for number in range(self.users * 2):
            kind = "issue" if number < self.users else "preference"
            yield (
                user(number % self.users),
                f"note_{number:08}",
                kind,
                "Paga a 60 giorni",
                "open",
                "operator",
                "[]",
                "[]",
                START,
            )

    def _summaries(self) -> Iterator[Row]:
        for number in range(self.users):
            claim = START, 0.0, "m", "h"
            yield user(number), f"sum_{number:08}", conversation(number), "kept", *claim, 1, 1, "{}", "{}", 0, 0, 0


def user(number: int) -> str:
    """An id."""
    return f"usr_01k{number:023}"


def conversation(number: int) -> str:
    """An id as long as OpenAI's."""
    return f"conv_{number:048}"


def message(number: int) -> str:
    """An id."""
    return f"msg_01k{number:023}"


def fill_sqlite(file: Path, filling: Filling) -> None:
    """Write a history into a migrated file that has none; indexes and triggers are made anew behind it."""
    made_anew = "type IN ('index', 'trigger') AND sql IS NOT NULL AND tbl_name IN ('messages', 'conversations')"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000; BEGIN")
        later = connection.execute(f"SELECT type, name, sql FROM sqlite_master WHERE {made_anew}").fetchall()  # noqa: S608
        for kind, name, _ in later:
            connection.execute(f"DROP {kind} {name}")
        for table, rows in (filling.tables() | {"messages": filling.numbered()}).items():
            names = [*COLUMNS[table].split(), *(["message_search_number"] if table == "messages" else [])]
            into = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
            connection.executemany(into, (tuple(map(_as_text, row)) for row in rows))
        for _, _, sql in sorted(later):
            connection.execute(sql)
        connection.execute("INSERT INTO message_search (message_search) VALUES ('rebuild')")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")


def _as_text(value: Any) -> Any:
    """A time as SQLite has it."""
    return value.replace(tzinfo=None).isoformat(" ", "microseconds") if isinstance(value, datetime) else value
