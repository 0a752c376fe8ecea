"""The quick lane: short pieces of work that every message needs, without a session.

A session over an async driver costs ten times what the statements themselves do: on SQLite it changes threads three or
four times for each of them.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from convo_service.db.prepared import Driver

Result = TypeVar("Result")
Work = Callable[[Driver], Result]


class Lane(Protocol):
    """Carries out pieces of work, which are made of prepared statements; a piece may run twice.

    On SQLite a piece is a transaction, on PostgreSQL each of its statements: one that relies on what another has read
    has to make sure that it still holds (records.write_unless_moved).
    """

    async def run(self, work: Work[Result]) -> Result:
        """The result of a piece; raises the driver's own errors."""
        ...

    async def close(self) -> None:
        """Finish what waits."""
        ...
