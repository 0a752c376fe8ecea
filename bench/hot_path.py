"""One message inside its window over HTTP: the service against the floor, and against the naive way."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import driven, floor, load, naive, processes
from bench.turns import quantile

from convo_service.app import create_app
from convo_service.settings import Settings
from convo_service.telemetry import configure_logging

USERS = 256
AT_ONCE = (1, 32)
RATES = (100, 300)
OPEN_BLOCKS = 3
PEPPER = processes.KNOBS["KEY_PEPPER"]
KNOBS = {"MAX_CONVERSATION_MESSAGES": str(10**9)}  # no window of this bench is ever over
# The gate is CPU, which other work on the machine hardly changes; what goes over HTTP is the report.
GATE = {"cpu_ratio_1": 0.4, "cpu_ratio_32": 0.6}
BARS = {**GATE, "ratio_1": 0.4, "ratio_32": 0.6, "naive_1": 10.0, "naive_32": 10.0}
BAR_P99_MS, BAR_P99_FLOORS = 25.0, 3.0

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Filled:
    """The service, the floor and the naive way, each with its copy of one database in which every user is known."""

    urls: Mapping[str, str]
    key: str


def fill(folder: Path, url: str, emulator: str, do: Callable[[load.Job], load.Result]) -> Filled:
    """Let every user write once, and copy the database."""
    env = {**processes.KNOBS, "DATABASE_URL": url}
    with processes.service(folder, url, emulator, KNOBS) as service:
        key = processes.command_line(folder, env, "keys", "create", "--name", "bench", "--scope", "gateway").split()[-1]
        do(load.Job(_port(service), key, USERS, 1, 600, messages=USERS))
    return Filled({name: processes.copied(url, name) for name in ("service", "floor", "naive")}, key)


@contextmanager
def serving(folder: Path, filled: Filled, emulator: str) -> Iterator[dict[str, int]]:
    """Serve all three at once, and yield their ports; who is not asked does nothing."""
    with ExitStack() as all_of_them:
        ports = {}
        for name in ("floor", "naive"):
            knobs = {"DATABASE_URL": filled.urls[name], "KEY_PEPPER": PEPPER}
            url = all_of_them.enter_context(processes.served(folder, f"bench.{name}:create_app", knobs))
            ports[name] = _port(url)
        service = processes.service(folder, filled.urls["service"], emulator, KNOBS)
        ports["service"] = _port(all_of_them.enter_context(service))
        yield ports


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def over_http(ports: Mapping[str, int], key: str, given: argparse.Namespace, do: Callable[..., load.Result]) -> Figures:
    """Without a pause, then at a rate."""
    names = list(ports)
    figures: Figures = dict.fromkeys(("errors", "floor_errors", "naive_errors"), 0)
    for at_once in AT_ONCE:
        rounds = []
        for number in range(given.rounds + 1):
            order = names[number % 3 :] + names[: number % 3]
            jobs = {name: load.Job(ports[name], key, USERS, at_once, given.seconds) for name in order}
            rounds.append({name: do(job) for name, job in jobs.items()})
        del rounds[0]  # which warmed up
        speeds = [{name: one.per_second for name, one in row.items()} for row in rounds]
        figures[f"ratio_{at_once}"] = median(row["service"] / row["floor"] for row in speeds)
        figures[f"naive_{at_once}"] = median(row["service"] / row["naive"] for row in speeds)
        for name in names:
            figures[f"{name}_{at_once}_per_second"] = median(row[name] for row in speeds)
            figures[_of(name, f"p99_{at_once}_ms")] = quantile([ms for row in rounds for ms in row[name].ms], 0.99)
            figures[_of(name, "errors")] += sum(row[name].errors for row in rounds)
        figures[f"client_{at_once}_ms"] = median(row["floor"].client_ms for row in rounds)
        _tell(f"{at_once} at once: {figures[f'ratio_{at_once}']:.2f} of the floor")
    for rate in RATES:
        _at_rate(ports, key, rate, given.open_seconds, do, figures)
    return figures


def _of(name: str, figure: str) -> str:
    """The service's own figures have no name before them."""
    return figure if name == "service" else f"{name}_{figure}"


