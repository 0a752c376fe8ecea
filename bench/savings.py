"""What windows save against one endless conversation, by length of history, and whether the ledger tells the truth."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import both_ways, processes, reading
from bench.both_ways import Played
from bench.exchanges import chained, exchanges
from bench.tapping import Count, exact

from convo_service.db import migrations
from convo_service.db.models import ModelCall
from convo_service.domain.text import tokens
from convo_service.domain.usage import Prices, Usage
from convo_service.llm.prices import prices_of
from convo_service.settings import Settings
from convo_service.telemetry import configure_logging

LENGTHS = ((1, 50), (51, 100), (101, 150), (151, 300), (301, None))
MOST_OFF, MONEY_BELOW = 0.03, 0.1
PHRASE = (
    "Sei l'assistente di un grossista italiano. Rispondi con cortesia, in breve, e solo su ordini, prezzi, consegne e "
    "fatture. Non inventare mai un prezzo o una data; se manca un dato, chiedilo. "
)


@dataclass(slots=True)
class Row:
    """The sums over all replies of a range of history, the calls for summaries apart; money in US dollars."""

    history: str
    replies: int = 0
    window_tokens: int = 0
    endless_tokens: int = 0
    baseline_tokens: int = 0
    summaries: int = 0
    summary_tokens: int = 0
    summary_output: int = 0
    window_uncached: float = 0.0
    window_cached: float = 0.0
    endless_uncached: float = 0.0
    endless_cached: float = 0.0
    baseline_cached: float = 0.0
    summary_cost: float = 0.0

    def add_reply(self, call: ModelCall, endless: Usage, prices: Prices) -> None:
        """A reply, as the service's ledger has it, and the same in one endless conversation."""
        used = _usage(call)
        self.replies += 1
        self.window_tokens += used.input_tokens
        self.endless_tokens += endless.input_tokens
        self.baseline_tokens += call.baseline_input_tokens or 0
        self.window_uncached += prices.cost(_uncached(used))
        self.window_cached += call.cost_usd or 0.0
        self.endless_uncached += prices.cost(_uncached(endless))
        self.endless_cached += prices.cost(endless)
        self.baseline_cached += call.baseline_cost_usd or 0.0

    def add_summary(self, call: ModelCall) -> None:
        """A call that no reply needed."""
        self.summaries += 1
        self.summary_tokens += call.input_tokens or 0
        self.summary_output += call.output_tokens or 0
        self.summary_cost += call.cost_usd or 0.0

    @property
    def savings(self) -> dict[str, float | None]:
        """Shares of what the endless conversation uses; `all`: summaries count against us."""
        return {
            "tokens": _saved(self.window_tokens, self.endless_tokens),
            "tokens_all": _saved(self.window_tokens + self.summary_tokens, self.endless_tokens),
            "uncached": _saved(self.window_uncached, self.endless_uncached),
            "uncached_all": _saved(self.window_uncached + self.summary_cost, self.endless_uncached),
            "cached": _saved(self.window_cached, self.endless_cached),
            "cached_all": _saved(self.window_cached + self.summary_cost, self.endless_cached),
        }

    @property
    def baseline_error(self) -> float | None:
        """How far the ledger's own baseline is from the real endless conversation."""
        return _off(self.baseline_tokens, self.endless_tokens)


@dataclass(frozen=True, slots=True)
class Check:
    """Two counts of the same thing, which may differ by so much."""

    name: str
    found: float
    expected: float
    below: float = MOST_OFF

    @property
    def error(self) -> float:
        """The relative difference."""
        return _off(self.found, self.expected) or 0.0

    @property
    def holds(self) -> bool:
        """Whether it is within the limit; nothing at all is no agreement."""
        return self.expected > 0 and -self.below <= self.error <= MOST_OFF


def _usage(call: ModelCall) -> Usage:
    return Usage(
        call.input_tokens or 0, call.cached_input_tokens or 0, call.cache_write_tokens or 0, call.output_tokens or 0
    )


def _uncached(used: Usage) -> Usage:
    return Usage(used.input_tokens, 0, 0, used.output_tokens)


def _saved(windows: float, endless: float) -> float | None:
    return 1 - windows / endless if endless else None


def _off(found: float, expected: float) -> float | None:
    return found / expected - 1 if expected else None


def rows(played: Played, prices: Prices) -> list[Row]:
    """A row for each range of history that has replies, and one for all."""
    found = [Row(f"{low}-{high}" if high else f"{low}+") for low, high in LENGTHS]
    whole = Row("all")
    for call in played.ledger:
        place = next(i for i, (_, high) in enumerate(LENGTHS) if high is None or call.history_messages <= high)
        for row in (found[place], whole):
            if call.kind == "summary":
                row.add_summary(call)
            else:
                row.add_reply(call, played.endless[call.subject_id], prices)
    return [*(row for row in found if row.replies), whole]


def checks(played: Played, found: Sequence[Row]) -> list[Check]:
    """The ledger against the endless replay, by length, and against what the wire saw."""
    whole = found[-1]
    baseline = [Check(f"baseline, {row.history}", row.baseline_tokens, row.endless_tokens) for row in found]
    return [
        *baseline,
        # The ledger decides what it cannot know of the cache in favour of the endless conversation.
        Check("baseline, money with cache", whole.baseline_cached, whole.endless_cached, below=MONEY_BELOW),
        Check("ledger and wire", whole.window_tokens + whole.summary_tokens, played.window_prompts),
        Check("baseline and wire", whole.baseline_tokens, played.endless_prompts),
    ]


