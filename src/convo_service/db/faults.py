"""What a database error means: something that passes, somebody in the way, or a mistake of ours."""

import sqlite3
from socket import gaierror

import asyncpg
import sqlalchemy as sa

from convo_service.telemetry import failure

_CONTENTION = frozenset({"40001", "40P01"})  # serialization failure, deadlock
# What lies in the server, its disk, its settings or the way to it, by class of SQLSTATE; an operator mends it, or it
# passes by itself. What is missing here is the statement's own fault: ours.
_PASSING = (
    "08",  # connection
    "25006",  # read-only: the server has become, or is still, a standby
    "25P",  # a transaction that was idle for too long
    "28",  # the password was refused: it is being changed
    "3D",  # no such database: it is being restored
    "40",  # rolled back
    "53",  # resources: disk, memory, connections
    "55",  # lock not available
    "57",  # shutdown, start, cancelled
    "58",  # input and output
    "XX",  # damaged, or lost in itself
)
# What the driver finds out itself: a plan or a type of before a migration, a server that is none, a standby, a
# connection that is closed.
_DRIVERS_OWN = frozenset({"InvalidCachedStatementError", "InternalClientError", "InterfaceError"})
# SQLite's codes that speak of the statement (ERROR is "no such table"); all others speak of the file, its disk, or
# another program.
_SQLITE_OURS = frozenset({"ERROR", "CONSTRAINT", "MISMATCH", "MISUSE", "RANGE", "TOOBIG"})


def is_contention(error: Exception) -> bool:
    """Whether the whole transaction can be repeated at once."""
    return not isinstance(error, sa.exc.DBAPIError) or _sqlstate(error.orig) in _CONTENTION


def is_of_database(error: Exception) -> bool:
    """Whether a database, its driver or the way to it says so, or it takes too long; any other error is a bug."""
    asyncpgs = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return isinstance(error, (sqlite3.Error, *asyncpgs, sa.exc.SQLAlchemyError, OSError, TimeoutError))


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed when the database is well again; False is a bug of ours, or other tables."""
    if isinstance(error, OSError | sa.exc.TimeoutError | sa.exc.InterfaceError):
        return True
    if getattr(error, "connection_invalidated", False):
        return True
    original = getattr(error, "orig", None) or error  # what comes from the quick lane is the driver's own already
    if name := getattr(original, "sqlite_errorname", None):
        return name.split("_")[1] not in _SQLITE_OURS
    return type(original).__name__ in _DRIVERS_OWN or _sqlstate(original).startswith(_PASSING)


def _sqlstate(original: object) -> str:
    return str(getattr(original, "sqlstate", None) or "")


# What a person can do something about, by the name of SQLite's error code; longer names first.
_SQLITE = {
    "SQLITE_READONLY_DIRECTORY": "its folder cannot be written to",
    "SQLITE_READONLY": "it cannot be written to",
    "SQLITE_BUSY": "another process is writing to it (is the bot stopped?)",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_CANTOPEN": "it cannot be opened: look at the folder and its permissions",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_IOERR": "the disk cannot be read or written",
}


def describe(error: BaseException) -> str:
    """An error in words, for a person at a terminal; never a driver's text, which may repeat values."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.Error):
        name = str(getattr(original, "sqlite_errorname", ""))
        known = next((words for code, words in _SQLITE.items() if name.startswith(code)), None)
        if known:
            return known
    if isinstance(original, gaierror):
        return "there is no such host"
    if isinstance(original, ConnectionRefusedError):
        return "nobody answers there"
    if isinstance(original, OSError) and original.strerror:
        return original.strerror
    return " ".join(f"{name}={value}" for name, value in failure(error).items())
