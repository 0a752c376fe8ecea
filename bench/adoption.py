"""A bot's file taken over by the service, in place and by import, timed, killed, undone, and judged by another reading.

It runs the real commands on copies of FILE (made beside it, removed at the end) and compares with `bot_reading.py`,
which shares nothing with them. Each row of the table is one thing that must hold; the exit code is 0 if all do.

    .venv/bin/python bench/adoption.py BOT.db                # on SQLite: in place, back and again, killed, imported
    .venv/bin/python bench/adoption.py BOT.db --postgres     # and imported into a throw-away PostgreSQL
    .venv/bin/python bench/adoption.py BOT.db --kills 30     # more SIGKILLs (10), spread over the time a run took
    .venv/bin/python bench/adoption.py BOT.db --seed 7       # the moments of another run once more
    .venv/bin/python bench/adoption.py BOT.db --json         # the same as JSON

`seconds` and `peak MB` are of the process that was run (after kills: of the last), its start included; a peak is never
below the bench's own (some 40 MB), which Linux hands on. `checksum` is the sum of all messages as the service has them
then, and `ids` that of their ids, which are the same for the same row, however it was taken.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import file_digest
from pathlib import Path
from types import FrameType

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import bot_reading, processes
from bench.bot_reading import Bot, Rows, Service, Sum
from bench.processes import BIN, ROOT, Broken

KILLED = -signal.SIGKILL
POLL_SECONDS = 0.002
LOG_CHARS = 600
Content = Mapping[str, Sum]


@dataclass(frozen=True, slots=True)
class Run:
    """How a process ended, and what it took."""

    code: int
    seconds: float
    peak_mb: float
    said: str

    def problems(self) -> list[str]:
        """What it said, when it did not end well."""
        return [] if self.code == 0 else [f"ended with {self.code}: {self.said[-LOG_CHARS:].strip()}"]


@dataclass(slots=True)
class Row:
    """One thing that must hold; `notes` are worth a look and no fault."""

    what: str
    seconds: float
    peak_mb: float
    messages: int | None = None
    checksum: str | None = None
    ids: str | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Killed:
    """What is run and killed again and again: where it begins, how it is judged in between and at its end."""

    fresh: Callable[[], Path]
    run: Callable[[Path, float | None], Run]
    taken: Callable[[Path], int]  # the messages that the service has
    between: Callable[[Path], list[str]]
    judged: Callable[[Path, Run], Row]


class Adoption:
    """The runs on one file."""

    def __init__(self, file: Path, folder: Path, kills: int, chance: random.Random) -> None:
        self._file = file
        self._folder = folder
        self._kills = kills
        self._chance = chance
        self._made = 0
        self._ids: str | None = None
        begun = time.perf_counter()
        self._bot = Bot(file)
        self._wanted = bot_reading.read(self._bot)
        self._seconds = time.perf_counter() - begun
        copy = self._copy()
        self._columns = bot_reading.columns(copy)
        self._raw = bot_reading.raw(copy, self._columns)

    def rows(self, *, postgres: bool) -> Iterator[Row]:
        """All rows, each when it is done."""
        yield self._reading()
        yield from self._in_place()
        yield from self._imported()
        if postgres:
            yield from self._imported_into_postgres()

    def _reading(self) -> Row:
        row = self._row("the bot's file, read", Run(0, self._seconds, _own_peak_mb(), ""), self._wanted)
        clocks = self._bot.clocks()
        row.notes = [f"hours: twice {clocks['twice']}, missing {clocks['missing']}", *self._bot.doubles()]
        row.notes += [f"{kind}: {one.count} {one}" for kind, one in self._wanted.items() if kind != "messages"]
        return row

    # ---- (a), (b), (c): in place

    def _in_place(self) -> Iterator[Row]:
        file = self._copy()
        first = self._migrate(file)
        yield self._adopted("migrate", file, first)
        yield self._unchanged("migrate again", file, lambda: self._migrate(file))
        back = self._run([BIN / "alembic", "-c", ROOT / "alembic.ini", "downgrade", "base"], file)
        yield Row("downgrade base", back.seconds, back.peak_mb, problems=[*back.problems(), *self._bot_rows(file, "")])
        yield self._adopted("migrate after it", file, self._migrate(file))
        _remove(file)
        if first.code == 0:
            migrating = Killed(self._copy, self._migrate, _taken, self._either_or, self._adopted_in_the_end)
            yield self._endured("migrate", migrating, first.seconds)

    def _migrate(self, file: Path, kill_after: float | None = None) -> Run:
        return self._run([BIN / "convo-service", "migrate"], file, kill_after)

    def _adopted(self, what: str, file: Path, run: Run) -> Row:
        """After a migration: the service has all, the bot's rows are as they were, and a backup has them too."""
        row = self._judged(what, run, bot_reading.sqlite_rows(file))
        row.problems += self._bot_rows(file, "legacy_")
        backups = _backups(file)
        row.problems += [] if any(_is_bots(one) for one in backups) else ["no backup of the bot's file beside it"]
        row.problems += [
            f"backup {number}: {text}" for number, one in enumerate(backups, 1) for text in self._same(one)
        ]
        row.notes += [f"beside the file: {', '.join(_beside(file)) or 'nothing'}"]
        return row

    def _adopted_in_the_end(self, file: Path, run: Run) -> Row:
        return self._adopted("", file, run)

    def _same(self, backup: Path) -> list[str]:
        """A backup has the bot's rows, also one that a killed process left behind, and one made on the way back."""
        try:
            return self._bot_rows(backup, "" if _is_bots(backup) else "legacy_")
        except sqlite3.Error as error:
            return [f"{type(error).__name__}: {error}"]

    def _bot_rows(self, file: Path, prefix: str) -> list[str]:
        """Whether the bot's own rows are in its tables, or in those of that prefix, to the last byte."""
        found = bot_reading.columns(file, prefix)
        lost = [
            f"{prefix}{table}.{name}" for table in found for name in self._columns[table] if name not in found[table]
        ]
        if lost:
            return [f"columns that are gone: {', '.join(lost)}"]
        return _unlike(self._raw, bot_reading.raw(file, self._columns, prefix), prefix)

    def _either_or(self, file: Path) -> list[str]:
        """A killed migration has done nothing or all; its rows are under the one name or the other."""
        tables = set(bot_reading.tables(file))
        before, after = set(bot_reading.TABLES), {f"legacy_{table}" for table in bot_reading.TABLES}
        problems = self._bot_rows(file, "legacy_" if tables & after else "")
        if tables in (before, before | {"alembic_version"}):
            return problems
        if not tables >= after | {"alembic_version", "users"} or _taken(file) != self._wanted["messages"].count:
            problems.append(f"neither before nor after: {_taken(file)} messages; tables {sorted(tables)}")
        return problems

    # ---- (d), (e), (f): imported

    def _imported(self) -> Iterator[Row]:
        empty = self._named()
        made = self._migrate(empty)
        if made.code != 0:
            yield Row("migrate a fresh file", made.seconds, made.peak_mb, problems=made.problems())
            return
        source, file = self._copy(), self._installed(empty)
        yield self._unchanged("import --dry-run", file, lambda: self._import(source, file, "--dry-run"))
        first = self._import(source, file)
        row = self._judged("import", first, bot_reading.sqlite_rows(file))
        row.problems += [] if _digest(source) == _digest(self._file) else ["the bot's file was written to"]
        yield row
        yield self._unchanged("import again", file, lambda: self._import(source, file))
        _remove(file)
        if first.code != 0:
            return
        importing = Killed(
            fresh=lambda: self._installed(empty),
            run=lambda file, kill_after: self._import(source, file, kill_after=kill_after),
            taken=_taken,
            between=lambda _: [],
            judged=lambda file, run: self._judged("", run, bot_reading.sqlite_rows(file)),
        )
        yield self._endured("import", importing, first.seconds)

    def _imported_into_postgres(self) -> Iterator[Row]:
        source = self._copy()
        with processes.postgres_databases(["adoption"]) as urls:
            url = urls["adoption"]
            made = self._migrate_url(url)
            if made.code != 0:
                yield Row("postgres: migrate", made.seconds, made.peak_mb, problems=made.problems())
                return
            rows = bot_reading.postgres_rows(url)
            dry = self._import_url(source, url, "--dry-run")
            row = self._row("postgres: import --dry-run", dry, bot_reading.read(Service(rows)))
            row.problems += dry.problems()
            row.problems += [f"{row.messages} messages after a dry run"] if row.messages else []
            yield row
            yield self._judged("postgres: import", self._import_url(source, url), rows)
            yield self._judged("postgres: import again", self._import_url(source, url), rows)

    def _import(self, source: Path, file: Path, *options: str, kill_after: float | None = None) -> Run:
        return self._run([BIN / "convo-service", "import-legacy", source, *options], file, kill_after)

    def _migrate_url(self, url: str) -> Run:
        return _execute([BIN / "convo-service", "migrate"], self._folder, url)

    def _import_url(self, source: Path, url: str, *options: str) -> Run:
        return _execute([BIN / "convo-service", "import-legacy", source, *options], self._folder, url)

    # ---- what several need

    def _endured(self, name: str, killed: Killed, seconds: float) -> Row:
        """Kill at moments spread over the time of a whole run, on the same file; then let it end, and judge.

        When all is taken before the kills are used up, the file is judged and a fresh one takes the rest.
        """
        share = seconds / self._kills
        moments = [self._chance.uniform(place * share, (place + 1) * share) for place in range(self._kills)]
        self._chance.shuffle(moments)
        row = Row(f"{name}, killed", 0, 0)
        file, progress, hits = killed.fresh(), [], 0
        for moment in moments:
            run = killed.run(file, moment)
            hits += run.code == KILLED
            problems = ([] if run.code == KILLED else run.problems()) + killed.between(file)
            row.problems += [f"killed after {moment:.3f} s: {text}" for text in problems]
            progress.append(killed.taken(file))
            if progress[-1] == self._wanted["messages"].count:
                self._ended(row, killed, file)
                file = killed.fresh()
        self._ended(row, killed, file)
        row.notes.insert(0, f"{hits} of {self._kills} kills hit; messages after each: {progress}")
        row.notes.insert(1, f"seconds of the kills: {[round(moment, 3) for moment in moments]}")
        return row

    def _ended(self, row: Row, killed: Killed, file: Path) -> None:
        """Run what was killed to its end, and take its judgement over."""
        last = killed.judged(file, killed.run(file, None))
        row.seconds, row.peak_mb = last.seconds, max(row.peak_mb, last.peak_mb)
        row.messages, row.checksum, row.ids = last.messages, last.checksum, last.ids
        row.problems += last.problems
        row.notes += last.notes
        _remove(file)

    def _judged(self, what: str, run: Run, rows: Rows) -> Row:
        """A row about a database that must have the bot's rows and no others."""
        if run.code != 0:
            return Row(what, run.seconds, run.peak_mb, problems=run.problems())
        service = Service(rows, self._bot.undated)
        try:
            had = bot_reading.read(service)
        except (sqlite3.Error, asyncpg.PostgresError) as error:
            return Row(what, run.seconds, run.peak_mb, problems=[f"unreadable: {type(error).__name__}: {error}"])
        row = self._row(what, run, had)
        row.problems += [*bot_reading.differences(self._bot, self._wanted, service, had), *service.wrong()]
        row.ids = str(service.ids())
        self._ids = self._ids or row.ids
        row.problems += [] if row.ids == self._ids else ["the ids of the messages are not those of the first run"]
        return row

    def _unchanged(self, what: str, file: Path, act: Callable[[], Run]) -> Row:
        """A row about a run that must leave a database, and what lies beside it, as it was."""
        before, beside = bot_reading.content(file), _beside(file)
        run = act()
        row = Row(what, run.seconds, run.peak_mb, problems=run.problems())
        row.problems += _unlike(before, bot_reading.content(file))
        if _beside(file) != beside:
            row.problems.append(f"beside the file were {beside}, now {_beside(file)}")
        had = summed_messages(file)
        row.messages, row.checksum = had.count, str(had)
        return row

    def _row(self, what: str, run: Run, had: Content) -> Row:
        return Row(what, run.seconds, run.peak_mb, had["messages"].count, str(had["messages"]))

    def _run(self, command: Sequence[Path | str], file: Path, kill_after: float | None = None) -> Run:
        return _execute(command, self._folder, f"sqlite:///{file}", kill_after)

    def _named(self) -> Path:
        """A new name in a folder of its own, so that what a command puts beside the file is seen."""
        self._made += 1
        folder = self._folder / str(self._made)
        folder.mkdir()
        return folder / "bot.db"

    def _copy(self) -> Path:
        return Path(shutil.copyfile(self._file, self._named()))

    def _installed(self, empty: Path) -> Path:
        return Path(shutil.copyfile(empty, self._named()))


