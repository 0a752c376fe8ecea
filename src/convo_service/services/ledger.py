"""The ledger: a row for each call of a model, with what one endless conversation would have used in its place."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from convo_service.db.models import Conversation, ModelCall, User
from convo_service.domain.baseline import Held, Sizes, cached
from convo_service.domain.ids import new_id
from convo_service.domain.rollout import Cohort
from convo_service.domain.usage import Prices, Usage
from convo_service.llm import prices
from convo_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a call; `usage` None: nobody said, `cost_usd` None: it is worked out, if there are prices."""

    kind: Literal["reply", "reported", "unanswered", "summary"]
    subject_id: str
    model: str
    usage: Usage | None
    called_at: datetime
    prices: Prices | None
    cost_usd: float | None = None
    latency_ms: int | None = None
    first_token_ms: int | None = None
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """What a gateway says that a reply used for which it asked itself."""

    model: str
    usage: Usage
    cost_usd: float | None = None
    baseline_input_tokens: int | None = None


async def look_up_prices(model: str, settings: Settings) -> Prices | None:
    """The prices of a model today."""
    return await prices.look_up(model, settings.openai_base_url)


def entry(user: User, conversation: Conversation, call: Call) -> ModelCall:
    """The row of one call of a user who is locked."""
    used = call.usage
    row = ModelCall(
        user_id=user.id,
        id=new_id("call"),
        kind=call.kind,
        subject_id=call.subject_id,
        conversation_id=conversation.id,
        cohort=conversation.cohort,
        template=conversation.template,
        timeout_seconds=conversation.timeout_seconds,
        history_messages=user.message_count,
        called_at=call.called_at,
        model=call.model,
        cost_usd=_cost(call),
        latency_ms=call.latency_ms,
        first_token_ms=call.first_token_ms,
        response_id=call.response_id,
    )
    if used is not None:
        row.input_tokens, row.cached_input_tokens = used.input_tokens, used.cached_input_tokens
        row.cache_write_tokens, row.output_tokens = used.cache_write_tokens, used.output_tokens
    return row


def compare(
    user: User,
    conversation: Conversation,
    row: ModelCall,
    call: Call,
    *,
    said: int,
    instructions: int | None,
    told: int | None = None,
) -> None:
    """Put beside a reply what one endless conversation would have used; what either holds then is kept.

    To be called before the reply counts as talk. `said`: its tokens; `instructions`: theirs, as estimated, None when
    they are somebody else's; `told`: the input tokens of the endless conversation, by somebody who knows.
    """
    used = call.usage
    if used is None:
        return
    sizes = Sizes(instructions, conversation.start_tokens, conversation.talk_tokens, user.talk_tokens)
    held = Held(None if user.last_reply_at is None else user.endless_tokens, conversation.held_tokens)
    prompt = held.prompt(sizes, used.input_tokens) if told is None else told
    prefix = sizes.told + user.endless_tokens
    endless = _in_an_endless_one(user, conversation, used, call.called_at, prompt, prefix)
    row.baseline_input_tokens, row.baseline_cached_tokens = endless.input_tokens, endless.cached_input_tokens
    if call.prices is not None:
        row.baseline_cost_usd = call.prices.cost(endless)
        row.baseline_uncached_cost_usd = call.prices.cost(Usage(endless.input_tokens, 0, 0, endless.output_tokens))
    more = said - sizes.told
    user.endless_tokens = endless.input_tokens + more
    conversation.held_tokens = used.input_tokens + more
    user.last_reply_at = call.called_at


def _in_an_endless_one(
    user: User, conversation: Conversation, used: Usage, at: datetime, prompt: int, prefix: int
) -> Usage:
    """The same call without windows: every doubt about the cache is decided in favour of the endless conversation."""
    if conversation.cohort == Cohort.HOLDOUT:
        return used
    since = None if user.last_reply_at is None else (at - user.last_reply_at).total_seconds()
    hit = min(max(cached(prefix, since), used.cached_input_tokens), prompt)
    return Usage(
        input_tokens=prompt,
        cached_input_tokens=hit,
        cache_write_tokens=prompt - hit if used.cache_write_tokens else 0,
        output_tokens=used.output_tokens,
    )


def _cost(call: Call) -> float | None:
    if call.cost_usd is not None or call.usage is None or call.prices is None:
        return call.cost_usd
    return call.prices.cost(call.usage)
