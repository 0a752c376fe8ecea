"""`python -m tests.attacks` prints what became of every string; `--live` has a real model write the summaries.

`--live` takes OPENAI_API_KEY, OPENAI_MODEL and OPENAI_BASE_URL, and asks once for five strings; conversations stay in
the emulator, where they are judged.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from alembic import command

from convo_service.db import migrations
from convo_service.domain.summary import instructions
from convo_service.telemetry import configure_logging
from tests.attacks.campaign import WAYS, Tally, Way, run
from tests.attacks.corpora import attacks
from tests.attacks.judging import Json, request_violations


@dataclass
class Live:
    """Hands each question on to a real model, as it came."""

    violations: list[str] = field(default_factory=list)

    def __call__(self, request: Json) -> str:
        """What the model answers, all of its texts in one."""
        self.violations += request_violations(request, instructions("it"))
        url = (os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1") + "/responses"
        headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
        body = {**request, "model": os.environ["OPENAI_MODEL"]}
        answer = httpx.post(url, json=body, headers=headers, timeout=60).raise_for_status().json()
        parts = [part for item in answer["output"] for part in item.get("content") or ()]
        return "".join(part.get("text") or "" for part in parts)


def main() -> int:
    """Print the table; 1 when anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--live", action="store_true", help="a real model instead of those that were got hold of")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth string only")
    options = parser.parse_args()
    configure_logging(level="error")
    ways = {"live model": Way(Live, 5)} if options.live else WAYS
    with tempfile.TemporaryDirectory() as folder:
        migrated = Path(folder) / "migrated.db"
        command.upgrade(migrations.config(f"sqlite+aiosqlite:///{migrated}"), "head")
        tallies = []
        for name, way in ways.items():
            tallies.append(asyncio.run(run(migrated, Path(folder), name, way, attacks()[:: options.every])))
            _print(tallies[-1])
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
