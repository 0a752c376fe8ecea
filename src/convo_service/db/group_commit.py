"""SQLite's quick lane: a piece of work is one hop to one thread, and all that wait share one commit."""

import asyncio
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from convo_service.db import sqlite
from convo_service.db.lane import Result, Work
from convo_service.db.prepared import Prepared, Row, Values
from convo_service.db.turn import Turn

_Outcome = tuple["asyncio.Future[Any]", Any, Exception | None]


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    future: "asyncio.Future[Any]"


class GroupCommit:
    """The lane of one file; its thread begins with the first piece."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Work[Result]) -> Result:
        """With all others that wait in the same moment; what fails among them is done again alone."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="lane", daemon=True)
            self._thread.start()
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        result: Result = await job.future
        return result

    async def close(self) -> None:
        """Let the thread finish what waits, and end."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _serve(self) -> None:
        writer = _Writer(self._url)
        while (first := self._jobs.get()) is not None:
            _tell(writer.carry_out([first, *self._waiting()]))
        writer.close()

    def _waiting(self) -> list[_Job]:
        jobs = []
        with suppress(queue.Empty):
            while (job := self._jobs.get_nowait()) is not None:
                jobs.append(job)
            self._jobs.put(None)  # the end comes after these
        return jobs


class _Driver:
    """SQLite's own connection, inside the group's transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self.dialect = connection.dialect
        self._raw: Any = connection.connection.driver_connection

    def begin(self) -> None:
        """Begin a transaction; SQLAlchemy's own way of saying so costs more than a statement."""
        self._raw.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End it."""
        self._raw.execute("COMMIT")

    def fetch(self, prepared: Prepared, values: Values) -> Row | None:
        """Carry a prepared statement out."""
        found = self._raw.execute(prepared.text, prepared.parameters(values)).fetchone()
        return None if found is None else prepared.row(found)


class _Writer:
    """The thread's connection, and its place in the line of all that write to the file."""

    def __init__(self, url: str) -> None:
        self._engine = sqlite.create_sync_engine(url)
        self._connection: sa.Connection | None = None  # kept, as taking it from its pool costs more than a statement
        self._turn: Turn | None = None
        with suppress(OSError):  # a folder in which nothing can be made has other troubles
            self._turn = Turn(str(self._engine.url.database))

    def carry_out(self, group: Sequence[_Job]) -> list[_Outcome]:
        """Do a group in one transaction; when it fails, each piece in its own."""
        try:
            return [(job.future, result, None) for job, result in zip(group, self._commit(group), strict=True)]
        except Exception as error:
            if len(group) == 1:
                return [(group[0].future, None, error)]
        return [outcome for job in group for outcome in self.carry_out([job])]

    def _commit(self, group: Sequence[_Job]) -> list[Any]:
        if self._turn is not None:
            self._turn.take_in_thread(sqlite.TURN_SECONDS)
        try:
            connection = self._connection = self._connection or self._engine.connect()
            driver = _Driver(connection)
            driver.begin()
            results = [job.work(driver) for job in group]
            driver.commit()
            return results
        except Exception:
            self._let_go()
            raise
        finally:
            if self._turn is not None:
                self._turn.give_back()

    def _let_go(self) -> None:
        """Give the connection back, which undoes what is not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # what is broken is thrown away
                connection.close()

    def close(self) -> None:
        """Leave the file."""
        self._let_go()
        self._engine.dispose()
        if self._turn is not None:
            self._turn.close()


def _tell(outcomes: Sequence[_Outcome]) -> None:
    """Wake those who wait, all at once."""
    with suppress(RuntimeError):  # their loop is closed
        outcomes[0][0].get_loop().call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():  # whoever waited has left
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
