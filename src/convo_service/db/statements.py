"""Statements that both databases spell in a dialect of their own, and many rows at once."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Base

Row = dict[str, Any]
AT_ONCE = 500


async def insert_ignore(tx: AsyncSession, table: type[Base], row: Row) -> bool:
    """Insert a row unless its key is there; say whether it was inserted."""
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(row).on_conflict_do_nothing().returning(sa.literal(1))
    return await tx.scalar(statement) is not None


async def replace(tx: AsyncSession, table: type[Base], key: str, rows: Sequence[Row]) -> None:
    """Insert rows that have the same columns, in place of those that have the same key, which is one column."""
    column = table_of(table).c[key]
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        await tx.execute(sa.delete(table).where(column.in_([row[key] for row in some])))
        await tx.execute(sa.insert(table), some)


def insert_all(connection: sa.Connection, model: type[Base], rows: Sequence[Row]) -> None:
    """Insert rows that have the same columns."""
    if rows:
        connection.execute(sa.insert(_table(model, rows[0])), rows)


def update_all(connection: sa.Connection, model: type[Base], rows: Sequence[Row]) -> None:
    """Update rows that have the same columns, the primary key among them."""
    if not rows:
        return
    table = _table(model, rows[0])
    key = [column.name for column in model.__table__.primary_key]
    matches = [table.c[name] == sa.bindparam(f"key_{name}") for name in key]
    values: dict[str, Any] = {name: sa.bindparam(name) for name in rows[0] if name not in key}
    named = [{f"key_{name}" if name in key else name: value for name, value in row.items()} for row in rows]
    connection.execute(sa.update(table).where(*matches).values(values), named)


def table_of(model: type[Base]) -> sa.Table:
    """A model's table, for statements without a session."""
    table = model.__table__
    assert isinstance(table, sa.Table)  # noqa: S101 - each model is one
    return table


def _table(model: type[Base], columns: Iterable[str]) -> sa.TableClause:
    """A table with just these columns: a revision may use it, whatever later revisions add to the model."""
    known = model.__table__.c
    return sa.table(model.__tablename__, *(sa.column(name, known[name].type) for name in columns))
