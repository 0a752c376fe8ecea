"""Ids made in the application: time-ordered (UUIDv7), so that the newest rows lie together in every index."""

import secrets
import threading
import time

FREE_BITS = 74  # of a UUIDv7, beside its milliseconds

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # each message makes three ids
_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """Return `prefix_` and 26 characters; within one process every id sorts after the ones before it."""
    global _last
    made = _uuid7(time.time_ns() // 1_000_000, secrets.randbits(FREE_BITS))
    with _lock:
        _last = made = max(made, _last + 1)
    return f"{prefix}_{_base32(made)}"


def id_of(prefix: str, milliseconds: int, rest: int) -> str:
    """Return the id of something that has one by nature: the same time (since 1970) and FREE_BITS give the same id."""
    return f"{prefix}_{_base32(_uuid7(milliseconds, rest))}"


def _uuid7(milliseconds: int, rest: int) -> int:
    return milliseconds << 80 | 7 << 76 | rest >> 62 << 64 | 2 << 62 | rest & ((1 << 62) - 1)


def _base32(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
