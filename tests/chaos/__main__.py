"""A long round: `python -m tests.chaos --kills 300 --database both`."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from alembic import command

from convo_service.db import migrations
from tests import postgres
from tests.chaos import (
    absences,
    clocks,
    collecting,
    disks,
    erasing,
    restarts,
    scenarios,
    stops,
    suites,
    turning,
    writers,
)
from tests.chaos.replicas import Broken
from tests.chaos.scenario import BOTH, Outcome, Scenario
from tests.chaos.storm import Weather

CLOCKED = 16  # users
SHOWN = 10  # violations of one scenario
ROW = "{database:9} {fault:52} {promise:88} {ok}"


def main() -> int:
    """Play all scenarios, print the table, and fail when a promise was broken."""
    options = _options()
    databases = BOTH if options.database == "both" else (options.database,)
    print(ROW.format(database="database", fault="fault", promise="promise", ok="kept"), flush=True)
    rows = [one for one in _round(options) if options.only in one.fault]
    kept = [_play(database, one) for database in databases for one in rows if database in one.databases]
    return 0 if all(kept) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="kills at random moments, for each database")
    parser.add_argument("--users", type=int, default=24)
    parser.add_argument("--turn-kills", type=int, default=50, help="kills while turns are answered")
    parser.add_argument("--erasure-kills", type=int, default=40, help="kills while people are erased")
    parser.add_argument("--ids", type=int, default=200, help="external ids that come ten times at once")
    parser.add_argument("--bursts", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=20, help="immediate ones, of PostgreSQL")
    parser.add_argument("--stops", type=int, default=50, help="by SIGTERM, under load")
    parser.add_argument("--messages", type=int, default=5000, help="of the writers on SQLite")
    parser.add_argument("--sequences", type=int, default=2000, help="of the model of the contract; 0 leaves it out")
    parser.add_argument("--examples", type=int, default=200, help="of schemathesis; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments")
    parser.add_argument("--database", choices=(*BOTH, "both"), default="both")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    return parser.parse_args()


def _round(options: argparse.Namespace) -> list[Scenario]:
    weather = Weather(kills=options.kills, users=options.users, seed=options.seed)
    return [
        scenarios.crash_points(),
        scenarios.crash_points_with_a_reserve(),
        collecting.dying_collectors(),
        scenarios.random_kills(weather),
        scenarios.same_id(options.ids),
        scenarios.burst(options.bursts),
        turning.dying_turns(),
        turning.turns_in_a_storm(options.turn_kills, seed=options.seed),
        erasing.dying_erasures(),
        erasing.erasures_in_a_storm(options.erasure_kills, seed=options.seed),
        *(absences.away(absence) for absence in absences.ABSENCES),
        clocks.clocks(CLOCKED),
        writers.writers(options.messages),
        stops.stops(options.stops),
        stops.stopped_worker(),
        restarts.restarts(options.restarts),
        disks.disk_full(),
        disks.server_out_of_room(),
        *([suites.sequences(options.sequences)] if options.sequences else []),
        *([suites.examples(options.examples)] if options.examples else []),
    ]


def _play(database: str, scenario: Scenario) -> bool:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos") as folder, _migrated(database, Path(folder)) as url:
        outcome = _outcome(scenario, url, Path(folder))
    _show(database, scenario, outcome, time.monotonic() - started)
    return not outcome.violations


def _outcome(scenario: Scenario, url: str, folder: Path) -> Outcome:
    """What came of it; one that comes to a standstill keeps the others from nothing."""
    try:
        return asyncio.run(scenario.run(url, folder))
    except Broken as error:
        return Outcome("came to no end", [str(error)])


def _show(database: str, scenario: Scenario, outcome: Outcome, seconds: float) -> None:
    ok = "no" if outcome.violations else "yes" if outcome.is_shown else "not shown here"
    print(ROW.format(database=database, fault=scenario.fault, promise=scenario.promise, ok=ok))
    print(f"          {outcome.figure}, {seconds:.0f} s")
    for sentence in outcome.violations[:SHOWN]:
        print(f"          BROKEN {sentence}")
    sys.stdout.flush()


@contextmanager
def _migrated(database: str, folder: Path) -> Iterator[str]:
    if database == "sqlite":
        url = f"sqlite+aiosqlite:///{folder / 'convo.db'}"
        command.upgrade(migrations.config(url), "head")
        yield url
        return
    with postgres.server() as socket:
        asyncio.run(_create(socket))
        url = postgres.url(socket, "chaos")
        command.upgrade(migrations.config(url), "head")
        yield url


async def _create(socket: Path) -> None:
    connection = await asyncpg.connect(host=str(socket), user="postgres", database="postgres")
    try:
        await connection.execute("CREATE DATABASE chaos")
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
