"""Ids made in the application: time-ordered (UUIDv7), so that the newest rows lie together in every index."""

import secrets
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_RANDOM_BITS = 74
_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """Return `prefix_` and 26 characters; within one process every id sorts after the ones before it."""
    global _last
    made = (time.time_ns() // 1_000_000 << 80) | (7 << 76) | (2 << 62)
    noise = secrets.randbits(_RANDOM_BITS)
    made |= (noise >> 62 << 64) | (noise & ((1 << 62) - 1))
    with _lock:
        _last = made = max(made, _last + 1)
    return f"{prefix}_{_base32(made)}"


def _base32(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