def instructions(size: int, count: Count) -> str | None:
    """A text of so many tokens."""
    text = ""
    for word in (PHRASE * (size // 10 + 1)).split(" "):
        if count(f"{text} {word}") > size:
            break
        text = f"{text} {word}".lstrip()
    return text or None


def table(found: Sequence[Row], compared: Sequence[Check], heading: str) -> str:
    """Tokens, money and checks."""
    lines = [heading, "", *_tokens(found), "", *_money(found), ""]
    lines += [f"{'ok ' if one.holds else 'NO '} {one.error:+7.2%}  {one.name}" for one in compared]
    return "\n".join(lines)


def _tokens(found: Sequence[Row]) -> Iterable[str]:
    head = ["history", "replies", "windows", "endless", "saving", "summaries", "input", "output", "saving with them"]
    return _aligned([head, *map(_token_cells, found)])


def _token_cells(row: Row) -> list[str]:
    counts = (row.replies, row.window_tokens, row.endless_tokens)
    cells = [row.history, *(f"{count:,}" for count in counts), _percent(row.savings["tokens"])]
    cells += [f"{count:,}" for count in (row.summaries, row.summary_tokens, row.summary_output)]
    return [*cells, _percent(row.savings["tokens_all"])]


def _money(found: Sequence[Row]) -> Iterable[str]:
    head = ["history", "windows $", "summaries $", "endless $", "saving", "with summaries"]
    head += ["cached: windows $", "endless $", "saving", "with summaries"]
    return _aligned([head, *map(_money_cells, found)])


def _money_cells(row: Row) -> list[str]:
    uncached = (row.window_uncached, row.summary_cost, row.endless_uncached)
    cells = [row.history, *(f"{dollars:.4f}" for dollars in uncached)]
    cells += [_percent(row.savings["uncached"]), _percent(row.savings["uncached_all"])]
    cells += [f"{row.window_cached:.4f}", f"{row.endless_cached:.4f}"]
    return [*cells, _percent(row.savings["cached"]), _percent(row.savings["cached_all"])]


def _aligned(cells: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="one message a line as JSON, in time order")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    parser.add_argument("--users", type=int, help="only the first so many users")
    parser.add_argument("--chain", type=int, default=1, metavar="N", help="take N users at a time for one (1)")
    parser.add_argument("--instructions-tokens", type=int, default=800, help="sent with each reply (800)")
    parser.add_argument("--timeout-hours", type=float, default=48.0, help="the window (48)")
    parser.add_argument("--cap", type=int, default=50, help="MAX_CONVERSATION_MESSAGES (50)")
    parser.add_argument("--min-tokens", type=int, default=2000, help="SUMMARY_MIN_TOKENS (2000)")
    parser.add_argument("--language", choices=("it", "en"), default="en", help="SUMMARY_LANGUAGE (en, as the file is)")
    parser.add_argument("--model", default="gpt-5-mini", help="whose prices count (gpt-5-mini)")
    parser.add_argument("--summary-model", help="whose prices count for summaries (the same)")
    parser.add_argument("--quarter", action="store_true", help="count a quarter of the characters, tokenizer or not")
    return parser.parse_args()


async def _play(given: argparse.Namespace, url: str, count: Count) -> Played:
    settings = Settings(
        _env_file=None,
        database_url=url,
        key_pepper="pepper",
        openai_model=given.model,
        summary_model=given.summary_model,
        instructions=instructions(given.instructions_tokens, count),
        conversation_timeout_hours=given.timeout_hours,
        max_conversation_messages=given.cap,
        summary_min_tokens=given.min_tokens,
        summary_language=given.language,
    )
    with given.file.open(encoding="utf-8") as file:
        lines = reading.parse(file, given.users)
    return await both_ways.play(settings, exchanges(chained(lines, given.chain)), count)


def _printed(found: Sequence[Row], compared: Sequence[Check], heading: str, *, as_json: bool) -> str:
    if not as_json:
        return table(found, compared, heading)
    whole: dict[str, Any] = {
        "heading": heading,
        "rows": [{name: getattr(row, name) for name in Row.__slots__} | row.savings for row in found],
        "checks": [{"name": one.name, "error": one.error, "holds": one.holds} for one in compared],
    }
    return json.dumps(whole, indent=2)


def main() -> int:
    """Play, print, and return 0 only when the ledger tells the truth."""
    given = _arguments()
    configure_logging(level="error")
    prices = prices_of(given.model, None)
    exactly = None if given.quarter else exact()
    if prices is None:
        print(f"{given.model} has no known price", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite+aiosqlite:///{folder}/convo.db"
            command.upgrade(migrations.config(url), "head")
            played = asyncio.run(_play(given, url, exactly or tokens))
    except (processes.Broken, reading.Unreadable, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    found = rows(played, prices)
    compared = checks(played, found)
    counted = "counted by o200k" if exactly else "counted as a quarter of the characters (no tokenizer)"
    heading = f"{given.instructions_tokens} tokens of instructions, {given.timeout_hours:g} h, chain {given.chain}, "
    heading += f"{given.model}, summaries by {given.summary_model or given.model}, {counted}"
    print(_printed(found, compared, heading, as_json=given.json))
    return 0 if all(one.holds for one in compared) else 1


if __name__ == "__main__":
    sys.exit(main())
