"""Turns, and the ledger of the calls of models."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from convo_service.db.models.base import Base, Id, Word


class Turn(Base, kw_only=True):
    """A message and the one reply that it gets; those of a user are taken one at a time, by number."""

    __tablename__ = "turns"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "message_id"),
        sa.Index(None, "id"),
        sa.Index(None, "user_id", "reply_message_id"),
        sa.Index(
            "ix_turns_open",
            "user_id",
            "number",
            sqlite_where=sa.text("status IN ('waiting', 'in_progress')"),
            postgresql_where=sa.text("status IN ('waiting', 'in_progress')"),
        ),
        sa.Index(
            "ix_turns_failed",
            "created_at",
            sqlite_where=sa.text("status = 'failed'"),
            postgresql_where=sa.text("status = 'failed'"),
        ),
        sa.ForeignKeyConstraint(["user_id", "message_id"], ["messages.user_id", "messages.id"]),
    )

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    number: Mapped[int]  # the place in the user's line of open turns; whoever tries again goes to its end
    message_id: Mapped[str] = mapped_column(Id)
    status: Mapped[str] = mapped_column(Word)  # waiting | in_progress | completed | failed
    attempt_id: Mapped[str] = mapped_column(Id)  # the fence: every write names it
    lease_until: Mapped[float] = mapped_column(sa.Double)  # the database's clock, in seconds since 1970
    uncertain: Mapped[bool] = mapped_column(default=False)  # OpenAI may have answered without our hearing of it
    created: Mapped[bool] = mapped_column(default=False)  # it opened its conversation
    paused: Mapped[bool] = mapped_column(default=False, server_default=sa.false())  # a person answers in its place
    conversation_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)
    reply_message_id: Mapped[str | None] = mapped_column(Id, default=None)
    reply_item_id: Mapped[str | None] = mapped_column(sa.String(128), default=None)  # the reply's last item, at OpenAI
    error_code: Mapped[str | None] = mapped_column(Word, default=None)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    latency_ms: Mapped[int | None] = mapped_column(default=None)


class ModelCall(Base, kw_only=True):
    """The ledger: one call of a model, what it used, and what one endless conversation would have used for it."""

    __tablename__ = "model_calls"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "kind", "subject_id"),
        sa.Index(None, "called_at"),
        sa.Index("ix_model_calls_conversation", "user_id", "conversation_id", "called_at"),  # what a window has used
        sa.Index(None, "id"),
    )

    user_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    # reply | reported: a reply that a gateway asked for itself | unanswered: paid for, and no reply | summary
    kind: Mapped[str] = mapped_column(Word)
    subject_id: Mapped[str] = mapped_column(Id)  # the turn, the message, the attempt at a turn, the summary
    conversation_id: Mapped[str | None] = mapped_column(sa.String(128))
    cohort: Mapped[str] = mapped_column(Word)
    template: Mapped[str | None] = mapped_column(sa.String(64))
    timeout_seconds: Mapped[float]  # the window that it was judged under
    history_messages: Mapped[int]  # of the user, when it was made
    called_at: Mapped[datetime]
    model: Mapped[str] = mapped_column(sa.String(128))
    input_tokens: Mapped[int | None] = mapped_column(default=None)  # None: nobody said
    cached_input_tokens: Mapped[int | None] = mapped_column(default=None)
    cache_write_tokens: Mapped[int | None] = mapped_column(default=None)
    output_tokens: Mapped[int | None] = mapped_column(default=None)
    cost_usd: Mapped[float | None] = mapped_column(sa.Double, default=None)  # at the prices of that day; None: unknown
    baseline_input_tokens: Mapped[int | None] = mapped_column(default=None)
    baseline_cached_tokens: Mapped[int | None] = mapped_column(default=None)
    baseline_cost_usd: Mapped[float | None] = mapped_column(sa.Double, default=None)
    baseline_uncached_cost_usd: Mapped[float | None] = mapped_column(sa.Double, default=None)
    latency_ms: Mapped[int | None] = mapped_column(default=None)
    first_token_ms: Mapped[int | None] = mapped_column(default=None)
    response_id: Mapped[str | None] = mapped_column(
        sa.String(128), default=None
    )  # what OpenAI stores of it for 30 days
