"""Topics that operators describe: what their messages are about, and the template of their conversations."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Topic
from convo_service.db.statements import insert_ignore
from convo_service.domain.conditions import Conditions
from convo_service.errors import PreconditionFailed, TopicNotFound
from convo_service.services import templates
from convo_service.services.paging import Listing, Page, stretch


async def listed(tx: AsyncSession, page: Page) -> Listing[Topic]:
    """The topics by `(updated_at, name)`."""
    place = await stretch(tx, page, Topic.updated_at, Topic.name)
    return await place.read(tx, sa.select(Topic))


async def get(tx: AsyncSession, name: str) -> Topic:
    """A topic; raises TopicNotFound."""
    found = await tx.get(Topic, name)
    if found is None:
        raise TopicNotFound
    return found


def version(topic: Topic) -> str:
    """What tells a topic from what it was: its content, so that what says the same is the same."""
    content = json.dumps([topic.description, topic.template])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


async def put(
    tx: AsyncSession, name: str, given: Mapping[str, Any], conditions: Conditions, *, now: datetime
) -> tuple[Topic, bool]:
    """Describe a topic, all of it; says whether it is new.

    Raises TemplateNotFound, PreconditionFailed and PreconditionRequired.
    """
    wanted = {"description": given.get("description"), "template": given.get("template")}
    if wanted["template"] is not None:
        await templates.get(tx, wanted["template"])
    topic = await _locked(tx, name)
    if topic is not None and wanted == {"description": topic.description, "template": topic.template}:
        conditions.check(version(topic))
        return topic, False
    conditions.require(version(topic) if topic is not None else None)
    if topic is not None:
        topic.description, topic.template, topic.updated_at = wanted["description"], wanted["template"], now
        await tx.flush()
        return topic, False
    if not await insert_ignore(tx, Topic, {"name": name, **wanted, "updated_at": now}):
        raise PreconditionFailed  # somebody else has made it in this very moment
    return await get(tx, name), True


async def delete(tx: AsyncSession, name: str, conditions: Conditions) -> None:
    """Describe a topic no more; its conversations stay as they are. Raises TopicNotFound and PreconditionFailed."""
    topic = await _locked(tx, name)
    if topic is None:
        raise TopicNotFound
    conditions.check(version(topic))
    await tx.delete(topic)


async def _locked(tx: AsyncSession, name: str) -> Topic | None:
    found: Topic | None = await tx.scalar(sa.select(Topic).where(Topic.name == name).with_for_update())
    return found
