"""What the demo prints: a line for each user, a total, and what it means."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

HEAD = ("user", "conv.", "created by", "messages", "seed", "input", "endless", "saving")
LEFT = (0, 2)  # words stand left, numbers right
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Row:
    """One user: why each conversation was created, in order, and what was measured, in tokens."""

    user: str
    reasons: tuple[str, ...]
    messages: int
    seed_tokens: int | None  # of the newest conversation; None when it has no seed
    input_tokens: int
    endless_tokens: int


def table(rows: Sequence[Row]) -> list[str]:
    """The rows under their heads, with a total, in aligned columns."""
    cells = [HEAD, *map(_cells, rows), _total(rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_aligned(line, widths) for line in cells]
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def explanation(database_url: str) -> Iterator[str]:
    """What the table means, where the database is, and how to look at it."""
    shown = sa.make_url(database_url).render_as_string(hide_password=True)
    yield "'input' is what the model read in windows, 'endless' what it read when the same talk went through one"
    yield "conversation per user that never ends; both were measured at the emulator, whose count of tokens is not"
    yield "OpenAI's bill. 'seed' is the record that the newest conversation started with: users who write little can"
    yield "pay more for it than their windows save (a minus)."
    yield f"The history is in {shown}. To serve it:"
    yield f"  DATABASE_URL={shlex.quote(shown)} convo-service serve --emulator"


def _cells(row: Row) -> tuple[str, ...]:
    seed = "-" if row.seed_tokens is None else str(row.seed_tokens)
    return (row.user, str(len(row.reasons)), counted(row.reasons), str(row.messages), seed, *_measured([row]))


def counted(reasons: Iterable[str]) -> str:
    """Each reason once, in the order in which they first came, with how often it came."""
    found = Counter(reasons)
    return " ".join(reason if times == 1 else f"{reason}{TIMES}{times}" for reason, times in found.items())


def _total(rows: Sequence[Row]) -> tuple[str, ...]:
    conversations = sum(len(row.reasons) for row in rows)
    return ("total", str(conversations), "", str(sum(row.messages for row in rows)), "", *_measured(rows))


def _measured(rows: Sequence[Row]) -> tuple[str, str, str]:
    used, endless = sum(row.input_tokens for row in rows), sum(row.endless_tokens for row in rows)
    saving = f"{round(100 * (1 - used / endless))}%" if endless else "-"
    return f"{used:,}", f"{endless:,}", saving


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if place in LEFT else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()
