"""People, the names they are known by, and what is verified about them."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Id, Word


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
    talk_tokens: Mapped[int] = mapped_column(default=0, server_default="0")  # all that was said, as it is estimated
    endless_tokens: Mapped[int] = mapped_column(default=0, server_default="0")  # an endless one's, less instructions
    last_reply_at: Mapped[datetime | None] = mapped_column(default=None)
    version: Mapped[int] = mapped_column(default=0, server_default="0")  # moved by whoever locks the user
    rollout: Mapped[str] = mapped_column(Word, default="", server_default="")  # the mark of the one that judged her
    erasure_id: Mapped[str | None] = mapped_column(Id, default=None)  # she is being erased: for everybody she is gone
    # Somebody of this identity was erased, or a message was revoked before it came: until then messages may come that
    # are not to be stored (services.tombstones).
    repeats_until: Mapped[datetime | None] = mapped_column(default=None)
    # A person answers her, and the bot does not, until then; a time that is over: the model was not told yet what was
    # said meanwhile (services.pauses).
    paused_until: Mapped[datetime | None] = mapped_column(default=None)


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
