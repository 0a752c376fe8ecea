"""API keys: random, with a prefix to look them up and a checksum against typing errors; only an HMAC is stored."""

import hmac
import secrets
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import ApiKey
from convo_service.domain.ids import new_id
from convo_service.errors import InvalidApiKey
from convo_service.services.pepper import Pepper, digest
from convo_service.settings import Settings

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
START = "csk_"
PREFIX_CHARS = len(START) + 8
SECRET_CHARS = 32
CHECKSUM_CHARS = 7
CACHE_SECONDS = 3.0  # a revoked key is refused everywhere within five
MAX_CACHED = 1000


class Scope(StrEnum):
    """What a key may do."""

    GATEWAY = "gateway"
    DASHBOARD = "dashboard"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks: the id of the key, and its scope."""

    key_id: str
    scope: Scope


class Keys:
    """Makes, checks and revokes keys; remembers a good one for a few seconds."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._pepper = Pepper(database, settings)
        self._known: dict[str, tuple[float, Holder]] = {}

    async def authenticate(self, key: str) -> Holder:
        """Return the holder of a key; raises InvalidApiKey."""
        given = self._settings.bootstrap_admin_key
        if given is not None and hmac.compare_digest(given.get_secret_value().encode(), key.encode()):
            return Holder("bootstrap", Scope.ADMIN)
        if not _is_well_formed(key):
            raise InvalidApiKey
        hashed = await self._digest(key)
        expires, holder = self._known.get(hashed, (0.0, None))
        if holder is None or expires < time.monotonic():
            holder = await self._look_up(key, hashed)
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[hashed] = (time.monotonic() + CACHE_SECONDS, holder)
        return holder

    async def _look_up(self, key: str, hashed: str) -> Holder:
        async with self._database.read.begin() as tx:
            row = await tx.scalar(sa.select(ApiKey).where(ApiKey.prefix == key[:PREFIX_CHARS]))
        if row is None or not hmac.compare_digest(row.digest, hashed) or row.revoked_at is not None:
            self._known.pop(hashed, None)
            raise InvalidApiKey
        return Holder(row.id, Scope(row.scope))

    async def create(self, name: str, scope: Scope, *, now: datetime) -> tuple[ApiKey, str]:
        """Make a key and return it in full, for the only time."""
        key = _make()
        row = ApiKey(
            id=new_id("key"),
            name=name,
            scope=scope,
            prefix=key[:PREFIX_CHARS],
            digest=await self._digest(key),
            created_at=now,
        )
        async with self._database.write.begin() as tx:
            tx.add(row)
        return row, key

    async def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first, revoked ones too."""
        async with self._database.read.begin() as tx:
            return (await tx.scalars(sa.select(ApiKey).order_by(ApiKey.created_at, ApiKey.id))).all()

    async def revoke(self, which: str, *, now: datetime) -> bool:
        """Revoke a key by its id or prefix; False when there is none."""
        async with self._database.write.begin() as tx:
            row = await tx.scalar(sa.select(ApiKey).where(sa.or_(ApiKey.id == which, ApiKey.prefix == which)))
            if row is None:
                return False
            row.revoked_at = row.revoked_at or now
        return True

    async def _digest(self, key: str) -> str:
        return digest(await self._pepper.read(), key)


def _make() -> str:
    body = START + "".join(secrets.choice(ALPHABET) for _ in range(PREFIX_CHARS - len(START) + SECRET_CHARS))
    return body + _checksum(body)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    return "".join(ALPHABET[number >> shift & 31] for shift in range(30, -1, -5))


def _is_well_formed(key: str) -> bool:
    body = key[:-CHECKSUM_CHARS]
    whole = len(key) == PREFIX_CHARS + SECRET_CHARS + CHECKSUM_CHARS
    return whole and key.isascii() and key.startswith(START) and key[-CHECKSUM_CHARS:] == _checksum(body)
