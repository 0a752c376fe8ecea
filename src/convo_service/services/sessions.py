"""Sessions of the dashboard: a key opens one, the browser gets a random cookie, and the key is never seen again."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.db.models import ApiKey, DashboardSession
from convo_service.errors import FormExpired, InsufficientScope, NotSignedIn
from convo_service.services.keys import BOOTSTRAP, Holder, Keys, Scope
from convo_service.services.pepper import digest
from convo_service.settings import Settings

LASTS = timedelta(hours=12)  # a day of work
TOKEN_BYTES = 32
READERS = frozenset((Scope.DASHBOARD, Scope.ADMIN))


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, and what the forms of this session carry so that no other site can send them."""

    holder: Holder
    csrf: str

    def check(self, given: str) -> None:
        """Raises FormExpired unless a form is of this session."""
        if not hmac.compare_digest(self.csrf.encode(), given.encode()):
            raise FormExpired


@dataclass(frozen=True, slots=True)
class Sessions:
    """Opens, finds and ends sessions."""

    database: Database
    settings: Settings
    keys: Keys

    async def begin(self, key: str, *, now: datetime) -> str:
        """Open a session with a key and return its cookie; raises InvalidApiKey and InsufficientScope.

        A gateway's key opens none: it may write, and read no history.
        """
        holder = await self.keys.authenticate(key, now=now)
        if holder.scope not in READERS:
            raise InsufficientScope
        token, pepper = secrets.token_urlsafe(TOKEN_BYTES), await self.keys.pepper.read()
        expires_at = min(now + LASTS, holder.expires_at or now + LASTS)
        row = DashboardSession(
            digest=digest(pepper, token),
            key_id=holder.key_id,
            key_digest=digest(pepper, key),
            created_at=now,
            expires_at=expires_at,
        )
        async with self.database.write.begin() as tx:
            await tx.execute(sa.delete(DashboardSession).where(DashboardSession.expires_at <= now))
            tx.add(row)
        return token

    async def find(self, token: str, *, now: datetime) -> Session:
        """Whose session a cookie is of; raises NotSignedIn, also when its key was revoked or is over."""
        pepper = await self.keys.pepper.read()
        async with self.database.read.begin() as tx:
            row = await tx.get(DashboardSession, digest(pepper, token))
            key = await _key(tx, row)
        if row is None or row.expires_at <= now:
            raise NotSignedIn
        holder = self._bootstrap(row, pepper) if row.key_id == BOOTSTRAP else _holder(key, now)
        return Session(holder, digest(pepper, f"form {token}"))

    async def end(self, token: str) -> None:
        """Sign out."""
        ended = sa.delete(DashboardSession).where(
            DashboardSession.digest == digest(await self.keys.pepper.read(), token)
        )
        async with self.database.write.begin() as tx:
            await tx.execute(ended)

    def _bootstrap(self, row: DashboardSession, pepper: bytes) -> Holder:
        """The key from the environment has no row: the session is over when there is another one."""
        given = self.settings.bootstrap_admin_key
        if given is None or not hmac.compare_digest(digest(pepper, given.get_secret_value()), row.key_digest):
            raise NotSignedIn
        return Holder(BOOTSTRAP, Scope.ADMIN)


async def _key(tx: AsyncSession, row: DashboardSession | None) -> ApiKey | None:
    return None if row is None else await tx.get(ApiKey, row.key_id)


def _holder(key: ApiKey | None, now: datetime) -> Holder:
    if key is None or not key.is_live(now):
        raise NotSignedIn
    return Holder(key.id, Scope(key.scope), key.expires_at)
