"""What it takes to start, and whether memory stays where it is: seconds and megabytes, by real processes."""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import load, processes

HELP_SECONDS, FIRST_ANSWER_SECONDS, IDLE_MB, GROWTH_MB = 0.3, 2.5, 110.0, 2.0
USERS, CONNECTIONS, STEPS = 64, 8, 10
WARM_SECONDS = 5  # in which OpenAI's SDK is loaded in the background
KNOBS = {"MAX_CONVERSATION_MESSAGES": str(10**9)}


@dataclass(frozen=True, slots=True)
class Found:
    """Medians of whole processes, Python's own start included; memory is what the kernel counts (RSS)."""

    python_seconds: float
    import_seconds: float
    help_seconds: float
    first_answer_seconds: float
    idle_mb: float
    messages: list[int]
    mb: list[float]

    @property
    def growth_mb(self) -> float:
        """Over the second half of the messages."""
        return self.mb[-1] - self.mb[len(self.mb) // 2 - 1]

    @property
    def within(self) -> dict[str, bool]:
        """Which bars hold."""
        return {
            "help_seconds": self.help_seconds <= HELP_SECONDS,
            "first_answer_seconds": self.first_answer_seconds <= FIRST_ANSWER_SECONDS,
            "idle_mb": self.idle_mb <= IDLE_MB,
            "growth_mb": self.growth_mb <= GROWTH_MB,
        }


def seconds(command: Sequence[str | Path], times: int) -> float:
    """The median of so many runs, after one that fills the disk's cache."""
    took = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
        took.append(time.perf_counter() - began)
    return median(took[1:])


def first_answer(folder: Path, env: Mapping[str, str], times: int) -> float:
    """From the start of `serve` to the first answer to a request, a median."""
    return median(_first_answer(folder, env) for _ in range(times))


def _first_answer(folder: Path, env: Mapping[str, str]) -> float:
    port = processes.free_port()
    command = [str(processes.BIN / "convo-service"), "serve", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=processes.environment(env), stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        while not _is_alive(port):
            if process.poll() is not None:
                raise processes.Broken(f"`serve` ended with {process.returncode}")
            time.sleep(0.005)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    with suppress(OSError):
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    return False


def resident_mb(process: int) -> float:
    """What of a process is in memory now."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def memory(folder: Path, url: str, emulator: str, messages: int) -> tuple[float, list[float]]:
    """Idle, and after each tenth of the messages."""
    with (
        load.client() as do,
        processes.service_process(folder, url, emulator, KNOBS) as (service, process),
    ):
        time.sleep(WARM_SECONDS)
        idle, steps = resident_mb(process.pid), []
        port = int(service.rpartition(":")[2])
        for number in range(STEPS):
            _send(do, load.Job(port, processes.KEY, USERS, CONNECTIONS, 10**6, messages=messages // STEPS))
            steps.append(resident_mb(process.pid))
            print(f"{(number + 1) * messages // STEPS:,} messages: {steps[-1]:.1f} MB", file=sys.stderr)
    return idle, steps


def _send(do: Callable[[load.Job], load.Result], job: load.Job) -> None:
    errors = do(job).errors
    if errors:
        raise processes.Broken(f"{errors} of {job.messages} messages were not stored")


def measure(given: argparse.Namespace) -> Found:
    """All of it, on SQLite."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        url = f"sqlite+aiosqlite:///{folder}/convo.db"
        env = {**processes.KNOBS, "DATABASE_URL": url}
        processes.command_line(folder, env, "migrate")
        first = first_answer(folder, env, given.times)
        with processes.emulator(folder) as emulator:
            idle, steps = memory(folder, url, emulator, given.messages)
    return Found(
        python_seconds=seconds([sys.executable, "-c", "pass"], given.times),
        import_seconds=seconds([sys.executable, "-c", "import convo_service.app"], given.times),
        help_seconds=seconds([processes.BIN / "convo-service", "--help"], given.times),
        first_answer_seconds=first,
        idle_mb=idle,
        messages=[(number + 1) * given.messages // STEPS for number in range(STEPS)],
        mb=steps,
    )


def table(found: Found) -> str:
    """A line for each figure."""
    bars = {"help_seconds": HELP_SECONDS, "first_answer_seconds": FIRST_ANSWER_SECONDS}
    bars |= {"idle_mb": IDLE_MB, "growth_mb": GROWTH_MB}
    lines = []
    for name in ("python_seconds", "import_seconds", "help_seconds", "first_answer_seconds", "idle_mb", "growth_mb"):
        bar = f"  bar {bars[name]:g}  {'ok' if found.within[name] else 'NO'}" if name in bars else ""
        lines.append(f"{name:>22}  {getattr(found, name):8.2f}{bar}")
    steps = zip(found.messages, found.mb, strict=True)
    return "\n".join([*lines, *(f"{messages:>13,} messages  {mb:8.1f} MB" for messages, mb in steps)])


def main() -> int:
    """Measure, print, and return 0 only when all bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--times", type=int, default=7, help="runs of each start (7)")
    parser.add_argument("--messages", type=int, default=20_000, help="sent through one process, in ten steps (20,000)")
    given = parser.parse_args()
    try:
        found = measure(given)
    except processes.Broken as error:
        print(error, file=sys.stderr)
        return 1
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    whole = {**asdict(found), "growth_mb": found.growth_mb, "within": found.within, "machine": machine}
    print(json.dumps(whole, indent=2) if given.json else f"{table(found)}\n{machine}")
    return 0 if all(found.within.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
