"""The existing bot's tables: recognised by their columns, and read person by person in constant memory."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from convo_service.db.backups import look
from convo_service.db.models import Base
from convo_service.domain.identities import Identity
from convo_service.domain.legacy import FIELDS, RawPerson, identity_of

PREFIX: Final = "legacy_"  # under which the bot's tables are set aside
COLUMNS = {
    "conversations": {"phone_number", "conversation_id", "created_at"},
    "messages": {"id", "phone_number", "sender", "message", "timestamp"},
    "profiles": {"phone_number", *FIELDS},
}
READ_AT_ONCE = 1000
SHOWN_NAMES = 5

# Which spellings of a number are one person; it lies in the temporary database, on disk when it is large.
_PEOPLE = sa.Table(
    "bot_people",
    sa.MetaData(),
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("phone", sa.Text, index=True),
    sa.Column("person", sa.Text, index=True),  # None: the number is none
    sa.Column("kind", sa.Text),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",  # on SQLite it goes with the connection
)


class ForeignDatabase(Exception):
    """A database that is neither empty nor the bot's; nothing may be changed in it."""


def is_the_bots(connection: sa.Connection) -> bool:
    """Whether a database that was never migrated is the bot's; False when it is empty. Raises ForeignDatabase."""
    if connection.dialect.name == "sqlite" and (encoding := connection.scalar(sa.text("PRAGMA encoding"))) != "UTF-8":
        raise ForeignDatabase(f"its texts are in {encoding}")
    inspector = sa.inspect(connection)
    tables = {name.lower(): name for name in inspector.get_table_names() if name != "alembic_version"}
    if not tables:
        return False
    if missing := COLUMNS.keys() - tables:
        raise ForeignDatabase(f"it has {_listed(tables)}, and no {_listed(missing)}")
    for table, wanted in COLUMNS.items():
        columns = {column["name"].lower() for column in inspector.get_columns(tables[table])}
        if missing := wanted - columns:
            raise ForeignDatabase(f"its table {table} has no column {_listed(missing)}")
    if taken := _needed() & {name.lower() for name in _other_names(inspector, tables.values())}:
        raise ForeignDatabase(f"it has {_listed(taken)} beside the bot's tables, a name that is needed here")
    return True


def made_here(connection: sa.Connection, table: str) -> bool:
    """Whether one of the bot's tables is one that the first revision made: their keys have a name."""
    return bool(sa.inspect(connection).get_pk_constraint(table)["name"] == f"pk_bot_{table}")


def _needed() -> set[str]:
    """The names that this service gives to tables and indexes, but those that the bot's tables make room for."""
    tables = Base.metadata.tables
    indexes = {str(index.name) for table in tables.values() for index in table.indexes}
    return {*tables, *(PREFIX + name for name in COLUMNS), *indexes} - COLUMNS.keys()


def _other_names(inspector: sa.Inspector, tables: Iterable[str]) -> Iterator[str]:
    yield from tables
    yield from inspector.get_view_names()
    for table in tables:
        yield from (str(index["name"]) for index in inspector.get_indexes(table))


def _listed(names: Any) -> str:
    shown = sorted(names)[:SHOWN_NAMES]
    return ", ".join(shown) + (" ..." if len(names) > len(shown) else "")


