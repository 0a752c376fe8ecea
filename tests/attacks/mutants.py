"""Mistakes in what stands between an attacker and OpenAI: `python -m tests.attacks.mutants` has each be caught."""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutating import Change, judged, mutate

RECORD = "src/convo_service/domain/record.py"
SUMMARY = "src/convo_service/domain/summary.py"
SUMMARIES = "src/convo_service/services/summaries.py"
TEXT = "src/convo_service/domain/text.py"
IMPORT = "from convo_service.domain.summary import Checked, "
QUOTED = "json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)"
ITEMS = 'item("developer", PREAMBLE), item("user", text)'
DROPPED = """\
        except Unreadable:
            return None
"""
RAW = """\
        except Unreadable:
            whole = Statement(reply.text, tuple(asked.numbers.message_ids))
            return Checked(Draft((), (), (), (whole,), ()), Counter())
"""
GUARDED = "    return fault(text, [cut(evidence.texts[one], MAX_SHOWN_CHARS) for one in message_ids], evidence.names)"
_FOUND = re.compile(r"violations: (\d+)")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake that somebody could make, and the way on which it shows."""

    name: str
    way: str
    changes: Sequence[Change] = ()


MUTANTS = (
    Mutant("nothing changed", "model"),
    Mutant("a value is written unquoted", "digest", [Change(RECORD, QUOTED, "str(value)")]),
    Mutant(
        "the record is a developer item",
        "digest",
        [Change(RECORD, ITEMS, 'item("developer", PREAMBLE), item("developer", text)')],
    ),
    Mutant(
        "the record follows the constant in one item",
        "digest",
        [Change(RECORD, ITEMS, 'item("developer", PREAMBLE + text)')],
    ),
    Mutant(
        "a model's text is used raw when it does not parse",
        "breaking",
        [
            Change(SUMMARIES, DROPPED, RAW),
            Change(SUMMARIES, IMPORT, f"from collections import Counter\n{IMPORT}Draft, Statement, "),
        ],
    ),
    Mutant("a model's statement stands with any citation", "captured", [Change(SUMMARY, GUARDED, "    return None")]),
    Mutant(
        "hidden characters are left in",
        "digest",
        [Change(TEXT, 'unicodedata.normalize("NFKC", seen).split()', 'unicodedata.normalize("NFKC", text).split()')],
    ),
)


def found_in(mutant: Mutant, every: int, *more: str) -> int:
    """How many violations the attacks find in a copy with this mistake."""
    options = ["--every", str(every), "--only", mutant.way, *more]
    with tempfile.TemporaryDirectory(prefix="mutant") as folder:
        env = mutate(mutant.name, mutant.changes, Path(folder))
        done = judged([sys.executable, "-m", "tests.attacks", *options], env)
    return sum(int(one) for one in _FOUND.findall(done.stdout))


def main() -> int:
    """Attack each copy, and fail when a mistake goes unseen."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.mutants", description=__doc__)
    parser.add_argument("--every", type=int, default=30, metavar="N", help="every Nth string only")
    every = parser.parse_args().every
    right = []
    for mutant in MUTANTS:
        violations = found_in(mutant, every)
        right.append(bool(violations) == bool(mutant.changes))
        print(f"{mutant.name:52} {violations:6} violations", flush=True)
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
