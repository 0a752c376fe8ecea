"""What is left of people who were erased or merged: receipts, marks, and who was whom."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Id


class Erasure(Base, kw_only=True):
    """The erasing of a user: what is still to be done, and the receipt; nothing in it says who the user was."""

    __tablename__ = "erasures"
    __table_args__ = (sa.Index(None, "completed_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(Id, default=None)  # None: no row of the user is left
    requested_at: Mapped[datetime]
    rows: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)  # how many went, by table
    scrubbed: Mapped[bool] = mapped_column(default=False)  # their bytes are gone from SQLite's file, too
    remote_conversations: Mapped[int] = mapped_column(default=0)  # deleted at OpenAI
    remote_items: Mapped[int] = mapped_column(default=0)
    stored_responses: Mapped[int] = mapped_column(default=0)
    completed_at: Mapped[datetime | None] = mapped_column(default=None)


class Tombstone(Base, kw_only=True):
    """The mark of an identity that was erased, or of a message of it; an HMAC, so that only who has it can ask."""

    __tablename__ = "tombstones"
    __table_args__ = (sa.Index(None, "until"),)

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    erased_at: Mapped[datetime]
    until: Mapped[datetime | None]  # of a message; None: an identity's, which no import may bring back


class Merge(Base, kw_only=True):
    """That a user was merged into this one."""

    __tablename__ = "merges"

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    merged_user_id: Mapped[str] = mapped_column(Id)
    merged_at: Mapped[datetime]
    merged_by: Mapped[str] = mapped_column(Id)  # the key
    rows: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)  # how many moved, by table
