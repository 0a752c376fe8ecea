"""The existing bot's tables: recognised by their columns, and read person by person in constant memory."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from convo_service.db.models import Base
from convo_service.domain.identities import Identity, normalise
from convo_service.domain.legacy import FIELDS, RawPerson
from convo_service.errors import InvalidIdentity

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
    ours = {*Base.metadata.tables, *(PREFIX + name for name in COLUMNS)} - COLUMNS.keys()
    if taken := ours & tables.keys():
        raise ForeignDatabase(f"it has {_listed(taken)} beside the bot's tables, a name that is needed here")
    return True


def _listed(names: Any) -> str:
    shown = sorted(names)[:SHOWN_NAMES]
    return ", ".join(shown) + (" ..." if len(names) > len(shown) else "")


@contextmanager
def snapshot(file: Path) -> Iterator[sa.Connection]:
    """A private copy of a SQLite file as it is now, so that reading it for minutes keeps nobody from writing.

    The copy is nameless: the system removes it with the process, however that ends.
    """
    source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        copy = sqlite3.connect("")
        source.backup(copy)
    finally:
        source.close()
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
        phones = (sa.select(table.c.phone_number) for table in self._tables.values())
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
            people = [(key, identity_of(phone)) for key, phone in rows]
            self._connection.execute(
                named,
                [{"row": key, "value": one and one.value, "what": one and one.kind} for key, one in people],
            )

    def _refused(self, table: sa.TableClause) -> int:
        people = sa.outerjoin(table, _PEOPLE, _PEOPLE.c.phone == table.c.phone_number)
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
        joined = sa.join(_PEOPLE, table, _PEOPLE.c.phone == table.c.phone_number)
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


def identity_of(phone: bytes | str | None) -> Identity | None:
    """Who a phone number of the bot's stands for; None when it is none."""
    try:
        return normalise(phone.decode() if isinstance(phone, bytes) else phone or "")
    except (InvalidIdentity, UnicodeDecodeError):
        return None
