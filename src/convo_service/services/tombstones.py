"""Tombstones: what keeps a webhook that is repeated, or an import, from bringing back a person who was erased.

A message that was revoked before it came has one, too, so that nothing of it is stored when it comes.
A message's tombstone is kept for longer than WhatsApp repeats a webhook. An identity's is kept for good: a file of the
bot may be imported in years. Neither says anything to whoever does not have the identity, and the pepper, already.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Message, Tombstone, User, UserIdentity
from convo_service.db.statements import AT_ONCE, replace
from convo_service.domain.identities import normalise
from convo_service.errors import MessageErased
from convo_service.services.pepper import digest

KEPT = timedelta(days=8)  # webhooks come again for up to seven


@dataclass(frozen=True, slots=True)
class Marker:
    """Turns identities and messages into marks."""

    pepper: bytes

    def identity(self, value: str) -> str:
        """The mark of a normalised identity."""
        return digest(self.pepper, json.dumps(["identity", value]))

    def message(self, value: str, external_id: str) -> str:
        """The mark of a message that came under an identity."""
        return digest(self.pepper, json.dumps(["message", value, external_id]))

    def revoked(self, value: str, external_id: str) -> str:
        """The mark of a message that was revoked before it came."""
        return digest(self.pepper, json.dumps(["revoked", value, external_id]))

    def awaited(self, value: str) -> str:
        """The mark of an identity that is nobody's yet, and of which a message was revoked."""
        return digest(self.pepper, json.dumps(["awaited", value]))


async def raise_all(tx: AsyncSession, user_id: str, marker: Marker, now: datetime) -> None:
    """Put up those of a user's identities, and of the messages that may be sent again."""
    values = await _identities(tx, user_id)
    recent = sa.select(Message.external_id).where(
        Message.user_id == user_id, Message.external_id.is_not(None), Message.received_at > now - KEPT
    )
    ids = (await tx.scalars(recent)).all()
    marks: list[tuple[str, datetime | None]] = [(marker.identity(one), None) for one in values]
    marks += [(marker.message(value, one), now + KEPT) for value in values for one in ids if one is not None]
    rows = [{"digest": mark, "erased_at": now, "until": until} for mark, until in marks]
    await replace(tx, Tombstone, "digest", rows)  # somebody who came back may be erased again


async def beware(tx: AsyncSession, user: User, value: str, marker: Marker) -> None:
    """Have a user who takes an identity looked at, as long as messages of somebody erased may come under it."""
    marks = (marker.identity(value), marker.awaited(value))
    found = sa.select(sa.func.max(Tombstone.erased_at)).where(Tombstone.digest.in_(marks))
    erased_at = await tx.scalar(found)
    if erased_at is not None:
        user.repeats_until = max(erased_at + KEPT, user.repeats_until or erased_at)


async def refuse(tx: AsyncSession, user: User, external_id: str | None, marker: Marker, now: datetime) -> None:
    """Raise MessageErased for a message that was erased, of a user who has to be looked at."""
    if user.repeats_until is None:
        return
    if user.repeats_until <= now:
        user.repeats_until = None
    elif external_id is not None:
        marks = [marker.message(value, external_id) for value in await _identities(tx, user.id)]
        if await tx.scalar(sa.select(Tombstone.digest).where(Tombstone.digest.in_(marks), Tombstone.until > now)):
            raise MessageErased


async def remember(tx: AsyncSession, user: User, external_id: str, marker: Marker, now: datetime) -> None:
    """A message of a user, who is locked, was revoked before it came: have her looked at until it comes."""
    values = await _identities(tx, user.id)
    await _put_up(tx, [marker.revoked(value, external_id) for value in values], now)
    user.repeats_until, user.rollout = max(now + KEPT, user.repeats_until or now), ""


async def remember_of_nobody(tx: AsyncSession, identity: str, external_id: str, marker: Marker, now: datetime) -> None:
    """The same for an identity that nobody has; whoever takes it is looked at. Raises InvalidIdentity."""
    value = normalise(identity).value
    await _put_up(tx, [marker.revoked(value, external_id), marker.awaited(value)], now)


async def is_revoked(tx: AsyncSession, user: User, external_id: str | None, marker: Marker, now: datetime) -> bool:
    """Whether a new message, of a user who has to be looked at, was revoked before it came."""
    if user.repeats_until is None or external_id is None:
        return False
    marks = [marker.revoked(value, external_id) for value in await _identities(tx, user.id)]
    found = sa.select(Tombstone.digest).where(Tombstone.digest.in_(marks), Tombstone.until > now)
    return await tx.scalar(found.limit(1)) is not None


async def _put_up(tx: AsyncSession, marks: Iterable[str], now: datetime) -> None:
    rows = [{"digest": mark, "erased_at": now, "until": now + KEPT} for mark in marks]
    await replace(tx, Tombstone, "digest", rows)


async def clear(tx: AsyncSession, now: datetime) -> int:
    """Take down those whose time is over, and say how many."""
    return len((await tx.scalars(sa.delete(Tombstone).where(Tombstone.until <= now).returning(Tombstone.digest))).all())


def erased(connection: sa.Connection, values: Collection[str], marker: Marker) -> frozenset[str]:
    """The identities among these that were erased."""
    marks = {marker.identity(value): value for value in values}
    return frozenset(marks[mark] for some in _parts(list(marks)) for mark in connection.scalars(_standing(some)))


def _standing(marks: Collection[str]) -> sa.Select[str]:
    return sa.select(Tombstone.digest).where(Tombstone.digest.in_(marks), Tombstone.until.is_(None))


def _parts(marks: list[str]) -> Iterable[list[str]]:
    return (marks[start : start + AT_ONCE] for start in range(0, len(marks), AT_ONCE))


async def _identities(tx: AsyncSession, user_id: str) -> list[str]:
    return list(await tx.scalars(sa.select(UserIdentity.value).where(UserIdentity.user_id == user_id)))
