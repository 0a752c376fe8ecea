"""Keys, the sessions of the dashboard that they open, and secrets of the installation."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Id, Word


class ApiKey(Base, kw_only=True):
    """A key of a gateway, a dashboard or an operator; only its HMAC is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(128))
    scope: Mapped[str] = mapped_column(Word)
    prefix: Mapped[str] = mapped_column(sa.String(16), unique=True)
    digest: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(default=None)  # to the minute

    def is_live(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class DashboardSession(Base, kw_only=True):
    """Somebody who signed in to the dashboard with a key; only HMACs of the cookie and of the key are kept."""

    __tablename__ = "dashboard_sessions"
    __table_args__ = (sa.Index("ix_dashboard_sessions_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(Id)  # its key's row is asked at each request: it may have been revoked
    key_digest: Mapped[str] = mapped_column(sa.String(64))  # the key from the environment has no row
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class RateCount(Base, kw_only=True):
    """What all replicas together have counted of something in one window of time; gone when that is over."""

    __tablename__ = "rate_counts"
    __table_args__ = (sa.Index("ix_rate_counts_ends_at", "ends_at"),)

    name: Mapped[str] = mapped_column(Id, primary_key=True)
    ends_at: Mapped[float] = mapped_column(sa.Double, primary_key=True)  # seconds since 1970
    used: Mapped[int]


class InstallationSecret(Base, kw_only=True):
    """A secret that all replicas share and nobody set: the pepper, on PostgreSQL."""

    __tablename__ = "installation_secrets"

    name: Mapped[str] = mapped_column(Word, primary_key=True)
    value: Mapped[str]
