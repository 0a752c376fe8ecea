"""What is remembered of a user: summaries, notes, and what operators made of entries."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Id, Word


class Summary(Base, kw_only=True):
    """One version of what a model made of a conversation; while it is `asked`, the claim of whoever asks."""

    __tablename__ = "summaries"
    __table_args__ = (
        sa.Index(None, "user_id", "conversation_id", "id"),
        sa.Index(None, "user_id", "asked_at", "id"),
        sa.ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"]),
    )

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(sa.String(128))
    state: Mapped[str] = mapped_column(
        Word
    )  # asked | kept | rejected: nothing usable came | failed: nothing came | late
    asked_at: Mapped[datetime]
    lease_until: Mapped[float] = mapped_column(sa.Double)  # the database's clock, in seconds since 1970
    model: Mapped[str] = mapped_column(sa.String(128))
    prompt_hash: Mapped[str] = mapped_column(sa.String(64))
    from_message_id: Mapped[str | None] = mapped_column(Id)
    to_message_id: Mapped[str | None] = mapped_column(Id)
    covered_count: Mapped[int]  # messages that the model read
    message_count: Mapped[int]  # of the conversation when it was asked
    entries: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)  # topics and facts; the rest became notes
    dropped: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)  # how many entries, by why
    input_tokens: Mapped[int] = mapped_column(default=0)
    cached_input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cost_usd: Mapped[float | None] = mapped_column(sa.Double, default=None)  # None: the model's price is unknown


class Note(Base, kw_only=True):
    """An open issue, a preference or a note about a user: printed first in every seed while it is open."""

    __tablename__ = "notes"
    __table_args__ = (
        sa.Index(None, "id"),
        sa.Index(None, "user_id", "created_at", "id"),
        sa.Index(  # the issues that wait for somebody, of everybody
            "ix_notes_open_issues",
            "created_at",
            "id",
            sqlite_where=sa.text("kind = 'issue' AND status = 'open'"),
            postgresql_where=sa.text("kind = 'issue' AND status = 'open'"),
        ),
    )

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Word)  # issue | preference | note
    text: Mapped[str]
    status: Mapped[str] = mapped_column(Word, default="open")  # open | resolved
    source: Mapped[str] = mapped_column(Word)  # operator | gateway | summary: who wrote the text
    message_ids: Mapped[list[str]] = mapped_column(sa.JSON, default_factory=list)  # what it rests on
    resolved_by: Mapped[list[str]] = mapped_column(sa.JSON, default_factory=list)  # messages that say it is settled
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None] = mapped_column(default=None)
    reopened_at: Mapped[datetime | None] = mapped_column(default=None)
    found_kind: Mapped[str | None] = mapped_column(Word, default=None)  # as a summary found it: people may change it
    found_text: Mapped[str | None] = mapped_column(default=None)


class SeedEdit(Base, kw_only=True):
    """What an operator decided about one entry of a user's seeds; it holds for every seed to come."""

    __tablename__ = "seed_edits"

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    entry_id: Mapped[str] = mapped_column(Id, primary_key=True)
    section: Mapped[str] = mapped_column(Word)
    entry: Mapped[dict[str, Any]]  # the entry as it was
    text: Mapped[str | None] = mapped_column(default=None)  # what it says instead
    pinned: Mapped[bool] = mapped_column(default=False)
    removed: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime]
