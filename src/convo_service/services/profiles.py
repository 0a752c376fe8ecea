"""Profiles: verified facts about a client, as far as they are known."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Profile
from convo_service.services import users


async def get(tx: AsyncSession, user_id: str) -> Profile:
    """The profile of a user; an empty one when nothing is known yet. Raises UserNotFound."""
    await users.get(tx, user_id)
    return await tx.get(Profile, user_id) or Profile(user_id=user_id)


async def save(tx: AsyncSession, user_id: str, given: Mapping[str, str | None], *, now: datetime) -> Profile:
    """Replace the given fields and leave the others; None empties a field. Raises UserNotFound."""
    await users.lock(tx, user_id)
    profile = await tx.get(Profile, user_id)
    if profile is None:
        profile = Profile(user_id=user_id)
        tx.add(profile)
    for field, value in given.items():
        setattr(profile, field, value)
    profile.search_text = searched(profile.name, profile.last_name, profile.ragione_sociale)
    profile.updated_at = now
    return profile


def searched(*names: str | None) -> str:
    """What a search for a person or a company looks in."""
    return " ".join(name for name in names if name).casefold()
