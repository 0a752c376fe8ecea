"""How far `simulate` is off when it estimates seeds, and what a long history costs it in time and memory."""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import reading
from bench.reading import Line

from convo_service.db import migrations
from convo_service.db.engine import open_database
from convo_service.db.models import Message, User
from convo_service.db.statements import insert_all
from convo_service.domain.simulation import Rules
from convo_service.services.simulation import Played, Simulation, Wanted
from convo_service.settings import Settings

HOURS, CAPS, BUDGETS = (24, 48, 96), (50, 10), (150, 300, 600)
COMMAND = [sys.executable, "-m", "convo_service.cli", "simulate", "--json"]


def load(url: str, lines: Sequence[Line], copies: int) -> None:
    """Store the lines, so many times, as what so many times the users said."""
    command.upgrade(migrations.config(url), "head")
    engine = sa.create_engine(url.replace("+aiosqlite", ""))
    for copy in range(copies):
        messages: dict[str, list[dict[str, Any]]] = {}
        for number, line in enumerate(lines):
            mine = messages.setdefault(f"usr_{copy:05}{line.identity}", [])
            mine.append({"id": f"msg_{number:09}", "direction": line.direction, "text": line.text, "at": line.sent_at})
        with engine.begin() as connection:
            insert_all(connection, User, [_user(user_id, mine) for user_id, mine in messages.items()])
            insert_all(
                connection, Message, [_message(user_id, one) for user_id in messages for one in messages[user_id]]
            )
    engine.dispose()


def _user(user_id: str, mine: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seen = {"first_seen_at": mine[0]["at"], "last_seen_at": mine[-1]["at"]}
    return {"id": user_id, "cohort": "window", **seen, "conversation_count": 0, "message_count": len(mine)}


def _message(user_id: str, one: dict[str, Any]) -> dict[str, Any]:
    said = {"id": one["id"], "direction": one["direction"], "text": one["text"], "command_length": 0, "late": False}
    return {"user_id": user_id, "topic": "general", "sent_at": one["at"], "received_at": one["at"], **said}


def play(url: str, exact_messages: int) -> Played:
    """Replay with the seeds of users with so many messages really made."""
    rules = tuple(Rules(timedelta(hours=one), cap, seed) for one, cap, seed in product(HOURS, CAPS, BUDGETS))
    settings = Settings(_env_file=None, database_url=url)

    async def run() -> Played:
        database = open_database(url)
        try:
            wanted = Wanted(rules, exact_messages=exact_messages)
            return await Simulation(database, settings, wanted).run(lambda _: lambda _: None)
        finally:
            await database.close()

    return asyncio.run(run())


def errors(exact: Played, estimated: Played) -> list[tuple[float, float, int]]:
    """For each combination: by how many percent all input is off, by how many points the saving, by how much p95."""
    pairs = list(zip(exact.comparison.tallies.values(), estimated.comparison.tallies.values(), strict=True))
    endless = pairs[-1][0]
    return [
        (
            100 * (two.input_tokens / one.input_tokens - 1),
            100 * (one.input_tokens - two.input_tokens) / endless.input_tokens,
            two.percentile(0.95) - one.percentile(0.95),
        )
        for one, two in pairs[:-1]
    ]


def compare(url: str, shares: Sequence[int]) -> None:
    """Print the largest errors over all combinations, for samples of several sizes."""
    exact = play(url, sys.maxsize)
    print(f"{exact.messages:,} messages of {exact.users} users, {len(exact.comparison.tallies) - 1} combinations")
    for messages in shares:
        estimated = play(url, messages)
        off = errors(exact, estimated)
        worst = [max(column, key=abs) for column in zip(*off, strict=True)]
        print(
            f"seeds made for {estimated.exact_users} users ({estimated.exact_messages:,} messages): "
            f"input {worst[0]:+.2f} %, saving {worst[1]:+.2f} points, p95 {worst[2]:+} tokens at worst"
        )


def measure(url: str) -> None:
    """Run the command as its users do, and print what it took."""
    begun = time.perf_counter()
    done = subprocess.run(COMMAND, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=True)  # noqa: S603
    seconds, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)
    print(
        f"{found['messages']:,} messages of {found['users']:,} users, {len(found['combinations'])} combinations: "
        f"{seconds:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of CPU), {used.ru_maxrss / 1024:.0f} MB"
    )


def main() -> int:
    """Compare on the file as it is, measure on so many copies of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="one message a line as JSON, in time order")
    parser.add_argument("--copies", type=int, default=190, help="users to make of each one for the long run (190)")
    parser.add_argument("--samples", default="500,1000,2000", help="messages whose seeds are really made")
    given = parser.parse_args()
    with given.file.open(encoding="utf-8") as file:
        lines = reading.parse(file)
    with tempfile.TemporaryDirectory() as folder:
        load(short := f"sqlite+aiosqlite:///{folder}/short.db", lines, 1)
        compare(short, [int(one) for one in given.samples.split(",")])
        if given.copies:
            load(long := f"sqlite+aiosqlite:///{folder}/long.db", lines, given.copies)
            measure(long)
    return 0


if __name__ == "__main__":
    sys.exit(main())
