"""Objects that belong to no session: made of labelled rows, and written by statements that are compiled once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal, TypeVar

import sqlalchemy as sa

from convo_service.db.models import Base, User
from convo_service.db.prepared import Driver, Prepared
from convo_service.db.statements import table_of

Model = TypeVar("Model", bound=Base)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the words of a statement depend on."""

    kind: Literal["insert", "update"]
    model: type[Base]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """What is to become of one row: its values by column, those of the primary key among them."""

    shape: _Shape
    values: Mapping[str, Any]


def labelled(model: type[Base], *, with_json: bool = False) -> list[sa.Label[Any]]:
    """A model's columns, to be read beside those of other tables; JSON is large, and seldom wanted."""
    wanted = [column for column in table_of(model).c if with_json or not isinstance(column.type, sa.JSON)]
    return [column.label(f"{model.__tablename__}.{column.name}") for column in wanted]


def record(model: type[Model], row: Mapping[Any, Any]) -> Model:
    """An object that belongs to no session, of a row whose columns are labelled; what was not read is None."""
    return made(model, **{name: row[label] for name, label in _labels(model) if label in row})


def made(model: type[Model], **values: Any) -> Model:
    """An object that belongs to no session, without its defaults: for a tenth of what its own constructor takes."""
    one: Model = sa.orm.attributes.manager_of_class(model).new_instance()
    sa.orm.attributes.instance_dict(one).update(values)
    return one


def insert_of(record: Base) -> Write:
    """Store an object that no session knows."""
    model = type(record)
    columns = tuple(name for name, _ in _labels(model))
    return Write(_Shape("insert", model, columns), {name: getattr(record, name) for name in columns})


def updates_of(records: Iterable[Base], row: Mapping[Any, Any]) -> list[Write]:
    """Store what is different in objects from the row that they were made of."""
    writes = []
    for one in records:
        model = type(one)
        before = {name: row[label] for name, label in _labels(model) if label in row}
        changed = {name: value for name in before if (value := getattr(one, name)) != before[name]}
        if changed:
            key = {name: before[name] for name in _key(model)}
            writes.append(Write(_Shape("update", model, tuple(changed)), {**changed, **key}))
    return writes


def write_unless_moved(
    driver: Driver,
    user: User,
    row: Mapping[Any, Any],
    writes: Sequence[Write],
    seldom: Sequence[sa.Update | sa.Delete] = (),
) -> bool:
    """Store a user's changes since the row was read, and carry out writes that do not depend on one another.

    Says whether it was done: nothing is, when somebody has moved the user's version meanwhile. On PostgreSQL it is one
    statement, and needs no transaction; SQLite's writer is alone, and carries them out one after the other. What is
    `seldom` wanted is compiled each time.
    """
    user.version += 1
    every = [*updates_of((user,), row), *writes]
    values = {f"w{n}_{name}": value for n, one in enumerate(every) for name, value in one.values.items()}
    values["p_version"] = user.version - 1
    shapes = tuple(one.shape for one in every)
    guard, *others = _compiled(shapes, driver.dialect, seldom) if seldom else _prepared(shapes, driver.dialect)
    if driver.fetch(guard, values) is None:
        return False
    for statement in others:
        driver.fetch(statement, values)
    return True


@lru_cache(maxsize=256)
def _prepared(shapes: tuple[_Shape, ...], dialect: sa.Dialect) -> list[Prepared]:
    return _compiled(shapes, dialect)


def _compiled(
    shapes: Sequence[_Shape], dialect: sa.Dialect, seldom: Sequence[sa.Update | sa.Delete] = ()
) -> list[Prepared]:
    users, (first, *others) = table_of(User), shapes
    moved = _update(0, first).where(users.c.version == sa.bindparam("p_version", type_=users.c.version.type))
    guard = moved.returning(users.c.id)
    if dialect.name != "postgresql":
        alone = [*(_statement(n, one) for n, one in enumerate(others, 1)), *seldom]
        return [Prepared(one, dialect) for one in (guard, *alone)]
    passed = guard.cte("guard")
    is_passed = sa.select(passed.c.id).exists()
    done = [*(_statement(n, one, passed) for n, one in enumerate(others, 1)), *(one.where(is_passed) for one in seldom)]
    whole = sa.select(passed.c.id).add_cte(*(one.cte(f"w{n}") for n, one in enumerate(done, 1)))
    return [Prepared(whole, dialect)]


def _statement(number: int, shape: _Shape, guard: sa.CTE | None = None) -> sa.Insert | sa.Update:
    """A write whose parameters begin with its number; nothing is done when the guard is empty."""
    if shape.kind == "update":
        changed = _update(number, shape)
        return changed if guard is None else changed.where(sa.select(guard.c.id).exists())
    values = _values(number, shape)
    given = sa.select(*values.values())
    given = given if guard is None else given.select_from(guard)
    return table_of(shape.model).insert().from_select(list(values), given, include_defaults=False)


def _update(number: int, shape: _Shape) -> sa.Update:
    return table_of(shape.model).update().where(*_key_of(number, shape)).values(_values(number, shape))


def _values(number: int, shape: _Shape) -> dict[str, sa.BindParameter[Any]]:
    return {name: _parameter(number, shape.model, name) for name in shape.columns}


def _key_of(number: int, shape: _Shape) -> list[sa.ColumnElement[bool]]:
    return [table_of(shape.model).c[name] == _parameter(number, shape.model, name) for name in _key(shape.model)]


def _parameter(number: int, model: type[Base], name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(f"w{number}_{name}", type_=table_of(model).c[name].type)


@cache
def _labels(model: type[Base]) -> list[tuple[str, str]]:
    return [(column.name, f"{model.__tablename__}.{column.name}") for column in table_of(model).c]


@cache
def _key(model: type[Base]) -> list[str]:
    return [column.name for column in table_of(model).primary_key]
