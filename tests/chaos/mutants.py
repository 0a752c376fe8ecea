"""A harness that cannot fail is worthless: `python -m tests.chaos.mutants` breaks copies of the service on purpose.

The short round runs against a copy of `src` and `alembic`, found through PYTHONPATH, first as it is, then with each of
the mistakes in it.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import invariants
from tests.chaos.scenario import BOTH
from tests.mutating import Change, judged, mutate

# The scenarios that a mistake is about: of openings the short round, of erasures a few of the long one.
SHORT = ("pytest", "tests/chaos/test_short.py", "-q", "-x", "-p", "no:cacheprovider", "-k")
OPENINGS_SHOW = (*SHORT, "{database} and (crash-points or kills or the-same-id or burst)")
ERASURES_SHOW = ("tests.chaos", "--only", "erasures, ", "--erasure-kills", "4", "--database", "{database}")
ERASING = "src/convo_service/services/erasing.py"
ERASURES = "src/convo_service/services/erasures.py"
OPENER = "src/convo_service/services/opener.py"
OPENINGS = "src/convo_service/services/openings.py"
CLIENT = "src/convo_service/llm/client.py"
REMEMBERED = """\
        remote_id = await self.llm.create_conversation(attempt.id, deadline=deadline)
        crash_point(crashing.CREATED)
        await self._remember(attempt, remote_id)
"""
REUSED = """\
        async with self.database.read.begin() as tx:
            kept = await openings.pending(tx, attempt.user_id, attempt.plan.topic)
        remote_id = kept.remote_id if kept is not None else None
        if remote_id is None:
            remote_id = await self.llm.create_conversation(attempt.id, deadline=deadline)
            crash_point(crashing.CREATED)
            await self._remember(attempt, remote_id)
"""
DISCARDED = """\
    if opening.remote_id is not None:
        await discard(tx, opening.remote_id, "taken_over", now)
    opening.attempt_id"""
RESERVED = """\
    opening.remote_id = None
    if opening.state != "refused":
        opening.state = "reserving"
"""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake that somebody could make."""

    name: str
    changes: Sequence[Change] = ()
    shown_by: Sequence[str] = OPENINGS_SHOW


MUTANTS = (
    Mutant("nothing changed"),
    Mutant(
        "no partial unique index",
        [
            Change("alembic/versions/20261122_0005_conversations.py", "unique=True,", "unique=False,"),
            Change("src/convo_service/db/models/talk.py", '"topic",\n            unique=True,', '"topic",'),
        ],
    ),
    Mutant("no fencing", [Change(OPENINGS, " and opening.attempt_id == attempt.id else None", " else None")]),
    Mutant(
        "seed inside create",
        [
            Change(CLIENT, "(self, attempt_id: str, *, deadline: float)", "(self, attempt_id, items=(), *, deadline)"),
            Change(CLIENT, "conversations.create(metadata=", "conversations.create(items=items, metadata="),
            Change(OPENER, "create_conversation(attempt.id,", "create_conversation(attempt.id, _items(attempt.seed),"),
            Change(OPENER, "        if items:\n", "        if items and not attempt.seed:\n"),
        ],
    ),
    Mutant(
        "blind re-seed on takeover",
        [
            Change(OPENINGS, DISCARDED, "    opening.attempt_id"),
            Change(OPENINGS, RESERVED, ""),
            Change(OPENER, REMEMBERED, REUSED),
        ],
    ),
    Mutant("nothing changed in erasures", shown_by=ERASURES_SHOW),
    Mutant(
        "an erasure is not resumed",
        [Change(ERASURES, "for erasure_id in await self._unfinished():", "for erasure_id in list[str]():")],
        ("tests.chaos", "--only", "each point of an erasure", "--database", "{database}"),  # where each kill hits one
    ),
    Mutant(
        "conversations at OpenAI forgotten",
        [Change(ERASING, "    await _hand_over(tx, erasure_id, ids, rest)\n", "")],
        ERASURES_SHOW,
    ),
    Mutant(
        "responses at OpenAI forgotten",
        [Change(ERASING, "    await _hand_over(tx, erasure.id, stored, rest)\n", "")],
        ERASURES_SHOW,
    ),
    Mutant(
        "no tombstones",
        [Change(ERASING, "    await tombstones.raise_all(tx, user_id, marker, now)\n", "")],
        ERASURES_SHOW,
    ),
    Mutant(
        "complete before all is gone",
        [Change(ERASING, " Erasure.scrubbed, sa.not_(left)", " Erasure.scrubbed")],
        ERASURES_SHOW,
    ),
)


def main() -> int:
    """Run the short round against each, and fail when a mistake goes unseen."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutants", description=__doc__)
    parser.add_argument("--database", choices=(*BOTH, "both"), default="both")
    parser.add_argument("--only", help="mutants whose name contains this")
    options = parser.parse_args()
    databases = BOTH if options.database == "both" else (options.database,)
    right = []
    for mutant, database in ((one, each) for each in databases for one in MUTANTS if (options.only or "") in one.name):
        caught, by = _caught(mutant, database)
        right.append(caught == bool(mutant.changes))
        print(f"{database:9} {mutant.name:28} {'caught' if caught else 'not caught':12} {', '.join(by)}", flush=True)
    return 0 if all(right) else 1


def _caught(mutant: Mutant, database: str) -> tuple[bool, list[str]]:
    """Whether the short round fails, and which rules say so."""
    with tempfile.TemporaryDirectory(prefix="mutant") as folder:
        env = mutate(mutant.name, mutant.changes, Path(folder))
        harness = [part.format(database=database) for part in mutant.shown_by]
        done = judged([sys.executable, "-m", *harness], env)
    rules = [rule.__name__ for rule in invariants.RULES if re.search(rf"\b{rule.__name__}: ", done.stdout)]
    return done.returncode == 1, rules if rules or done.returncode == 0 else [_reason(done.stdout)]


def _reason(output: str) -> str:
    lines = (line.strip() for line in output.splitlines())
    return next((line for line in lines if line.startswith(("E  ", "BROKEN"))), output[-300:])


if __name__ == "__main__":
    sys.exit(main())
