"""What a bot's file says, and what the service says after taking it over: a reading made without the service's code.

Both sides become lines of one form, and each kind of lines one sum of SHA-256 in which their order does not count, so
that a million messages are compared in little memory (it grows with the people, not with what they said). The zone is
Rome by the rule of the European Union itself, written out here, and only good for 1996 and later. It imports nothing
of the service and must not: two readings that agree say more than one that was tested against itself.

    .venv/bin/python bench/bot_reading.py BOT.db                # counts and sums of a bot's file
    .venv/bin/python bench/bot_reading.py BOT.db --taken DB     # and of the SQLite file that took it over: equal?

The sum of the messages is that of `identity|direction|UTC with microseconds|text|conversation id or -`.
"""

import argparse
import asyncio
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import asyncpg

TABLES = ("conversations", "messages", "profiles")
DIRECTIONS = {"user": "inbound", "bot": "outbound"}
FIRST_YEAR = 1996  # before, summer ended in September
SHOWN = 10
_FETCHED = 5000
_SPELLED = re.compile(r"(\d{4}-\d\d-\d\d)[T ]([01]\d|2[0-3]):([0-5]\d:[0-5]\d)(?:\.(\d{1,6}))?")
_PHONE = re.compile(r"(?:\+|00)?(\d{7,15})")

Rows = Callable[[str], Iterator[Sequence[Any]]]  # a query, to the rows of its answer


class Unreadable(ValueError):
    """A row of the bot's that this reading has no rule for; the text says which row, not what is in it."""


class Line(NamedTuple):
    """What is compared, and where it stands, for the reader of a difference: no text, no phone number."""

    place: str
    text: str


@dataclass(slots=True)
class Sum:
    """A count of lines and the sum of their hashes."""

    count: int = 0
    total: int = 0

    def add(self, text: str) -> None:
        """Take a line."""
        self.count += 1
        self.total = (self.total + int.from_bytes(_hash(text))) % 2**256

    def __str__(self) -> str:
        return f"{self.total:064x}"[:16]


def summed(texts: Iterable[str]) -> Sum:
    """The sum of lines."""
    made = Sum()
    for text in texts:
        made.add(text)
    return made


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


# ---- Rome's clock


def utc(spelled: object) -> str:
    """A naive time of Rome as UTC, as `YYYY-MM-DD HH:MM:SS.ffffff`."""
    found = _SPELLED.fullmatch(spelled) if isinstance(spelled, str) else None
    if found is None:
        raise Unreadable("a time in no known spelling")
    day, hour, rest, fraction = found.groups()
    return f"{_hour(day, int(hour))[0]}:{rest}.{(fraction or '').ljust(6, '0')}"


def clock(spelled: str) -> str:
    """Whether the hour of a naive time of Rome is there `once`, `twice`, or `missing`."""
    return _hour(spelled[:10], int(spelled[11:13]))[1]


@lru_cache(maxsize=4096)
def _hour(day: str, hour: int) -> tuple[str, str]:
    """The hour in UTC, and how often that hour is on Rome's clock. Both changes are of the hour from two to three."""
    local = datetime.combine(date.fromisoformat(day), datetime.min.time()) + timedelta(hours=hour)
    if local.year < FIRST_YEAR:
        raise Unreadable(f"a time before {FIRST_YEAR}, which had other rules")
    to_summer = datetime.combine(_last_sunday(local.year, 3), datetime.min.time()) + timedelta(hours=2)
    to_winter = datetime.combine(_last_sunday(local.year, 10), datetime.min.time()) + timedelta(hours=2)
    kind = {to_summer: "missing", to_winter: "twice"}.get(local, "once")
    # The hour that exists twice is read as the first, which is summer's. The missing one is shifted by the gap: its
    # clock still says winter, and that is the instant.
    ahead = 2 if to_summer < local <= to_winter else 1
    return f"{local - timedelta(hours=ahead):%Y-%m-%d %H}", kind


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=last.isoweekday() % 7)


def identity(phone: str) -> str:
    """A phone number as `+digits`; anything else as it is."""
    found = _PHONE.fullmatch(re.sub(r"(?<=\d)[ -]+(?=\d)", "", phone.strip()))
    return f"+{found[1]}" if found else phone.strip()


# ---- the two sides


class Side(Protocol):
    """The bot's file or the service's database: the lines of each kind."""

    def people(self) -> Iterator[Line]:
        """Everyone who is mentioned."""

    def conversations(self) -> Iterator[Line]:
        """Every conversation, with its person, its beginning and its state."""

    def messages(self) -> Iterator[Line]:
        """Every message, with its person, its time and its conversation."""

    def profiles(self) -> Iterator[Line]:
        """Every profile; an empty field is an unknown one."""

    def ties(self) -> Iterator[Line]:
        """The messages that a person and the bot said at one instant, in their order."""


