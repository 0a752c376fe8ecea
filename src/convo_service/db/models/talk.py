"""What was said, in which conversation, and what a conversation started with."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from convo_service.db.models.base import Base, Id, Word

OPEN, CLOSED = ("is_active = 1", "is_active"), ("is_active = 0", "NOT is_active")  # as each database spells it
# What analytics have counted of a conversation: nothing, that it began, or else that it ended with so many messages.
NOT_COUNTED, BEGUN = -2, -1
MISCOUNTED = (
    "is_active = 0 AND counted_messages <> message_count",
    "NOT is_active AND counted_messages <> message_count",
)


def _partial(name: str, *columns: str, where: str | tuple[str, str], unique: bool = False) -> sa.Index:
    on_sqlite, on_postgres = (where, where) if isinstance(where, str) else where
    return sa.Index(
        name, *columns, unique=unique, sqlite_where=sa.text(on_sqlite), postgresql_where=sa.text(on_postgres)
    )


class Conversation(Base, kw_only=True):
    """One conversation at OpenAI, that is one window; `id` is OpenAI's id."""

    __tablename__ = "conversations"
    __table_args__ = (
        _partial("uq_conversations_active", "user_id", "topic", where=OPEN, unique=True),
        sa.Index(None, "id"),
        sa.Index(None, "last_message_at", "id"),
        sa.Index(None, "user_id", "last_message_at", "id"),
        sa.Index(None, "user_id", "topic", "created_at", "number"),
        _partial("ix_conversations_sweep_at", "sweep_at", where="sweep_at IS NOT NULL"),
        # What a list is filtered by may be rare: then its rows lie together, in the order of the list.
        _partial("ix_conversations_open", "last_message_at", "id", where=OPEN),
        _partial("ix_conversations_closed", "last_message_at", "id", where=CLOSED),
        _partial("ix_conversations_topic", "topic", "last_message_at", "id", where="topic <> 'general'"),
        _partial("ix_conversations_template", "template", "last_message_at", "id", where="template IS NOT NULL"),
        sa.Index("ix_conversations_created_reason", "created_reason", "last_message_at", "id"),
        sa.Index("ix_conversations_created_at", "created_at"),
        _partial("ix_conversations_closed_at", "closed_at", where="closed_at IS NOT NULL AND released_at IS NULL"),
        _partial(
            "ix_conversations_parent", "user_id", "parent_conversation_id", where="parent_conversation_id IS NOT NULL"
        ),
        _partial("ix_conversations_uncounted", "user_id", "id", where=f"counted_messages = {NOT_COUNTED}"),
        _partial("ix_conversations_miscounted", "user_id", "id", where=MISCOUNTED),
        sa.ForeignKeyConstraint(["user_id", "parent_conversation_id"], ["conversations.user_id", "conversations.id"]),
    )

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    number: Mapped[int]  # the user's first is 1: the order of opening, when two were opened in one second
    topic: Mapped[str] = mapped_column(sa.String(64))
    template: Mapped[str | None] = mapped_column(sa.String(64), default=None)
    template_version: Mapped[int | None] = mapped_column(default=None)
    max_messages: Mapped[int | None] = mapped_column(default=None)  # its template's cap; None: the installation's
    cohort: Mapped[str] = mapped_column(Word)
    identity: Mapped[str] = mapped_column(sa.String(128))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]  # event time of the message that opened it
    last_message_at: Mapped[datetime]
    last_inbound_at: Mapped[datetime]  # what the window is judged on
    inbound_received_at: Mapped[datetime]  # wall clock of that message: the sweep waits for both
    closed_at: Mapped[datetime | None] = mapped_column(default=None)  # wall clock
    released_at: Mapped[datetime | None] = mapped_column(default=None)  # since then it is not kept at OpenAI
    created_reason: Mapped[str] = mapped_column(Word)
    closed_reason: Mapped[str | None] = mapped_column(Word, default=None)
    parent_conversation_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)
    timeout_seconds: Mapped[float]
    message_count: Mapped[int] = mapped_column(default=0)
    talk_tokens: Mapped[int] = mapped_column(default=0, server_default="0")  # what was said here, as it is estimated
    start_tokens: Mapped[int] = mapped_column(default=0, server_default="0")  # what it started with: seed, carried talk
    # What the first turn has to send along, because OpenAI does not hold it yet (services.owing); None: nothing.
    owed_items: Mapped[list[dict[str, Any]] | None] = mapped_column(sa.JSON(none_as_null=True), default=None)
    counted_messages: Mapped[int] = mapped_column(default=NOT_COUNTED, server_default=str(NOT_COUNTED))
    held_tokens: Mapped[int | None] = mapped_column(default=None)  # after its last reply, as counted, less instructions
    # When the sweep has to look at it next, by the service's clock; None: never again. A row that nobody set it for,
    # such as an adopted one, is looked at once.
    sweep_at: Mapped[datetime | None] = mapped_column(default=None, server_default="1970-01-01 00:00:00.000000")
    seed: Mapped["Seed | None"] = relationship(
        primaryjoin=lambda: sa.and_(
            Conversation.user_id == foreign(Seed.user_id), Conversation.id == foreign(Seed.conversation_id)
        ),
        viewonly=True,
        lazy="raise",
        init=False,
    )

    @property
    def timeout(self) -> timedelta:
        """The window that this conversation was opened with."""
        return timedelta(seconds=self.timeout_seconds)

    @property
    def expires_at(self) -> datetime | None:
        """When the window ends if nobody writes; None when it is over or never ends."""
        if not self.is_active or self.cohort == "holdout":
            return None
        return self.last_inbound_at + self.timeout


class Seed(Base, kw_only=True):
    """What a conversation started with, and which messages each entry rests on."""

    __tablename__ = "seeds"
    __table_args__ = (
        sa.ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"]),
    )

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    text: Mapped[str]
    generator: Mapped[str] = mapped_column(Word)
    tokens: Mapped[int]
    entries: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON)
    from_message_id: Mapped[str | None] = mapped_column(Id, default=None)
    to_message_id: Mapped[str | None] = mapped_column(Id, default=None)
    covered_count: Mapped[int] = mapped_column(default=0)


class Message(Base, kw_only=True):
    """What was said, by either side, for ever."""

    __tablename__ = "messages"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "external_id"),
        sa.Index(None, "id"),
        sa.Index(None, "user_id", "sent_at", "id"),
        sa.Index(None, "user_id", "conversation_id", "sent_at", "id"),
        sa.ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"]),
    )

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    topic: Mapped[str] = mapped_column(sa.String(64))
    conversation_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)
    answered_conversation_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)  # None: not answered yet
    direction: Mapped[str] = mapped_column(Word)
    text: Mapped[str]
    command_length: Mapped[int] = mapped_column(default=0)  # leading characters that are a command, not talk
    external_id: Mapped[str | None] = mapped_column(sa.String(256), default=None)
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime]
    late: Mapped[bool] = mapped_column(default=False)
    missed: Mapped[bool] = mapped_column(default=False, server_default=sa.false())  # said in a pause: no model knows it

    edited_at: Mapped[datetime | None] = mapped_column(default=None)  # since then it says this
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)  # since then it says nothing

    @property
    def is_revised(self) -> bool:
        """Whether it says something else than when it came."""
        return self.edited_at is not None or self.revoked_at is not None

    @property
    def is_command(self) -> bool:
        """Whether it began with a reset command."""
        return self.command_length > 0

    @property
    def said(self) -> str:
        """What belongs to the talk: the text without its command; empty for a command alone."""
        return self.text[self.command_length :]
