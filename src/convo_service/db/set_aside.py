"""What the bot's own tables, which an adoption sets aside, have of one person."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from convo_service.db.legacy import COLUMNS, PREFIX, phone_of
from convo_service.domain.legacy import identity_of, text_of

Row = dict[str, Any]


def spellings(connection: sa.Connection, identities: Collection[str]) -> list[str]:
    """How the bot wrote the numbers of a person, in every table."""
    found: set[str] = set()
    for table in _tables(connection).values():
        for raw in connection.scalars(sa.select(_raw(connection, phone_of(table))).distinct()):
            phone = text_of(raw)[0]
            who = identity_of(phone)
            if who is not None and who.value in identities:
                found.add(phone)
    return sorted(found)


def rows(connection: sa.Connection, name: str, phones: Sequence[str], *, after: int, most: int) -> list[Row]:
    """Rows of a person in one table; of messages so many at most, with numbers above `after`."""
    table = _tables(connection).get(name)
    if table is None or not phones:
        return []
    columns = [_raw(connection, column).label(column.name) for column in table.c]
    found = sa.select(*columns).where(phone_of(table).in_(phones))
    if name == "messages":
        found = found.where(table.c.id > after).order_by(table.c.id).limit(most)
    return [{key: _shown(value) for key, value in row.items()} for row in connection.execute(found).mappings()]


def erase(connection: sa.Connection, phones: Sequence[str]) -> dict[str, int]:
    """Delete the rows of a person, and say how many went, by table."""
    return {
        PREFIX + name: connection.execute(sa.delete(table).where(phone_of(table).in_(phones))).rowcount
        for name, table in (_tables(connection).items() if phones else ())
    }


def _tables(connection: sa.Connection) -> dict[str, sa.TableClause]:
    """The bot's tables by their own names, as far as they are there."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    return {
        name: sa.table(PREFIX + name, *(sa.column(one["name"].lower()) for one in inspector.get_columns(PREFIX + name)))
        for name in COLUMNS
        if PREFIX + name in there
    }


def _raw(connection: sa.Connection, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A value as it was written: SQLite's columns hold texts that are none, which its driver would stumble over."""
    if connection.dialect.name != "sqlite" or getattr(column, "name", None) == "id":
        return column
    return sa.cast(column, sa.LargeBinary)


def _shown(value: Any) -> Any:
    return text_of(value)[0] if isinstance(value, bytes) else value