KINDS = ("people", "conversations", "messages", "profiles", "ties")


def read(side: Side) -> dict[str, Sum]:
    """The sums of all kinds."""
    return {kind: summed(line.text for line in getattr(side, kind)()) for kind in KINDS}


def differences(bot: Side, wanted: Mapping[str, Sum], service: Side, had: Mapping[str, Sum]) -> list[str]:
    """What differs, by rows: of the first few of each kind, which."""
    return [
        f"{kind}: {text}"
        for kind in KINDS
        if wanted[kind] != had[kind]
        for text in _between(getattr(bot, kind), getattr(service, kind))
    ]


def _between(wanted: Callable[[], Iterator[Line]], had: Callable[[], Iterator[Line]]) -> Iterator[str]:
    """Needs memory for each line, and is only asked when there is a difference."""
    left = Counter(_hash(line.text)[:12] for line in wanted())
    left.subtract(_hash(line.text)[:12] for line in had())
    missing, surplus = +left, -left
    for word, lines, which in (("missing or different", wanted, missing), ("not the bot's", had, surplus)):
        if which:
            places = [line.place for line in lines() if _hash(line.text)[:12] in which][:SHOWN]
            yield f"{which.total()} {word}: {', '.join(places)}{' ...' if which.total() > len(places) else ''}"


