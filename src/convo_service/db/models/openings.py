"""Conversations in the making, and what is left of them at OpenAI."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Id, Word


class Opening(Base, kw_only=True):
    """A conversation that is being opened: who does it, until when, and how far it is."""

    __tablename__ = "openings"

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    topic: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    attempt_id: Mapped[str] = mapped_column(Id)  # the fence: every write names it
    lease_until: Mapped[float] = mapped_column(sa.Double)  # the database's clock, in seconds since 1970
    state: Mapped[str] = mapped_column(Word)  # reserving | seeding | refused: OpenAI did not take the seed
    remote_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)
    seed: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    reason: Mapped[str] = mapped_column(Word)
    parent_conversation_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)
    message_id: Mapped[str | None] = mapped_column(Id, default=None)  # the message that opens it
    identity: Mapped[str] = mapped_column(sa.String(128))
    template: Mapped[str | None] = mapped_column(sa.String(64), default=None)
    template_version: Mapped[int | None] = mapped_column(default=None)
    opened_at: Mapped[datetime]  # event time
    forget: Mapped[bool] = mapped_column(default=False)
    seed_message: Mapped[bool] = mapped_column(default=False)


class RemoteId(Base, kw_only=True):
    """An id that OpenAI gave as new; the key sees to it that it is taken once, by one user."""

    __tablename__ = "remote_ids"

    remote_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)


class RemoteGarbage(Base, kw_only=True):
    """A conversation, or a stored response, at OpenAI that no row of ours uses: to be emptied and deleted there."""

    __tablename__ = "remote_garbage"
    __table_args__ = (sa.Index(None, "erasure_id"),)

    remote_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    why: Mapped[str] = mapped_column(Word)
    not_before: Mapped[float] = mapped_column(sa.Double)
    tries: Mapped[int] = mapped_column(default=0)
    erasure_id: Mapped[str | None] = mapped_column(Id, default=None)  # whose receipt counts it
    of_user: Mapped[str | None] = mapped_column(Id, default=None)  # whose seed may be in it, of what was never used


class RemoteReserve(Base, kw_only=True):
    """An empty conversation at OpenAI that waits for the next opening."""

    __tablename__ = "remote_reserve"
    __table_args__ = (sa.Index(None, "made_at"),)

    remote_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    made_at: Mapped[float] = mapped_column(sa.Double)  # the database's clock, in seconds since 1970
