"""Before a SQLite file is migrated: one migration at a time, and a copy of the file as it was."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from filecmp import cmp
from glob import escape
from pathlib import Path


@contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Wait until nobody else migrates a database of this folder; a process that is killed lets go of it."""
    folder = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def look(file: Path) -> sqlite3.Connection:
    """Open a file without changing it, unless whoever wrote it was killed: then SQLite has to bring it in order."""
    connection = _open(file, "ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        connection = _open(file, "rw")
    return connection


def _open(file: Path, mode: str) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def back_up(file: Path, state: str, now: datetime) -> Path:
    """Copy what is committed in a file to `FILE.STATE.TIME.backup` beside it, and return the copy.

    When the last copy of the same state still says the same, it is kept and no other is made: a migration that is
    killed again and again fills no disk. Raises sqlite3.Error and OSError.
    """
    made = file.with_name(f"{file.name}.{state}.{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.backup")
    partial = file.with_name(f"{file.name}.backup.partial")  # nobody else is at it: see one_at_a_time
    partial.unlink(missing_ok=True)
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL, 0o600))  # what people wrote is in it
        with closing(look(file)) as connection:
            connection.execute("VACUUM INTO ?", (str(partial),))
        last = max(file.parent.glob(f"{escape(file.name)}.{state}.*.backup"), default=None)
        if last is not None and cmp(partial, last, shallow=False):
            return last
        shutil.copymode(file, partial)
        _sync(partial)
        partial.rename(made)
        _sync(made.parent)
        return made
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until the disk has it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
