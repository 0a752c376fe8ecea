"""Keys and secrets of the installation."""

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


class InstallationSecret(Base, kw_only=True):
    """A secret that all replicas share and nobody set: the pepper, on PostgreSQL."""

    __tablename__ = "installation_secrets"

    name: Mapped[str] = mapped_column(Word, primary_key=True)
    value: Mapped[str]
