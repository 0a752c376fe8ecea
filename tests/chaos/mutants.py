"""A harness that cannot fail is worthless: `python -m tests.chaos.mutants` breaks copies of the service on purpose.

The short round runs against a copy of `src` and `alembic`, found through PYTHONPATH, first as it is, then with each of
the four mistakes in it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import invariants
from tests.chaos.scenario import BOTH

SHOWING = "crash-points or kills or the-same-id or burst"  # the other scenarios are about other mistakes
ROOT = Path(__file__).resolve().parents[2]
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
class Change:
    """One text in a file that becomes another."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake that somebody could make."""

    name: str
    changes: Sequence[Change] = ()


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
        _make(mutant, Path(folder))
        env = {**os.environ, "PYTHONPATH": str(Path(folder) / "src")}
        where = _run([sys.executable, "-c", "import convo_service; print(convo_service.__file__)"], env)
        assert where.stdout.startswith(folder), f"the copy is not what is imported: {where.stdout}{where.stderr}"
        options = ["-q", "-x", "-p", "no:cacheprovider", "-k", f"{database} and ({SHOWING})"]
        done = _run([sys.executable, "-m", "pytest", "tests/chaos/test_short.py", *options], env)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    rules = [rule.__name__ for rule in invariants.RULES if re.search(rf"\b{rule.__name__}: ", done.stdout)]
    return done.returncode == 1, rules if rules or done.returncode == 0 else [_reason(done.stdout)]


def _reason(output: str) -> str:
    return next((line for line in output.splitlines() if line.startswith("E  ")), output[-300:])


def _make(mutant: Mutant, folder: Path) -> None:
    for part in ("src", "alembic"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for change in mutant.changes:
        file = folder / change.file
        text = file.read_text()
        if text.count(change.old) != 1:
            raise RuntimeError(f"{mutant.name}: {change.file} has {text.count(change.old)} places for {change.old!r}")
        file.write_text(text.replace(change.old, change.new))


def _run(command: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