def summed_messages(file: Path) -> Sum:
    """The sum of the messages, when the tables are the service's."""
    if not {"users", "messages"} <= set(bot_reading.tables(file)):
        return Sum()
    return bot_reading.summed(line.text for line in Service(bot_reading.sqlite_rows(file)).messages())


def _taken(file: Path) -> int:
    if not {"users", "messages"} <= set(bot_reading.tables(file)):
        return 0
    ((count,),) = bot_reading.sqlite_rows(file)("SELECT count(*) FROM messages")
    return int(count)


def _unlike(before: Content, after: Content, prefix: str = "") -> list[str]:
    """The tables whose rows are others now."""
    return [
        f"{prefix}{name}: {_shown(after.get(name))}, expected {_shown(before.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _shown(one: Sum | None) -> str:
    return "no such table" if one is None else f"{one.count} rows with checksum {one}"


def _beside(file: Path) -> list[str]:
    """The names of what lies beside a file; SQLite's own journals come and go."""
    names = (one.name for one in file.parent.iterdir())
    return sorted(
        name for name in names if name not in {f"{file.name}{end}" for end in ("", "-wal", "-shm", "-journal")}
    )


def _backups(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{file.name}*.backup"))


def _is_bots(file: Path) -> bool:
    try:
        found = set(bot_reading.tables(file))
    except sqlite3.Error:
        return False
    return found >= set(bot_reading.TABLES) and "users" not in found


def _remove(file: Path) -> None:
    shutil.rmtree(file.parent)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def _own_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _execute(command: Sequence[Path | str], folder: Path, url: str, kill_after: float | None = None) -> Run:
    """Run a command on a database, to its end or to its SIGKILL; nothing of the caller's own settings goes along."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    env = {**kept, "DATABASE_URL": url, "KEY_PEPPER": "pepper", "LOG_FORMAT": "json"}
    log = folder / "log"
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)  # noqa: S603
        try:
            status, usage = _waited(process, kill_after)
        finally:
            process.kill()  # does nothing once it has a return code
            process.wait()
    code = os.waitstatus_to_exitcode(status)
    return Run(code, time.perf_counter() - begun, usage.ru_maxrss / 1024, log.read_text(errors="replace"))


def _waited(process: subprocess.Popen[bytes], kill_after: float | None) -> tuple[int, resource.struct_rusage]:
    deadline = None if kill_after is None else time.monotonic() + kill_after
    pid, status, usage = os.wait4(process.pid, os.WNOHANG if deadline else 0)
    while deadline and not pid and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if not pid:
        process.kill()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # reaped here, for its memory; Popen has to know
    return status, usage


def table(rows: Sequence[Row]) -> str:
    """The rows as a table; under it what differs, and what is worth a look."""
    cells = [["what", "seconds", "peak MB", "messages", "checksum", "ids", "ok"], *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells]
    text += [f"{row.what}: WRONG: {one}" for row in rows for one in row.problems]
    text += [f"{row.what}: {one}" for row in rows for one in row.notes]
    return "\n".join(text)


def _cells(row: Row) -> list[str]:
    messages = "-" if row.messages is None else f"{row.messages:,}"
    ok = "yes" if row.ok else "no"
    return [row.what, f"{row.seconds:.2f}", f"{row.peak_mb:.0f}", messages, row.checksum or "-", row.ids or "-", ok]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a SQLite file as the bot wrote it; it is only read")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--kills", type=_positive, default=10, help="how often each run is killed (10)")
    parser.add_argument("--postgres", action="store_true", help="import into PostgreSQL too")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of the kills")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _asked_to_stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that a bench that is told to end stops its processes and removes its copies too


def _rows(given: argparse.Namespace) -> list[Row]:
    file = given.file.resolve(strict=True)
    if Path(f"{file}-wal").exists() or Path(f"{file}-journal").exists():
        raise Broken(f"{file} has a journal beside it: somebody writes to it; give a copy")
    rows = []
    with tempfile.TemporaryDirectory(prefix="adoption-", dir=file.parent) as folder:
        chance = random.Random(given.seed)  # noqa: S311 - moments to kill at, no secrets
        for row in Adoption(file, Path(folder), given.kills, chance).rows(postgres=given.postgres):
            print(
                f"{row.what}: {'ok' if row.ok else 'WRONG'}, {row.seconds:.1f} s, {row.peak_mb:.0f} MB", file=sys.stderr
            )
            rows.append(row)
    return rows


def main() -> int:
    """Run, print, and return 0 only when everything holds."""
    given = _arguments()
    signal.signal(signal.SIGTERM, _asked_to_stop)
    print(f"seed {given.seed}", file=sys.stderr)
    try:
        rows = _rows(given)
    except (Broken, bot_reading.Unreadable, OSError, sqlite3.Error, asyncpg.PostgresError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if given.json:
        print(json.dumps({"seed": given.seed, "rows": [{**asdict(row), "ok": row.ok} for row in rows]}, indent=2))
    else:
        print(table(rows), f"seed {given.seed}", sep="\n")
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
