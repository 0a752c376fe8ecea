"""Pages by key: a page begins behind a row of the list, so that the last one costs what the first one costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.errors import InvalidCursor

Row = TypeVar("Row")
Column = sa.orm.InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: `after` and `before` are ids of it, exclusive, in the direction of `order`."""

    limit: int = 20
    after: str | None = None
    before: str | None = None
    order: Literal["asc", "desc"] = "desc"

    @property
    def backwards(self) -> bool:
        """With `before` alone the page is read backwards and turned round."""
        return self.before is not None and self.after is None

    @property
    def rising(self) -> bool:
        """Whether the smallest keys are read first."""
        return (self.order == "asc") != self.backwards


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """One page of a list, and whether there is more in the direction of reading."""

    rows: Sequence[Row]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in a list."""

    key: Any
    id: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a page is read from: the rows between two places by `(key, identifier)`, from one end."""

    page: Page
    key: Column
    identifier: Column
    low: Place | None
    high: Place | None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Both ends are exclusive."""
        mine = sa.tuple_(self.key, self.identifier)
        ends = []
        if self.low is not None:
            ends.append(mine > self._value(self.low))
        if self.high is not None:
            ends.append(mine < self._value(self.high))
        return ends

    @property
    def ordering(self) -> tuple[sa.ColumnElement[Any], ...]:
        """In the direction of reading."""
        return self.ordered(self.key, self.identifier)

    def ordered(self, *columns: sa.ColumnElement[Any] | Column) -> tuple[sa.ColumnElement[Any], ...]:
        """The same by other columns."""
        return tuple(column.asc() if self.page.rising else column.desc() for column in columns)

    async def read(self, tx: AsyncSession, query: sa.Select[Any]) -> Listing[Any]:
        """The page of a query."""
        return self.listing((await tx.scalars(self.of(query))).all())

    def of(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """A query's rows for this page, and one more where there are more."""
        return query.where(*self.conditions).order_by(*self.ordering).limit(self.page.limit + 1)

    def listing(self, found: Sequence[Any]) -> Listing[Any]:
        """What was found, in the order of the list."""
        rows = found[: self.page.limit]
        return Listing(rows[::-1] if self.page.backwards else rows, len(found) > self.page.limit)

    def _value(self, place: Place) -> sa.Tuple:
        return sa.tuple_(sa.literal(place.key, self.key.type), sa.literal(place.id))


async def stretch(
    tx: AsyncSession, page: Page, key: Column, identifier: Column, scope: Sequence[sa.ColumnElement[bool]] = ()
) -> Stretch:
    """Find the rows that a page lies between; raises InvalidCursor.

    A cursor has to be a row of `scope`, and need not match a filter any more: what is listed may change meanwhile.
    """
    after, before = [await _place(tx, scope, cursor, key, identifier) for cursor in (page.after, page.before)]
    low, high = (after, before) if page.order == "asc" else (before, after)
    return Stretch(page, key, identifier, low, high)


async def _place(
    tx: AsyncSession,
    scope: Sequence[sa.ColumnElement[bool]],
    cursor: str | None,
    key: Column,
    identifier: Column,
) -> Place | None:
    if cursor is None:
        return None
    found = (await tx.execute(sa.select(key).where(identifier == cursor, *scope).limit(1))).first()
    if found is None:
        raise InvalidCursor
    return Place(found[0], cursor)
