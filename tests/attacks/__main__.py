"""`python -m tests.attacks` prints what became of every string; `--live` has a real model write the summaries.

`--live` takes OPENAI_API_KEY, OPENAI_MODEL and perhaps OPENAI_BASE_URL from the environment, and asks once for five
strings; conversations stay in the emulator, where they are judged. It ends with 2 when the model cannot be asked.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from alembic import command

from convo_service.db import migrations
from convo_service.domain.summary import instructions
from convo_service.telemetry import configure_logging
from tests.attacks.campaign import WAYS, Tally, Way, played
from tests.attacks.corpora import attacks
from tests.attacks.judging import Json, request_violations

NEEDED = ("OPENAI_API_KEY", "OPENAI_MODEL")


class CannotAsk(Exception):
    """There is no model at the other end."""


@dataclass
class Live:
    """Hands each question on to a real model, as it came."""

    violations: list[str] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: Json) -> str:
        """What the model answers, all of its texts in one."""
        self.violations += request_violations(request, instructions("it"))
        try:
            return ask(request)
        except CannotAsk as error:
            self.failures[str(error)] += 1
            return ""


def ask(request: Json) -> str:
    """Ask the model of the environment; raises CannotAsk."""
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        raise CannotAsk(f"set {' and '.join(missing)}")
    url = (os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1").rstrip("/") + "/responses"
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    try:
        answer = httpx.post(url, json={**request, "model": os.environ["OPENAI_MODEL"]}, headers=headers, timeout=60)
        output = answer.raise_for_status().json()["output"]
    except httpx.HTTPStatusError as error:
        raise CannotAsk(f"{url} answers with {error.response.status_code}: {error.response.text[:300]}") from None
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise CannotAsk(f"{url} does not answer: {type(error).__name__}") from None
    parts = [part for item in output for part in item.get("content") or ()]
    return "".join(part.get("text") or "" for part in parts)


def main() -> int:
    """Print the table; 1 when anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--live", action="store_true", help="a real model instead of those that were got hold of")
    parser.add_argument("--only", default="", metavar="WAY", help="ways whose name contains this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth string only")
    parser.add_argument("--migrated", type=Path, metavar="FILE", help="a SQLite database to begin with a copy of")
    options = parser.parse_args()
    configure_logging(level="error")
    live = Live()
    if options.live:
        try:
            ask({"input": "Buongiorno", "store": False})
        except CannotAsk as error:
            print(f"--live cannot ask a model: {error}", file=sys.stderr)
            return 2
    ways = (
        {"live model": Way(lambda: live, 5, keeps_schema=True)}
        if options.live
        else {name: WAYS[name] for name in WAYS if options.only in name}
    )
    with tempfile.TemporaryDirectory() as folder:
        migrated = options.migrated or Path(folder) / "migrated.db"
        if options.migrated is None:
            command.upgrade(migrations.config(f"sqlite+aiosqlite:///{migrated}"), "head")
        tallies = []
        for name, way in ways.items():
            tallies.append(played(migrated, Path(folder), name, way, attacks()[:: options.every]))
            _print(tallies[-1])
    for failure, times in live.failures.items():
        print(f"  not asked {times} times: {failure}")
    return 1 if any(tally.violations for tally in tallies) else 0


def _print(tally: Tally) -> None:
    print(
        f"{tally.way}: {tally.strings.total()} strings, {tally.refused} refused, {tally.reached} in {tally.seeds} seeds"
    )
    print(f"  by source: {dict(tally.strings)}")
    print(f"  statements of the model: {tally.kept} kept, dropped {dict(tally.dropped)}")
    print(f"  violations: {len(tally.violations)}")
    for one in tally.violations[:20]:
        print(f"    {one[:300]}")


if __name__ == "__main__":
    sys.exit(main())
