"""API keys: random, with a prefix to look them up and a checksum against typing errors; only an HMAC is stored."""

import hmac
import secrets
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

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
USE_NOTED_EVERY = timedelta(minutes=1)
BOOTSTRAP = "bootstrap"  # in place of an id, for the key from the environment


class Scope(StrEnum):
    """What a key may do."""

    GATEWAY = "gateway"
    DASHBOARD = "dashboard"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks: the id of the key, its scope, and until when it is good."""

    key_id: str
    scope: Scope
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rotated:
    """A key's successor, in full for the only time, and the end of the old one."""

    row: ApiKey
    key: str
    old_expires_at: datetime


class Keys:
    """Makes, checks, rotates and revokes keys; remembers a good one for a few seconds."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self.pepper = Pepper(database, settings)
        self._known: dict[str, tuple[float, Holder]] = {}
        self._uses: dict[str, datetime] = {}  # the last of each key that is not noted in its row yet
        self._noted: dict[str, datetime] = {}

    async def authenticate(self, key: str, *, now: datetime) -> Holder:
        """Return the holder of a key; raises InvalidApiKey. From the first one on the pepper is at hand."""
        given = self._settings.bootstrap_admin_key
        if given is not None and hmac.compare_digest(given.get_secret_value().encode(), key.encode()):
            await self.pepper.read()
            return Holder(BOOTSTRAP, Scope.ADMIN)
        if not _is_well_formed(key):
            raise InvalidApiKey
        hashed = await self._digest(key)
        expires, holder = self._known.get(hashed, (0.0, None))
        if holder is None or expires < time.monotonic():
            holder = await self._look_up(key, hashed)
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[hashed] = (time.monotonic() + CACHE_SECONDS, holder)
        if holder.expires_at is not None and holder.expires_at <= now:
            raise InvalidApiKey
        self._uses[holder.key_id] = now
        return holder

    async def _look_up(self, key: str, hashed: str) -> Holder:
        async with self._database.read.begin() as tx:
            row = await tx.scalar(sa.select(ApiKey).where(ApiKey.prefix == key[:PREFIX_CHARS]))
        if row is None or not hmac.compare_digest(row.digest, hashed) or row.revoked_at is not None:
            self._known.pop(hashed, None)
            raise InvalidApiKey
        return Holder(row.id, Scope(row.scope), row.expires_at)

    async def note_uses(self) -> None:
        """Write down when keys were used last: once a minute for each, whatever the number of replicas."""
        due = {
            key_id: at
            for key_id, at in self._uses.items()
            if key_id not in self._noted or at >= self._noted[key_id] + USE_NOTED_EVERY
        }
        if not due:
            return
        async with self._database.write.begin() as tx:
            for key_id, at in sorted(due.items()):
                is_due = sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= at - USE_NOTED_EVERY)
                await tx.execute(sa.update(ApiKey).where(ApiKey.id == key_id, is_due).values(last_used_at=at))
        self._noted |= due

    async def create(
        self, name: str, scope: Scope, *, now: datetime, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key and return it in full, for the only time."""
        key = _make()
        row = _row(key, await self._digest(key), name, scope, now, expires_at)
        async with self._database.write.begin() as tx:
            tx.add(row)
        return row, key

    async def rotate(
        self, which: str, *, now: datetime, grace: timedelta, expires_at: datetime | None = None
    ) -> Rotated | None:
        """Make a second key of the same name and scope; the old one, by its id or prefix, ends after a time of grace.

        None when there is no such key, or it is not live any more.
        """
        key = _make()
        digest = await self._digest(key)
        async with self._database.write.begin() as tx:
            old = await _find(tx, which)
            if old is None or not old.is_live(now):
                return None
            old.expires_at = min(old.expires_at or now + grace, now + grace)
            row = _row(key, digest, old.name, old.scope, now, expires_at)
            tx.add(row)
        return Rotated(row, key, old.expires_at)

    async def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first, those too that open nothing any more."""
        async with self._database.read.begin() as tx:
            return (await tx.scalars(sa.select(ApiKey).order_by(ApiKey.created_at, ApiKey.id))).all()

    async def revoke(self, which: str, *, now: datetime) -> bool:
        """Revoke a key by its id or prefix; False when there is none."""
        async with self._database.write.begin() as tx:
            row = await _find(tx, which)
            if row is None:
                return False
            row.revoked_at = row.revoked_at or now
        return True

    async def _digest(self, key: str) -> str:
        return digest(await self.pepper.read(), key)


def _row(key: str, digest: str, name: str, scope: str, now: datetime, expires_at: datetime | None) -> ApiKey:
    return ApiKey(
        id=new_id("key"),
        name=name,
        scope=scope,
        prefix=key[:PREFIX_CHARS],
        digest=digest,
        created_at=now,
        expires_at=expires_at,
    )


async def _find(tx: AsyncSession, which: str) -> ApiKey | None:
    """A key by its id or prefix, locked until the transaction ends."""
    by_name = sa.or_(ApiKey.id == which, ApiKey.prefix == which)
    found: ApiKey | None = await tx.scalar(sa.select(ApiKey).where(by_name).with_for_update())
    return found


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
