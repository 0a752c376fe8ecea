"""Templates: what a kind of conversation is opened with, in versions that never change."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Template, TemplateVersion
from convo_service.db.statements import insert_ignore
from convo_service.domain.conditions import ANY, Conditions
from convo_service.domain.record import SECTIONS
from convo_service.errors import PreconditionFailed, TemplateNotFound
from convo_service.services.paging import Listing, Page, stretch
from convo_service.settings import Settings
from convo_service.shipped import NAMES, shipped

FIELDS = ("instructions", "model", "timeout_hours", "max_messages", "seed_sections", "language", "command_reply")
IS_CURRENT = sa.exists().where(Template.name == TemplateVersion.name, Template.version == TemplateVersion.version)


async def listed(tx: AsyncSession, page: Page) -> Listing[TemplateVersion]:
    """The templates as they are now, by `(created_at, name)` of the version."""
    place = await stretch(tx, page, TemplateVersion.created_at, TemplateVersion.name, (IS_CURRENT,))
    return await place.read(tx, sa.select(TemplateVersion).where(IS_CURRENT))


async def get(tx: AsyncSession, name: str, version: int | None = None) -> TemplateVersion:
    """A template as it is now, or as it was in a version, deleted or not. Raises TemplateNotFound."""
    which = IS_CURRENT if version is None else TemplateVersion.version == version
    found: TemplateVersion | None = await tx.scalar(
        sa.select(TemplateVersion).where(TemplateVersion.name == name, which)
    )
    if found is None:
        raise TemplateNotFound
    return found


async def at(tx: AsyncSession, name: str | None, version: int | None) -> TemplateVersion | None:
    """The version that a conversation was opened with; None when it was opened without a template."""
    return None if name is None or version is None else await tx.get_one(TemplateVersion, (name, version))


def language(template: TemplateVersion | None, settings: Settings) -> str:
    """The language of what is written under a template."""
    own = template.language if template is not None else None
    return own or settings.summary_language


def sections(template: TemplateVersion | None) -> Sequence[str]:
    """What of a seed a template wants."""
    own = template.seed_sections if template is not None else None
    return SECTIONS if own is None else own


async def put(
    tx: AsyncSession, name: str, given: Mapping[str, Any], conditions: Conditions, *, now: datetime
) -> tuple[TemplateVersion, bool]:
    """Make a template, or its next version; what is not given is the installation's. Says whether it is new.

    What changes nothing makes no version, and needs no condition. Raises PreconditionFailed and PreconditionRequired.
    """
    wanted = {field: given.get(field) for field in FIELDS}
    pointer = await _locked(tx, name)
    current = await get(tx, name) if pointer is not None else None
    if current is not None and wanted == {field: getattr(current, field) for field in FIELDS}:
        conditions.check(current.version)
        return current, False
    conditions.require(current.version if current is not None else None)
    row = TemplateVersion(name=name, version=await _last_version(tx, name) + 1, created_at=now, **wanted)
    if pointer is not None:
        pointer.version = row.version
    elif not await insert_ignore(tx, Template, {"name": name, "version": row.version}):
        raise PreconditionFailed  # somebody else has made it in this very moment
    tx.add(row)
    await tx.flush()
    return row, current is None


async def delete(tx: AsyncSession, name: str, conditions: Conditions) -> None:
    """Let nobody choose a template any more; conversations go on with theirs.

    Raises TemplateNotFound and PreconditionFailed.
    """
    pointer = await _locked(tx, name)
    if pointer is None:
        raise TemplateNotFound
    conditions.check(pointer.version)
    await tx.delete(pointer)


class Installed(NamedTuple):
    """What became of a template that is shipped."""

    name: str
    version: int
    done: Literal["installed", "replaced", "is there, and stays as it is"]


async def install(
    tx: AsyncSession, languages: Sequence[str], *, plain: str, may_replace: bool, now: datetime
) -> list[Installed]:
    """Install the shipped templates, those of the language `plain` under their plain names.

    One that is there is an operator's, so it stays, unless it may be replaced.
    """
    done = []
    for language in languages:
        for shipped_name in NAMES:
            name = shipped_name if language == plain else f"{shipped_name}-{language}"
            there = await _locked(tx, name)
            if there is not None and not may_replace:
                done.append(Installed(name, there.version, "is there, and stays as it is"))
                continue
            conditions = Conditions(if_match=None if there is None else ANY)
            row, is_new = await put(tx, name, shipped(shipped_name, language), conditions, now=now)
            done.append(Installed(name, row.version, "installed" if is_new else "replaced"))
    return done


async def all_current(tx: AsyncSession) -> Sequence[TemplateVersion]:
    """Every template as it is now, by name."""
    return (await tx.scalars(sa.select(TemplateVersion).where(IS_CURRENT).order_by(TemplateVersion.name))).all()


async def _locked(tx: AsyncSession, name: str) -> Template | None:
    found: Template | None = await tx.scalar(sa.select(Template).where(Template.name == name).with_for_update())
    return found


async def _last_version(tx: AsyncSession, name: str) -> int:
    """Of a template that was deleted, too: no version is made twice."""
    return int(
        await tx.scalar(sa.select(sa.func.max(TemplateVersion.version)).where(TemplateVersion.name == name)) or 0
    )
