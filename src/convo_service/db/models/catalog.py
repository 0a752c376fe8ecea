"""Templates and topics of conversations: what operators write down once for all users."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Word

Name = sa.String(64)


class Template(Base, kw_only=True):
    """A template that can be chosen, and the version that new conversations get."""

    __tablename__ = "templates"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    version: Mapped[int]


class TemplateVersion(Base, kw_only=True):
    """What a template said at a time; never changed and never deleted, because conversations go on with theirs.

    What is None is the installation's.
    """

    __tablename__ = "template_versions"
    __table_args__ = (sa.Index(None, "created_at", "name"),)

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    instructions: Mapped[str | None] = mapped_column(default=None)
    model: Mapped[str | None] = mapped_column(sa.String(128), default=None)
    timeout_hours: Mapped[float | None] = mapped_column(sa.Double, default=None)
    max_messages: Mapped[int | None] = mapped_column(default=None)
    seed_sections: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True), default=None)
    language: Mapped[str | None] = mapped_column(Word, default=None)
    command_reply: Mapped[str | None] = mapped_column(default=None)
    created_at: Mapped[datetime]


class Topic(Base, kw_only=True):
    """A topic that operators have described; callers may use others, too."""

    __tablename__ = "topics"
    __table_args__ = (sa.Index(None, "updated_at", "name"),)

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    description: Mapped[str | None] = mapped_column(default=None)  # the words that its messages have
    template: Mapped[str | None] = mapped_column(Name, default=None)  # of its conversations, while there is one
    updated_at: Mapped[datetime]
