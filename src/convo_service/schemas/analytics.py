"""What is counted, on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from convo_service.schemas.base import AnyId, Instant, Request, Response


class SavingsQuery(Request):
    """Which part of the ledger; the times are exclusive."""

    after: Instant | None = None
    before: Instant | None = None
    template: AnyId | None = None
    period: Literal["day", "month"] = "month"


class Estimate(Response):
    """A figure, and the range in which it lies with 95 % probability; null when there are too few users to say."""

    value: float
    low: float | None
    high: float | None


class Comparison(Response):
    """Per reply: users with windows, users without, and how far the first lie below (0.3 is 30 % less)."""

    window: Estimate | None
    holdout: Estimate | None
    saving: Estimate | None


class AgainstHoldout(Response):
    """Users with windows against those outside the rollout, per reply."""

    input_tokens: Comparison
    cached_input_tokens: Comparison
    cost_usd: Comparison
    latency_ms: Comparison
    first_token_ms: Comparison


class TokensUsed(Response):
    """What replies and summaries used."""

    replies: int
    uncounted: int = Field(description="Replies of which OpenAI did not say what they used")
    unpriced: int = Field(description="Replies of a model without a known price: their tokens are counted, no money")
    input_tokens: int
    cached_input_tokens: int
    cached_share: float | None
    output_tokens: int
    cost_usd: float
    summaries: int
    summary_input_tokens: int
    summary_output_tokens: int
    summary_cost_usd: float
    unanswered: int = Field(description="Calls that the model gave no reply to")
    unanswered_cost_usd: float


class AgainstBaseline(Response):
    """The same replies in one endless conversation per user, estimated; savings are shares (0.3 is 30 % less)."""

    input_tokens: int
    baseline_input_tokens: int
    baseline_cached_tokens: int
    saving: float | None
    saving_with_summaries: float | None
    cost_usd: float
    baseline_cost_usd: float
    baseline_uncached_cost_usd: float
    cost_saving: float | None
    cost_saving_with_summaries: float | None


class SavingsGroup(Response):
    """One part of the users with windows."""

    name: str
    used: TokensUsed
    against_baseline: AgainstBaseline


class CohortUsed(Response):
    """One group of users."""

    users: int
    used: TokensUsed


class Savings(Response):
    """What windows saved in a period."""

    object: Literal["savings"] = "savings"
    after: datetime | None
    before: datetime | None
    window: CohortUsed
    holdout: CohortUsed
    against_holdout: AgainstHoldout
    against_baseline: AgainstBaseline
    by_history: list[SavingsGroup] = Field(description="By the number of messages that the user had so far")
    by_period: list[SavingsGroup]
    by_template: list[SavingsGroup]
    by_timeout: list[SavingsGroup] = Field(description="By the hours of the window that the conversation has")
