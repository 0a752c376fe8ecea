"""All tables on one page. Every key begins with the user, so that the tables can be distributed by user.

Three exceptions, each with its reason: an identity is keyed by its own value (it is what finds the user), remote ids
and garbage by OpenAI's id (its user may be erased before it is collected), and keys belong to no user.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
Id = sa.String(64)
Word = sa.String(32)  # a reason, a kind, a state: one of a few words


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An instant. Naive values are refused: SQLite would drop their offset, and nobody could tell later."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Return UTC, with its zone."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(sa.orm.MappedAsDataclass, DeclarativeBase, kw_only=True):
    """The metadata of every table."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, str: sa.Text, dict[str, Any]: sa.JSON}  # noqa: RUF012 - SQLAlchemy's own idiom


class User(Base, kw_only=True):
    """A person who writes; known by identities, never keyed by a phone number."""

    __tablename__ = "users"
    __table_args__ = (sa.Index("ix_users_last_seen_at_id", "last_seen_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    cohort: Mapped[str] = mapped_column(Word)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    conversation_count: Mapped[int] = mapped_column(default=0)
    message_count: Mapped[int] = mapped_column(default=0)  # of both sides, commands left out


class UserIdentity(Base, kw_only=True):
    """A phone number, BSUID or other name under which a gateway knows a user."""

    __tablename__ = "identities"
    __table_args__ = (sa.Index(None, "user_id"),)

    value: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(Word)
    created_at: Mapped[datetime]


class Profile(Base, kw_only=True):
    """Verified facts about a client; every field may be unknown."""

    __tablename__ = "profiles"

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    name: Mapped[str | None] = mapped_column(default=None)
    last_name: Mapped[str | None] = mapped_column(default=None)
    ragione_sociale: Mapped[str | None] = mapped_column(default=None)
    email: Mapped[str | None] = mapped_column(default=None)
    search_text: Mapped[str] = mapped_column(default="")  # names and company, folded: what `GET /users?q=` looks in
    updated_at: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def found_all_info(self) -> bool:
        """Whether nothing is missing any more."""
        return all((self.name, self.last_name, self.ragione_sociale, self.email))


class Conversation(Base, kw_only=True):
    """One conversation at OpenAI, that is one window; `id` is OpenAI's id."""

    __tablename__ = "conversations"
    __table_args__ = (
        sa.Index(
            "uq_conversations_active",
            "user_id",
            "topic",
            unique=True,
            sqlite_where=sa.text("is_active = 1"),
            postgresql_where=sa.text("is_active"),
        ),
        sa.Index(None, "id"),
        sa.Index(None, "last_message_at", "id"),
        sa.Index(None, "user_id", "last_message_at", "id"),
        sa.Index(None, "user_id", "topic", "created_at", "number"),
        sa.Index(
            "ix_conversations_sweep_at",
            "sweep_at",
            sqlite_where=sa.text("sweep_at IS NOT NULL"),
            postgresql_where=sa.text("sweep_at IS NOT NULL"),
        ),
        sa.ForeignKeyConstraint(["user_id", "parent_conversation_id"], ["conversations.user_id", "conversations.id"]),
    )

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    number: Mapped[int]  # the user's first is 1: the order of opening, when two were opened in one second
    topic: Mapped[str] = mapped_column(sa.String(64))
    template: Mapped[str | None] = mapped_column(sa.String(64), default=None)
    cohort: Mapped[str] = mapped_column(Word)
    identity: Mapped[str] = mapped_column(sa.String(128))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]  # event time of the message that opened it
    last_message_at: Mapped[datetime]
    last_inbound_at: Mapped[datetime]  # what the window is judged on
    inbound_received_at: Mapped[datetime]  # wall clock of that message: the sweep waits for both
    closed_at: Mapped[datetime | None] = mapped_column(default=None)  # wall clock
    created_reason: Mapped[str] = mapped_column(Word)
    closed_reason: Mapped[str | None] = mapped_column(Word, default=None)
    parent_conversation_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)
    timeout_seconds: Mapped[float]
    message_count: Mapped[int] = mapped_column(default=0)
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
    __table_args__ = (sa.Index(None, "id"), sa.Index(None, "user_id", "created_at", "id"))

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


class Message(Base, kw_only=True):
    """What was said, by either side, for ever."""

    __tablename__ = "messages"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "external_id"),
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
    usage: Mapped[dict[str, Any] | None] = mapped_column(default=None)  # as a gateway reported it

    @property
    def is_command(self) -> bool:
        """Whether it began with a reset command."""
        return self.command_length > 0

    @property
    def said(self) -> str:
        """What belongs to the talk: the text without its command; empty for a command alone."""
        return self.text[self.command_length :]


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
    opened_at: Mapped[datetime]  # event time
    forget: Mapped[bool] = mapped_column(default=False)
    seed_message: Mapped[bool] = mapped_column(default=False)


class RemoteId(Base, kw_only=True):
    """An id that OpenAI gave as new; the key sees to it that it is taken once, by one user."""

    __tablename__ = "remote_ids"

    remote_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)


class RemoteGarbage(Base, kw_only=True):
    """A conversation at OpenAI that no row of ours uses: to be emptied and deleted there."""

    __tablename__ = "remote_garbage"

    remote_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    why: Mapped[str] = mapped_column(Word)
    not_before: Mapped[float] = mapped_column(sa.Double)
    tries: Mapped[int] = mapped_column(default=0)


class ApiKey(Base, kw_only=True):
    """A key of a gateway, a dashboard or an operator; only its HMAC is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(128))
    scope: Mapped[str] = mapped_column(Word)
    prefix: Mapped[str] = mapped_column(sa.String(16), unique=True)
    digest: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


class InstallationSecret(Base, kw_only=True):
    """A secret that all replicas share and nobody set: the pepper, on PostgreSQL."""

    __tablename__ = "installation_secrets"

    name: Mapped[str] = mapped_column(Word, primary_key=True)
    value: Mapped[str]
