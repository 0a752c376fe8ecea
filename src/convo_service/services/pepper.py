"""The installation's secret: what keys, and marks of people who were erased, are hashed with."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.db.models import InstallationSecret
from convo_service.db.statements import insert_ignore
from convo_service.settings import Settings
from convo_service.telemetry import get_logger

log = get_logger()


class Pepper:
    """KEY_PEPPER, else one that is made once: beside a SQLite file, or in a PostgreSQL database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._value: bytes | None = None
        self._own = secrets.token_bytes(32)

    @property
    def at_hand(self) -> bytes:
        """The secret without asking anybody; until it was read, one of this process alone, which nobody can guess."""
        return self._value or self._own

    async def read(self) -> bytes:
        """The secret; opens a transaction of its own when it is looked for the first time."""
        if self._value is None:
            self._value = await self._find()
        return self._value

    async def _find(self) -> bytes:
        if self._settings.key_pepper is not None:
            return self._settings.key_pepper.get_secret_value().encode()
        if file := self._settings.sqlite_file:
            return _beside(file)
        log.warning("key_pepper_unset", consequence="the pepper lies in the same database as the keys")
        async with self._database.write.begin() as tx:
            return (await _shared(tx)).encode()


def digest(pepper: bytes, text: str) -> str:
    """What of a text may be stored: nobody who lacks the pepper can tell the text, or try texts out."""
    return hmac.new(pepper, text.encode(), hashlib.sha256).hexdigest()


async def _shared(tx: AsyncSession) -> str:
    await insert_ignore(tx, InstallationSecret, {"name": "key_pepper", "value": secrets.token_hex(32)})
    return (await tx.get_one(InstallationSecret, "key_pepper")).value


def _beside(database: Path) -> bytes:
    """Read the pepper's file, or make it: written whole under another name first, so that nobody reads half of it."""
    path = database.with_name(database.name + ".pepper")
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster: its pepper is the one
        finally:
            draft.unlink()
    return path.read_bytes()
