"""What a database error means: something that passes, somebody in the way, or a mistake of ours."""

import sqlalchemy as sa

_CONTENTION = frozenset({"40001", "40P01"})  # serialization failure, deadlock
# Classes of SQLSTATE that pass: connection, resources, operator intervention, rollback, lock not available, system.
_PASSING = ("08", "53", "57", "40", "55", "58")


def is_contention(error: Exception) -> bool:
    """Whether the whole transaction can be repeated at once."""
    return not isinstance(error, sa.exc.DBAPIError) or _sqlstate(error) in _CONTENTION


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed later; False is a bug, or a database of another version."""
    if not isinstance(error, sa.exc.DBAPIError):
        return isinstance(error, OSError | sa.exc.TimeoutError)
    if error.connection_invalidated or isinstance(error, sa.exc.InterfaceError):
        return True
    if name := getattr(error.orig, "sqlite_errorname", None):
        # SQLITE_ERROR is "no such table": it stays. Locked, busy, full, and what the disk does pass.
        return isinstance(error, sa.exc.OperationalError) and name != "SQLITE_ERROR"
    return _sqlstate(error).startswith(_PASSING)


def _sqlstate(error: sa.exc.DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
