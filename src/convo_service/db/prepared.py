"""Core statements that are compiled once and carried out by the driver itself, for a tenth of the usual cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

Values = Mapping[str, Any]
Row = Mapping[str, Any]


class Prepared:
    """A statement in one dialect's words, with what its parameters and results have to be turned into."""

    def __init__(self, statement: sa.Select[Any] | sa.UpdateBase, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._literal = compiled.params
        self._order = list(compiled.positiontup or ())
        # By name: a time that stands in six places is made the driver's once.
        self._inwards = {name: _inwards(compiled.binds[name].type, dialect) for name in self._order}
        self._columns = [(column.name, _outwards(column.type, dialect)) for column in statement.exported_columns]

    def parameters(self, values: Values) -> list[Any]:
        """The values of a call in the statement's order; what is literal in the statement is there already."""
        given = {}
        for name, process in self._inwards.items():
            value = values[name] if name in values else self._literal[name]
            given[name] = value if process is None else process(value)
        return [given[name] for name in self._order]

    def row(self, values: Sequence[Any]) -> Row:
        """A row of the driver's, by the columns' names."""
        named = zip(self._columns, values, strict=True)
        return {name: value if process is None else process(value) for (name, process), value in named}


class Driver(Protocol):
    """A connection of the driver's own: inside a transaction, or for one statement."""

    dialect: sa.Dialect

    def fetch(self, prepared: Prepared, values: Values) -> Row | None:
        """Carry a statement out, and return the one row that it gives, or None."""
        ...


def _inwards(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Any:
    return type_.dialect_impl(dialect).bind_processor(dialect)


def _outwards(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Any:
    """SQLite knows no dates and no booleans; PostgreSQL's driver gives what we want already."""
    return type_.dialect_impl(dialect).result_processor(dialect, None) if dialect.name == "sqlite" else None
