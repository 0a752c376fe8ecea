"""What `simulate` prints: a row for each combination, one for the endless conversation, and what they mean."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from convo_service.domain.simulation import Rules, Tally
from convo_service.domain.usage import Prices
from convo_service.services.simulation import Played, Wanted

ENDLESS = "one endless conversation"
P95 = 0.95

HEAD = (
    "window, cap, seed",
    "replies",
    "conv.",
    "input tokens",
    "saving",
    "cut off",
    "p95 prompt",
    "uncached",
    "cached",
)
MONEY = 2  # the last columns


@dataclass(frozen=True, slots=True)
class Row:
    """One combination, or the endless conversation, which has no window, cap or seed; money None: not known."""

    timeout_hours: float | None
    cap: int | None
    seed_tokens: int | None
    replies: int
    conversations: int
    input_tokens: int
    cached_input_tokens: int
    saving_percent: float | None
    cuts_within_a_day: int
    p95_prompt_tokens: int
    cost_usd_without_caching: float | None
    cost_usd: float | None


def rows(played: Played, prices: Prices | None) -> list[Row]:
    """The combinations in their order, the endless conversation last."""
    tallies = played.comparison.tallies
    *_, endless = tallies.values()
    return [_row(rules, tally, endless, prices) for rules, tally in tallies.items()]


def document(played: Played, found: Sequence[Row], wanted: Wanted, model: str | None) -> dict[str, Any]:
    """Everything as one JSON document."""
    return {
        "users": played.users,
        "messages": played.messages,
        "first_at": _moment(played.first_at),
        "last_at": _moment(played.last_at),
        "instructions_tokens": wanted.instructions,
        "model": model,
        "seeds_made": {"users": played.exact_users, "messages": played.exact_messages},
        "combinations": [asdict(row) for row in found[:-1]],
        "endless": asdict(found[-1]),
    }


def report(played: Played, found: Sequence[Row], wanted: Wanted, model: str | None) -> Iterator[str]:
    """The table and what it means, or a sentence when there is nothing to replay."""
    if not played.messages:
        asked = wanted.since or wanted.until
        yield f"No message {'was said in that time' if asked else 'is stored'}: there is nothing to replay."
        return
    yield from table(found)
    yield ""
    yield from _explanation(played, found, wanted, model)


def table(found: Sequence[Row]) -> list[str]:
    """The rows under their heads, in aligned columns; money only where it is known."""
    columns = len(HEAD) if found[-1].cost_usd is not None else len(HEAD) - MONEY
    cells = [line[:columns] for line in (HEAD, *map(_cells, found))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_aligned(line, widths) for line in cells]
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _row(rules: Rules, tally: Tally, endless: Tally, prices: Prices | None) -> Row:
    saving = tally.saving(endless)
    fresh, from_cache = (prices.input, prices.cached_input) if prices else (0.0, 0.0)
    cheaper = tally.cached_tokens * (fresh - from_cache)
    return Row(
        timeout_hours=None if rules.endless else rules.timeout.total_seconds() / 3600,
        cap=None if rules.endless else rules.cap,
        seed_tokens=None if rules.endless else rules.seed_tokens,
        replies=tally.replies,
        conversations=tally.conversations,
        input_tokens=tally.input_tokens,
        cached_input_tokens=tally.cached_tokens,
        saving_percent=None if saving is None else round(100 * saving, 2),
        cuts_within_a_day=tally.cuts,
        p95_prompt_tokens=tally.percentile(P95),
        cost_usd_without_caching=tally.input_tokens * fresh if prices else None,
        cost_usd=tally.input_tokens * fresh - cheaper if prices else None,
    )


def _cells(row: Row) -> tuple[str, ...]:
    label = ENDLESS
    if row.timeout_hours is not None:
        label = f"{row.timeout_hours:g} h, {row.cap:,}, {row.seed_tokens:,}"
    return (
        label,
        f"{row.replies:,}",
        f"{row.conversations:,}",
        f"{row.input_tokens:,}",
        "-" if row.saving_percent is None or row.timeout_hours is None else f"{row.saving_percent:.1f}%",
        f"{row.cuts_within_a_day:,}",
        f"{row.p95_prompt_tokens:,}",
        _dollars(row.cost_usd_without_caching),
        _dollars(row.cost_usd),
    )


def _dollars(amount: float | None) -> str:
    """Two digits behind the point, and more when the whole is less than a dollar."""
    if amount is None:
        return "-"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def _explanation(played: Played, found: Sequence[Row], wanted: Wanted, model: str | None) -> Iterator[str]:
    time = f"{_moment(played.first_at)} to {_moment(played.last_at)}"
    yield f"{played.users:,} users, {played.messages:,} messages, {time}."
    yield "'cut off': a conversation ended less than 24 hours after the user's last message, and not by the user."
    yield _money(found, model)
    yield _instructions(wanted)
    if any(row.seed_tokens for row in found):
        yield _seeds(played)


def _money(found: Sequence[Row], model: str | None) -> str:
    if found[-1].cost_usd is not None:
        return f"Money is for prompts of {model}, without and with prompt caching; answers cost the same everywhere."
    if model is None:
        return "Give --model or set OPENAI_MODEL for money."
    return f"No price is known for {model}: tokens only."


def _instructions(wanted: Wanted) -> str:
    if wanted.instructions:
        return f"{wanted.instructions:,} tokens of each prompt are instructions."
    return "Your bot's instructions are in no prompt here: set INSTRUCTIONS, or give --instructions-tokens."


def _seeds(played: Played) -> str:
    if played.exact_users == played.users:
        return "All seeds were really made, without a model."
    return (
        f"Seeds were really made for {played.exact_users:,} of the users ({played.exact_messages:,} messages); "
        "the others' sizes are estimated by them."
    )


def _moment(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    label, *numbers = cells
    return "  ".join([label.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])])
