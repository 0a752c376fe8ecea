"""What a list shows of each user at a glance: company, open issues, and what was said last."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Message, Note, Profile, User
from convo_service.services import users
from convo_service.services.users import UserView


@dataclass(frozen=True, slots=True)
class Glance:
    """One line of the list."""

    view: UserView
    company: str | None
    open_issues: int
    last: Message | None


async def at(tx: AsyncSession, views: Sequence[UserView]) -> list[Glance]:
    """Complete a page of users: three statements, each by index, however long the histories are."""
    ids = [view.user.id for view in views]
    companies = await _companies(tx, ids)
    issues = await _open_issues(tx, ids)
    said = await _last_said(tx, ids)
    return [
        Glance(view, companies.get(view.user.id), issues.get(view.user.id, 0), said.get(view.user.id)) for view in views
    ]


async def of_users(tx: AsyncSession, ids: Collection[str]) -> dict[str, Glance]:
    """Some users by id; who is being erased is not there."""
    known = await names(tx, ids)
    return {one.view.user.id: one for one in await at(tx, list(known.values()))}


async def names(tx: AsyncSession, ids: Collection[str]) -> dict[str, UserView]:
    """Some users by id, with their names alone."""
    rows = (await tx.scalars(sa.select(User).where(User.id.in_(ids), User.erasure_id.is_(None)))).all()
    return {view.user.id: view for view in await users.views(tx, rows)}


async def _companies(tx: AsyncSession, ids: Sequence[str]) -> Mapping[str, str | None]:
    rows = await tx.execute(sa.select(Profile.user_id, Profile.ragione_sociale).where(Profile.user_id.in_(ids)))
    return {row[0]: row[1] for row in rows}


async def _open_issues(tx: AsyncSession, ids: Sequence[str]) -> Mapping[str, int]:
    open_ones = (Note.user_id.in_(ids), Note.kind == "issue", Note.status == "open")
    rows = await tx.execute(sa.select(Note.user_id, sa.func.count()).where(*open_ones).group_by(Note.user_id))
    return {row[0]: row[1] for row in rows}


async def _last_said(tx: AsyncSession, ids: Sequence[str]) -> Mapping[str, Message]:
    newest = (
        sa.select(Message.id)
        .where(Message.user_id == User.id)
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(1)
        .correlate(User)
        .scalar_subquery()
    )
    last = sa.select(User.id.label("user_id"), newest.label("id")).where(User.id.in_(ids)).subquery()
    rows = await tx.scalars(
        sa.select(Message).join(last, sa.and_(Message.user_id == last.c.user_id, Message.id == last.c.id))
    )
    return {row.user_id: row for row in rows}