def _at_rate(
    ports: Mapping[str, int],
    key: str,
    rate: int,
    seconds: float,
    do: Callable[[load.Job], load.Result],
    figures: Figures,
) -> None:
    took: dict[str, list[float]] = {"service": [], "floor": []}
    for _ in range(OPEN_BLOCKS):
        for name, times in took.items():
            result = do(load.Job(ports[name], key, USERS, USERS, seconds, rate=rate))
            times += result.ms
            figures[_of(name, "errors")] += result.errors
    for name, times in took.items():
        for share in (50, 99):
            figures[_of(name, f"p{share}_{rate}rps_ms")] = quantile(times, share / 100)
    _tell(f"{rate} a second: p99 {figures[f'p99_{rate}rps_ms']:.1f} ms, {figures['errors']:.0f} errors so far")


def in_process(folder: Path, filled: Filled, emulator: str, rounds: int) -> Figures:
    """CPU for a message; the service logs as it does when it is served."""
    os.environ["KEY_PEPPER"] = PEPPER
    figures: Figures = {}
    with (folder / "driven.log").open("w") as log, redirect_stderr(log):
        configure_logging(format_="json")
        for at_once in AT_ONCE:
            apps = _apps(filled, emulator)
            found = uvloop.run(driven.measure(apps, filled.key, USERS, at_once, rounds))
            figures[f"cpu_ratio_{at_once}"] = median(row["floor"] / row["service"] for row in found)
            figures[f"cpu_naive_{at_once}"] = median(row["naive"] / row["service"] for row in found)
            for name in apps:
                figures[f"{name}_{at_once}_cpu_ms"] = median(row[name] for row in found)
    return figures


def _apps(filled: Filled, emulator: str) -> dict[str, Any]:
    settings = Settings(
        _env_file=None,
        database_url=filled.urls["service"],
        openai_api_key="sk-emulator",
        openai_base_url=f"{emulator}/v1",
        max_conversation_messages=10**9,
        rate_limit_per_minute=10**9,
        user_turns_per_minute=10**9,
    )
    return {
        "service": create_app(settings),
        "floor": floor.create_app(filled.urls["floor"]),
        "naive": naive.create_app(filled.urls["naive"]),
    }


def measure(given: argparse.Namespace) -> Iterator[tuple[str, Figures]]:
    """The figures of each database."""
    with (
        tempfile.TemporaryDirectory() as base,
        processes.postgres_databases(["hot"]) as fresh,
        load.client() as do,
    ):
        for database in given.databases:
            folder = Path(base, database)
            folder.mkdir()
            url = fresh["hot"] if database == "postgres" else f"sqlite+aiosqlite:///{folder}/hot.db"
            with processes.emulator(folder) as emulator:
                filled = fill(folder, url, emulator, do)
                _tell(f"{database}, load {os.getloadavg()[0]:.1f}")
                with serving(folder, filled, emulator) as ports:
                    figures = over_http(ports, filled.key, given, do)
                figures |= in_process(folder, filled, emulator, given.rounds)
            figures["load"] = os.getloadavg()[0]
            yield database, figures


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def holds(name: str, figures: Figures) -> bool | None:
    """Whether a figure is within its bar; None when it has none."""
    if name in BARS:
        return figures[name] >= BARS[name]
    if name == "p99_300rps_ms":
        return figures[name] <= min(BAR_P99_MS, BAR_P99_FLOORS * figures[f"floor_{name}"])
    return figures[name] == 0 if name == "errors" else None


def table(found: Mapping[str, Figures]) -> str:
    """A line for each figure, a column for each database."""
    names = list(next(iter(found.values())))
    lines = ["".rjust(24) + "".join(database.rjust(14) for database in found)]
    for name in names:
        cells = [f"{figures[name]:,.2f}{_mark(holds(name, figures))}" for figures in found.values()]
        lines.append(name.rjust(24) + "".join(cell.rjust(14) for cell in cells))
    return "\n".join(lines)


def _mark(is_within: bool | None) -> str:
    return {True: " ok", False: " NO", None: "   "}[is_within]


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--rounds", type=int, default=12, help="of each measurement, after one that warms up (12)")
    parser.add_argument("--seconds", type=float, default=0.7, help="of a block without a pause (0.7)")
    parser.add_argument("--open-seconds", type=float, default=5, help="of each of three blocks at a rate (5)")
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["sqlite", "postgres"])
    return parser.parse_args(given)


def main() -> int:
    """Measure, print, and return 0 only when the gate holds and nothing failed."""
    given = _arguments()
    try:
        found = dict(measure(given))
    except processes.Broken as error:
        _tell(str(error))
        return 1
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(json.dumps({**found, "machine": machine}, indent=2) if given.json else f"{table(found)}\n{machine}")
    is_within = all(holds(name, figures) for figures in found.values() for name in (*GATE, "errors"))
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())