@contextmanager
def snapshot(file: Path) -> Iterator[sa.Connection]:
    """A private copy of a SQLite file as it is now, so that reading it for minutes keeps nobody from writing.

    The copy is nameless: the system removes it with the process, however that ends. Raises sqlite3.Error.
    """
    copy = sqlite3.connect("")
    with closing(look(file)) as source:
        source.execute("BEGIN")  # a copy waits for a lock for ever, a first look for five seconds
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(copy)
    engine = sa.create_engine("sqlite://", creator=lambda: copy, poolclass=sa.StaticPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


class BotTables:
    """Reads the bot's tables on a connection, whose database they are in; `prefix` when they were set aside."""

    def __init__(self, connection: sa.Connection, prefix: str = "") -> None:
        self._connection = connection
        self._tables = {name: self._table(prefix + name) for name in COLUMNS}

    def _table(self, name: str) -> sa.TableClause:
        columns = sa.inspect(self._connection).get_columns(name)
        return sa.table(name, *(sa.column(column["name"].lower()) for column in columns))

    def message_count(self) -> int:
        """How many messages there are."""
        return self._connection.scalar(sa.select(sa.func.count()).select_from(self._tables["messages"])) or 0

    def gather(self) -> tuple[int, int]:
        """Find out who is who; returns the spellings that another one stands for, and the rows of no number at all."""
        _PEOPLE.create(self._connection)
        phones = (sa.select(phone_of(table)) for table in self._tables.values())
        self._connection.execute(sa.insert(_PEOPLE).from_select(["phone"], sa.union(*phones)))
        self._name_people()
        known = sa.select(sa.func.count() - sa.func.count(_PEOPLE.c.person.distinct())).where(
            _PEOPLE.c.person.is_not(None)
        )
        return self._connection.scalar(known) or 0, sum(self._refused(table) for table in self._tables.values())

    def _name_people(self) -> None:
        last = 0
        page = (
            sa.select(_PEOPLE.c.key, self._raw(_PEOPLE.c.phone))
            .where(_PEOPLE.c.key > sa.bindparam("last"))
            .order_by(_PEOPLE.c.key)
            .limit(READ_AT_ONCE)
        )
        named = sa.update(_PEOPLE).where(_PEOPLE.c.key == sa.bindparam("row"))
        named = named.values(person=sa.bindparam("value"), kind=sa.bindparam("what"))
        while rows := self._connection.execute(page, {"last": last}).all():
            last = rows[-1][0]
            people = [(key, _identity(phone)) for key, phone in rows]
            self._connection.execute(
                named,
                [{"row": key, "value": one and one.value, "what": one and one.kind} for key, one in people],
            )

    def _refused(self, table: sa.TableClause) -> int:
        people = sa.outerjoin(table, _PEOPLE, _PEOPLE.c.phone == phone_of(table))
        found = sa.select(sa.func.count()).select_from(people).where(_PEOPLE.c.person.is_(None))
        return self._connection.scalar(found) or 0

    def people(self) -> Iterator[RawPerson]:
        """Every person with all rows, one after the other; `gather` comes first."""
        conversations = _ByPerson(self._rows("conversations", "conversation_id", "created_at", "is_active"))
        messages = _ByPerson(self._rows("messages", "id", "phone_number", "sender", "message", "timestamp"))
        profiles = _ByPerson(self._rows("profiles", *FIELDS, "updated_at"))
        everybody = sa.select(_PEOPLE.c.person, sa.func.min(_PEOPLE.c.kind)).where(_PEOPLE.c.person.is_not(None))
        for value, kind in self._stream(everybody.group_by(_PEOPLE.c.person).order_by(_PEOPLE.c.person)):
            yield RawPerson(Identity(value, kind), conversations.of(value), messages.of(value), profiles.of(value))

    def _rows(self, name: str, *columns: str) -> Iterator[Any]:
        table = self._tables[name]
        wanted = [self._raw(table.c[column]) if column in table.c else sa.null() for column in columns]
        joined = sa.join(_PEOPLE, table, _PEOPLE.c.phone == phone_of(table))
        order = table.c.id if name == "messages" else _PEOPLE.c.key
        rows = sa.select(_PEOPLE.c.person, *wanted).select_from(joined).where(_PEOPLE.c.person.is_not(None))
        return self._stream(rows.order_by(_PEOPLE.c.person, order))

    def _raw(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A value as it was written: SQLite's columns hold texts that are none, which its driver would stumble over."""
        if column.key in ("id", "key") or self._connection.dialect.name != "sqlite":
            return column
        return sa.cast(column, sa.LargeBinary)

    def _stream(self, query: sa.Select[Any]) -> Iterator[Any]:
        return iter(self._connection.execute(query, execution_options={"yield_per": READ_AT_ONCE}))


def phone_of(table: sa.TableClause) -> sa.ColumnElement[str]:
    """A number as a text of its own: as a column it would compare by its type and collation, which a bot may choose."""
    return sa.type_coerce(table.c.phone_number, sa.Text).concat("")


def _identity(phone: bytes | str | None) -> Identity | None:
    """Who a number is; what is no text is nobody."""
    try:
        return identity_of(phone.decode() if isinstance(phone, bytes) else phone or "")
    except UnicodeDecodeError:
        return None


class _ByPerson:
    """Rows that are sorted by their first column, handed out person by person."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows
        self._head = next(rows, None)

    def of(self, person: str) -> Sequence[Any]:
        """The rows of one person, without the person."""
        found = []
        while self._head is not None and self._head[0] == person:
            found.append(tuple(self._head[1:]))
            self._head = next(self._rows, None)
        return found
