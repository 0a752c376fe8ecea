"""The quick lane: short pieces of work that every message needs, without a session.

A session over an async driver costs ten times what the statements themselves do: on SQLite it changes threads three or
four times for each of them.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import sqlalchemy as sa

from convo_service.db.prepared import Driver

Result = TypeVar("Result")
Work = Callable[[sa.Connection], Result]
DriversWork = Callable[[Driver], Result]


class Lane(Protocol):
    """Carries pieces of work out, each a transaction; a piece may run twice."""

    async def run(self, work: Work[Result]) -> Result:
        """The result of a piece."""
        ...

    async def run_prepared(self, work: DriversWork[Result]) -> Result:
        """The same of a piece that only carries out prepared statements; on PostgreSQL, one of them.

        Raises the driver's own errors.
        """
        ...

    async def close(self) -> None:
        """Finish what waits."""
        ...
