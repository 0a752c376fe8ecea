"""What is known of templates and topics without asking the database for each message: read again every few seconds."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Conversation, Template, TemplateVersion, Topic
from convo_service.domain.catalog import Catalog
from convo_service.domain.conditions import Conditions
from convo_service.domain.recognition import Recogniser
from convo_service.services import templates, topics

CACHE_SECONDS = 3.0  # after which another replica's changes are seen
MAX_VERSIONS = 1000


class Catalogs:
    """Remembers the catalog for a few seconds, and versions for good: they never change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._catalog: Catalog | None = None
        self._until = 0.0
        self._versions: dict[tuple[str, int], TemplateVersion] = {}

    async def read(self) -> Catalog:
        """The catalog, a few seconds old at most. Whoever comes while it is read again gets the old one."""
        if self._catalog is not None and time.monotonic() < self._until:
            return self._catalog
        self._until = time.monotonic() + CACHE_SECONDS
        try:
            self._catalog = await self._load()
        except BaseException:
            self._until = 0.0
            raise
        return self._catalog

    def forget(self) -> None:
        """Read it again the next time: something was changed here."""
        self._until = 0.0

    async def knows(self, template: str) -> bool:
        """Whether a caller may name this template; one that is not known may have been made a moment ago elsewhere."""
        if template in (await self.read()).templates:
            return True
        self.forget()
        return template in (await self.read()).templates

    async def version_of(self, conversation: Conversation) -> TemplateVersion | None:
        """The version of its template that a conversation was opened with."""
        return await self.version(conversation.template, conversation.template_version)

    async def version(self, name: str | None, version: int | None) -> TemplateVersion | None:
        """A version of a template; None of none."""
        if name is None or version is None:
            return None
        key = (name, version)
        if key not in self._versions:
            async with self._database.read.begin() as tx:
                found = await templates.get(tx, *key)
            if len(self._versions) >= MAX_VERSIONS:
                self._versions.clear()
            self._versions[key] = found
        return self._versions[key]

    async def put_template(
        self, name: str, given: Mapping[str, Any], conditions: Conditions, *, now: datetime
    ) -> tuple[TemplateVersion, bool]:
        """As `templates.put`; conversations of this process are opened with it from now on."""
        async with self._database.write.begin() as tx:
            done = await templates.put(tx, name, given, conditions, now=now)
        self.forget()
        return done

    async def delete_template(self, name: str, conditions: Conditions) -> None:
        """As `templates.delete`."""
        async with self._database.write.begin() as tx:
            await templates.delete(tx, name, conditions)
        self.forget()

    async def put_topic(
        self, name: str, given: Mapping[str, Any], conditions: Conditions, *, now: datetime
    ) -> tuple[Topic, bool]:
        """As `topics.put`; messages of this process are recognised by it from now on."""
        async with self._database.write.begin() as tx:
            done = await topics.put(tx, name, given, conditions, now=now)
        self.forget()
        return done

    async def delete_topic(self, name: str, conditions: Conditions) -> None:
        """As `topics.delete`."""
        async with self._database.write.begin() as tx:
            await topics.delete(tx, name, conditions)
        self.forget()

    async def _load(self) -> Catalog:
        async with self._database.read.begin() as tx:
            made = (await tx.execute(sa.select(Template.name, Template.version))).all()
            named = (await tx.scalars(sa.select(Topic).order_by(Topic.name))).all()
        described = {row.name: row.description for row in named if row.description}
        known = self._catalog.recogniser if self._catalog is not None else None
        return Catalog(
            templates={row.name: row.version for row in made},
            topics={row.name: row.template for row in named},
            recogniser=known if known is not None and known.descriptions == described else Recogniser(described),
        )