class Bot:
    """A bot's file; it is opened to be read only."""

    def __init__(self, file: Path) -> None:
        self._rows = sqlite_rows(file, mode="ro")
        self._file = file

    @cached_property
    def conversation_of(self) -> dict[str, str]:
        """The conversation of each person; of two, that of the first row."""
        found: dict[str, str] = {}
        for phone, conversation in self._rows("SELECT phone_number, conversation_id FROM conversations ORDER BY rowid"):
            found.setdefault(identity(phone), conversation)
        return found

    @cached_property
    def undated(self) -> frozenset[str]:
        """The conversations without a beginning."""
        return frozenset(
            one for (one,) in self._rows("SELECT conversation_id FROM conversations WHERE created_at IS NULL")
        )

    def clocks(self) -> Counter[str]:
        """How many messages have an hour that is there `once`, `twice`, or `missing`."""
        found: Counter[str] = Counter()
        for hour, count in self._rows("SELECT substr(timestamp, 1, 13), count(*) FROM messages GROUP BY 1"):
            found[clock(hour)] += count
        return found

    def doubles(self) -> list[str]:
        """What the rules leave open: people with two rows in a table that has one for each phone number."""
        found = []
        for table in ("conversations", "profiles"):
            rows = Counter(identity(phone) for (phone,) in self._rows(f"SELECT phone_number FROM {table}"))  # noqa: S608
            if many := sum(count > 1 for count in rows.values()):
                found.append(f"{many} people have two rows in {table}")
        return found

    def people(self) -> Iterator[Line]:
        """Everyone in any of the three tables."""
        seen = {
            identity(phone)
            for table in TABLES
            for (phone,) in self._rows(f"SELECT DISTINCT phone_number FROM {table}")  # noqa: S608
        }
        return (Line(f"person {number}", one) for number, one in enumerate(sorted(seen), 1))

    def conversations(self) -> Iterator[Line]:
        """Active, and the first of its person; one that the bot has no time for has `-`."""
        for row, phone, one, created in self._rows(
            "SELECT rowid, phone_number, conversation_id, created_at FROM conversations"
        ):
            at = "-" if created is None else _at(f"conversations row {row}", created)
            yield Line(f"row {row}", f"{identity(phone)}|{one}|{at}|imported|True|1")

    def messages(self) -> Iterator[Line]:
        """Of a person with a conversation, all belong to it."""
        for row, phone, sender, text, spelled in self._rows(
            "SELECT id, phone_number, sender, message, timestamp FROM messages"
        ):
            if sender not in DIRECTIONS:
                raise Unreadable(f"messages row {row}: a sender who is neither user nor bot")
            who, at = identity(phone), _at(f"messages row {row}", spelled)
            conversation = self.conversation_of.get(who, "-")
            yield Line(f"row {row}", f"{who}|{DIRECTIONS[sender]}|{at}|{_text(text)}|{conversation}")

    def profiles(self) -> Iterator[Line]:
        """Four fields, each of which may be unknown."""
        for row, phone, *fields in self._rows(
            "SELECT rowid, phone_number, name, last_name, ragione_sociale, email FROM profiles"
        ):
            yield Line(f"row {row}", "|".join([identity(phone), *(one or "-" for one in fields)]))

    def ties(self) -> Iterator[Line]:
        """In the order of the bot's rows."""
        with closing(sqlite3.connect(f"{self._file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.create_function("identity", 1, identity, deterministic=True)
            db.create_function("utc", 1, utc, deterministic=True)
            db.execute(
                "CREATE TEMP TABLE said AS SELECT id, identity(phone_number) AS who, utc(timestamp) AS at FROM messages"
            )
            rows = db.execute("""
                SELECT who, at, sender, message, id FROM said JOIN messages USING (id)
                JOIN (SELECT who, at FROM said GROUP BY who, at HAVING count(*) > 1) USING (who, at)
                ORDER BY who, at, id""")
            yield from _tied((who, at, DIRECTIONS[sender], text, f"row {row}") for who, at, sender, text, row in rows)


class Service:
    """The database of a service that has taken a bot's rows and nothing else."""

    def __init__(self, rows: Rows, undated: frozenset[str] = frozenset()) -> None:
        self._rows = rows
        self._undated = undated

    def people(self) -> Iterator[Line]:
        """Every user by identity."""
        query = "SELECT users.id, value FROM users LEFT JOIN identities ON identities.user_id = users.id"
        return (Line(user, str(value)) for user, value in self._rows(query))

    def conversations(self) -> Iterator[Line]:
        """The beginnings that the bot has no time for are the service's own affair."""
        for who, one, created, reason, is_active, number in self._rows("""
                SELECT value, conversations.id, conversations.created_at, created_reason, is_active, number
                FROM conversations LEFT JOIN identities USING (user_id)"""):
            at = "-" if one in self._undated else _instant(created)
            yield Line(one, f"{who}|{one}|{at}|{reason}|{bool(is_active)}|{number}")

    def messages(self) -> Iterator[Line]:
        """As they are stored: in SQLite the time is text, and has to be spelled as the service spells it."""
        for row, who, direction, at, text, conversation in self._rows("""
                SELECT id, value, direction, sent_at, text, conversation_id
                FROM messages LEFT JOIN identities USING (user_id)"""):
            yield Line(row, f"{who}|{direction}|{_instant(at)}|{text}|{conversation or '-'}")

    def profiles(self) -> Iterator[Line]:
        """Four fields, each of which may be unknown."""
        for user, who, *fields in self._rows("""
                SELECT user_id, value, name, last_name, ragione_sociale, email
                FROM profiles LEFT JOIN identities USING (user_id)"""):
            yield Line(user, "|".join([str(who), *(one or "-" for one in fields)]))

    def ties(self) -> Iterator[Line]:
        """In the order in which the service shows a thread."""
        rows = self._rows("""
            SELECT value, messages.sent_at, direction, text, messages.id FROM messages
            JOIN (SELECT user_id, sent_at FROM messages GROUP BY user_id, sent_at HAVING count(*) > 1) AS tied
              ON tied.user_id = messages.user_id AND tied.sent_at = messages.sent_at
            LEFT JOIN identities ON identities.user_id = messages.user_id
            ORDER BY messages.user_id, messages.sent_at, messages.id""")
        return _tied((str(who), _instant(at), direction, text, row) for who, at, direction, text, row in rows)

    def ids(self) -> Sum:
        """The sum of the messages' own ids; they are the same wherever the same row is taken."""
        return summed(row for (row,) in self._rows("SELECT id FROM messages"))

    def wrong(self) -> list[str]:
        """What contradicts itself: each rule that some rows break, how many do, and the first of them."""
        found = []
        for rule, query in RULES.items():
            broken = [str(row[0]) for row in self._rows(query)]
            if broken:
                found.append(f"{rule}: not so for {len(broken)}: {', '.join(broken[:SHOWN])}")
        return found


_KEPT = """conversations JOIN (
    SELECT c.user_id, c.id, count(m.id) AS said, max(m.sent_at) AS newest,
      max(CASE WHEN m.direction = 'inbound' THEN m.sent_at END) AS heard
    FROM conversations AS c LEFT JOIN messages AS m ON m.user_id = c.user_id AND m.conversation_id = c.id
    GROUP BY c.user_id, c.id
  ) AS kept ON kept.user_id = conversations.user_id AND kept.id = conversations.id"""
RULES = {
    "one active conversation of a user": """
        SELECT user_id FROM conversations WHERE is_active GROUP BY user_id HAVING count(*) > 1""",
    "one identity of a user": "SELECT user_id FROM identities GROUP BY user_id HAVING count(*) > 1",
    "message_count of a conversation": f"SELECT conversations.id FROM {_KEPT} WHERE message_count <> said",  # noqa: S608
    "last_message_at of a conversation": f"""
        SELECT conversations.id FROM {_KEPT} WHERE last_message_at <> coalesce(newest, created_at)""",  # noqa: S608
    "last_inbound_at of a conversation": f"SELECT conversations.id FROM {_KEPT} WHERE last_inbound_at <> heard",  # noqa: S608
    "conversation_count of a user": """
        SELECT id FROM users
        WHERE conversation_count <> (SELECT count(*) FROM conversations WHERE conversations.user_id = users.id)""",
    "message_count of a user": """
        SELECT id FROM users
        WHERE message_count
          <> (SELECT count(*) FROM messages WHERE messages.user_id = users.id AND command_length = 0)""",
    "a conversation's id is taken": "SELECT id FROM conversations WHERE id NOT IN (SELECT remote_id FROM remote_ids)",
}


def _at(place: str, spelled: object) -> str:
    try:
        return utc(spelled)
    except ValueError as error:
        raise Unreadable(f"{place}: {error}") from error


def _text(text: object) -> str:
    return "" if text is None else str(text)


def _instant(stored: object) -> str:
    if isinstance(stored, datetime):
        return stored.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return str(stored)


def _tied(said: Iterable[tuple[str, str, str, str | None, str]]) -> Iterator[Line]:
    for (who, at), group in groupby(said, key=lambda one: one[:2]):
        for place, (_, _, direction, text, row) in enumerate(group):
            yield Line(row, f"{who}|{at}|{place}|{direction}|{_text(text)}")


# ---- databases


def sqlite_rows(file: Path, mode: str = "rw") -> Rows:
    """Ask a SQLite file; to be written to as well, unless `ro`, because a killed process leaves a journal to play."""

    def rows(query: str) -> Iterator[Sequence[Any]]:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode={mode}", uri=True)) as db:
            yield from db.execute(query)

    return rows


def postgres_rows(url: str) -> Rows:
    """Ask PostgreSQL, a few thousand rows at a time."""
    dsn = url.replace("+asyncpg", "")

    async def opened(query: str) -> tuple[asyncpg.Connection, Any]:
        connection = await asyncpg.connect(dsn)
        await connection.transaction(readonly=True).start()
        return connection, await connection.cursor(query)

    async def fetched(cursor: Any) -> list[Sequence[Any]]:
        found: list[Sequence[Any]] = await cursor.fetch(_FETCHED)
        return found

    def rows(query: str) -> Iterator[Sequence[Any]]:
        with asyncio.Runner() as runner:
            connection, cursor = runner.run(opened(query))
            try:
                while some := runner.run(fetched(cursor)):
                    yield from some
            finally:
                runner.run(connection.close())

    return rows


def columns(file: Path, prefix: str = "") -> dict[str, list[str]]:
    """The columns of the bot's tables; a table that is not there has none."""
    rows = sqlite_rows(file)
    return {
        table: [str(name) for (name,) in rows(f"SELECT name FROM pragma_table_info('{prefix}{table}')")]  # noqa: S608
        for table in TABLES
    }


def raw(file: Path, wanted: Mapping[str, Sequence[str]], prefix: str = "") -> dict[str, Sum]:
    """The sums of the bot's own rows, type by type as they are stored, in so many of their columns."""
    return {
        table: summed(
            map(repr, sqlite_rows(file)(f"SELECT {_listed(names)} FROM {prefix}{table}"))  # noqa: S608
        )
        for table, names in wanted.items()
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def tables(file: Path) -> list[str]:
    """The names of all tables but SQLite's own."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
    return [name for (name,) in sqlite_rows(file)(query)]


def content(file: Path) -> dict[str, Sum]:
    """The sums of all rows of all tables: two equal contents are the same database."""
    return {name: summed(map(repr, sqlite_rows(file)(f'SELECT * FROM "{name}"'))) for name in tables(file)}  # noqa: S608


def main() -> int:
    """Print the counts and sums of a bot's file, and whether a database has the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="as the bot wrote it")
    parser.add_argument("--taken", type=Path, help="a SQLite database of the service that took it over")
    given = parser.parse_args()
    begun = time.perf_counter()
    bot = Bot(given.file)
    wanted = read(bot)
    for kind, one in wanted.items():
        print(f"{kind:<14} {one.count:>9,}  {one}")
    clocks = bot.clocks()
    print(f"{'hours':<14} twice {clocks['twice']}, missing {clocks['missing']}")
    print(*bot.doubles(), f"read in {time.perf_counter() - begun:.1f} s", sep="\n")
    if given.taken is None:
        return 0
    service = Service(sqlite_rows(given.taken), bot.undated)
    found = [*differences(bot, wanted, service, read(service)), *service.wrong()]
    print(*found or ["equal"], sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
