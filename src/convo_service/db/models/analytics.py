"""What is counted ahead, so that analytics cost the same however much there is; counts name nobody.

A row is an hour or a day (UTC) of one figure for one topic, template and cohort. Days of activity are kept for each
user, because only who was there before can be told from who is new; they are exported, erased and merged with her.
"""

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Id, Word


class AnalyticsCount(Base, kw_only=True):
    """So many of something in an hour, and the same in a day."""

    __tablename__ = "analytics_counts"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy's own idiom

    metric: Mapped[str] = mapped_column(Word, primary_key=True)
    span: Mapped[str] = mapped_column(Word, primary_key=True)  # hour | day
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    template: Mapped[str] = mapped_column(sa.String(64), primary_key=True)  # empty: none
    cohort: Mapped[str] = mapped_column(Word, primary_key=True)
    name: Mapped[str] = mapped_column(Word, primary_key=True)  # of the figure: a direction, a reason, a bucket
    week_hour: Mapped[int] = mapped_column(sa.SmallInteger)  # since Monday 00:00 UTC: what weeks are added up by
    total: Mapped[int] = mapped_column(sa.BigInteger)


class AnalyticsPeople(Base, kw_only=True):
    """How many users were there on a day, and before that on another: who is counted once in any period."""

    __tablename__ = "analytics_people"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy's own idiom

    day: Mapped[date] = mapped_column(primary_key=True)
    previous: Mapped[date] = mapped_column(primary_key=True)  # domain.people.NEVER: the first day of a user
    cohort: Mapped[str] = mapped_column(Word, primary_key=True)
    users: Mapped[int]


class AnalyticsCursor(Base, kw_only=True):
    """How far the counting is: whoever counts locks it, so that everything is counted once."""

    __tablename__ = "analytics_cursors"

    name: Mapped[str] = mapped_column(Word, primary_key=True)
    position: Mapped[str] = mapped_column(sa.String(128), default="")  # the last id that was counted


class ActiveDay(Base, kw_only=True):
    """A day on which a user wrote, and the one before it, as both were counted."""

    __tablename__ = "active_days"

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    previous: Mapped[date]
    cohort: Mapped[str] = mapped_column(Word)
