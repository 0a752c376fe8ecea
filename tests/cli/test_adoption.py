"""The existing bot comes along: in place, from its file, again, and after being killed."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from convo_service.db import migrations
from tests.bot import ALTERED, CONVERSATIONS, MESSAGES, PROFILES, SCHEMA, Bot, content, grown, rows
from tests.cli.shell import COMMAND, Runner

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(run: Runner) -> Path:
    """Where the installation has its database."""
    path = run.folder / "data" / "convo.db"
    path.parent.mkdir()
    return path


@pytest.fixture
def bot(file: Path) -> Bot:
    """A bot with a little of everything, where the installation will have its database."""
    return small(file)


def small(path: Path, schema: str = SCHEMA) -> Bot:
    """A little of everything."""
    bot = Bot(path, schema)
    bot.talk(
        "+393331111111",
        "conv_anna",
        ("user", "Buongiorno", "2026-07-01T10:00:00"),
        ("bot", "Buongiorno Anna", "2026-07-01 10:00:05"),
        ("user", "A che punto è l'ordine 4471?", "2026-01-10T09:30:00.000123"),
    )
    bot.talk("393331111111", None, ("user", "Senza più", "2026-07-02T10:00:00"))
    bot.talk("+39 333 222 2222", None, ("user", "Siete aperti?", "2026-10-25T02:30:00"), ("bot", None, None))
    bot.talk("nessuno\x01", "conv_nobody", ("user", "Chi sono?", "2026-07-01T10:00:00"))
    bot.add("conversations", phone_number="+393333333333", conversation_id="conv_empty", created_at=None)
    bot.add("profiles", ("+393331111111", "Anna", None, "", "anna@example.it", 0, None))
    bot.add("profiles", ("393331111111", "Anna", "Neri", "Molino Neri", None, 0, "2026-07-01 10:00:00"))
    return bot


def url(file: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{file}"


def backups(file: Path) -> list[Path]:
    """The copies that were made of a file."""
    return sorted(file.parent.glob(f"{file.name}.*.backup"))


def test_in_place(run: Runner, bot: Bot, file: Path) -> None:
    """`migrate` takes the bot's file over: people, conversations, messages and profiles, and keeps the bot's rows."""
    before = bot.dump()
    done = run("migrate")
    assert done.returncode == 0, done.stderr
    kept = Bot(file, "").dump("legacy_")
    assert kept == before
    conversations = {row["id"]: row for row in rows(url(file), CONVERSATIONS)}
    assert conversations.keys() == {"conv_anna", "conv_empty"}
    anna = conversations["conv_anna"]
    assert (anna["identity"], anna["is_active"], anna["created_reason"], anna["number"]) == (
        "+393331111111", True, "imported", True,
    )  # fmt: skip
    assert (anna["message_count"], anna["total"], anna["conversation_count"]) == (4, 4, True)
    assert (anna["last_message_at"], anna["last_inbound_at"]) == ("2026-07-02 08:00:00.000000",) * 2
    said = [(row["identity"], row["conversation_id"], row["text"], row["sent_at"]) for row in rows(url(file), MESSAGES)]
    assert said == [
        ("+393331111111", "conv_anna", "A che punto è l'ordine 4471?", "2026-01-10 08:30:00.000123"),
        ("+393331111111", "conv_anna", "Buongiorno", "2026-07-01 08:00:00.000000"),
        ("+393331111111", "conv_anna", "Buongiorno Anna", "2026-07-01 08:00:05.000000"),
        ("+393331111111", "conv_anna", "Senza più", "2026-07-02 08:00:00.000000"),
        ("+393332222222", None, "", "2026-10-25 00:30:00.000000"),
        ("+393332222222", None, "Siete aperti?", "2026-10-25 00:30:00.000000"),
    ]
    (profile,) = rows(url(file), PROFILES)
    assert (profile["last_name"], profile["ragione_sociale"], profile["email"]) == (
        "Neri", "Molino Neri", "anna@example.it",
    )  # fmt: skip
    assert profile["search_text"] == "anna neri molino neri"


def test_the_report(run: Runner, bot: Bot) -> None:
    """What was taken, joined, repaired and refused is said, line by line."""
    lines = run("migrate").stdout.splitlines()
    counts = {match[3]: (match[1], int(match[2])) for line in lines if (match := re.match(r"(\w+) +(\d+)  (.+)", line))}
    assert counts == {
        "people": ("taken", 3),
        "conversations": ("taken", 2),
        "messages": ("taken", 6),
        "profiles": ("taken", 1),
        "numbers that another spelling stands for": ("joined", 1),
        "messages without a text": ("repaired", 1),
        "messages without a conversation": ("repaired", 2),
        "times in an hour that exists twice, read as the first": ("repaired", 1),
        "times missing or unreadable, taken from the message before": ("repaired", 1),
        "rows of a number that is none": ("refused", 2),
    }
    assert "What was refused (2) stays where it was, in the bot's own tables." in lines


def test_the_bot_cannot_write_any_more(run: Runner, bot: Bot) -> None:
    """After the upgrade a bot that still runs gets an error, and nothing of it is half written."""
    run("migrate")
    with pytest.raises(sqlite3.OperationalError, match="phone_number"):
        bot.talk("+393331111111", None, ("user", "ancora io", "2026-07-03T10:00:00"))


@pytest.mark.parametrize("by", ["migrate", "alembic"])
def test_backup(run: Runner, bot: Bot, file: Path, by: str) -> None:
    """Whichever command upgrades, the file as it was lies beside it, as readable as it was; again makes no other."""
    file.chmod(0o640)
    before = bot.dump()
    upgrade(run, by)
    (backup,) = backups(file)
    assert Bot(backup, "").dump() == before
    assert backup.stat().st_mode & 0o777 == 0o640
    after = content(url(file))
    upgrade(run, by)
    assert (backups(file), content(url(file))) == ([backup], after)


def upgrade(run: Runner, by: str) -> None:
    """Upgrade with our command, or with Alembic's own."""
    command = [*COMMAND, "migrate"] if by == "migrate" else [sys.executable, "-m", "alembic", "upgrade", "head"]
    folder = run.folder if by == "migrate" else ROOT
    subprocess.run(command, cwd=folder, env=run.environment, check=True, capture_output=True)  # noqa: S603


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("CREATE TABLE orders (id INTEGER)", "it has orders, and no", id="another application's"),
        pytest.param(SCHEMA.replace("sender", "author"), "no column sender", id="a bot's, but not this one's"),
        pytest.param(SCHEMA + "CREATE TABLE users (id INTEGER)", "it has users beside", id="a name that is needed"),
    ],
)
@pytest.mark.parametrize("by", ["migrate", "alembic"])
def test_a_foreign_database(run: Runner, file: Path, script: str, said: str, by: str) -> None:
    """A database that is neither empty nor the bot's is refused, and not a byte of it changes."""
    Bot(file, script)
    before = file.read_bytes()
    if by == "migrate":
        done = run("migrate")
    else:
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        done = subprocess.run(command, cwd=ROOT, env=run.environment, capture_output=True, text=True)  # noqa: S603
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert (file.read_bytes(), [path.name for path in file.parent.iterdir()]) == (before, ["convo.db"])


def test_no_command_changes_a_foreign_database(run: Runner, file: Path) -> None:
    """`serve` and `keys` only look at a database that is not migrated."""
    Bot(file, SCHEMA)
    before = file.read_bytes()
    for command in (["serve", "--emulator"], ["keys", "list"]):
        assert "convo-service migrate" in run(*command).stderr
    assert file.read_bytes() == before


def test_what_is_no_database(run: Runner, file: Path) -> None:
    """A file of something else is one line, and stays."""
    file.write_text("Gentile cliente, " * 500)
    done = run("migrate")
    assert (done.returncode, "Traceback" in done.stderr, "not a database" in done.stderr) == (1, False, True)
    assert file.read_text() == "Gentile cliente, " * 500


def test_altered_by_hand(run: Runner, file: Path) -> None:
    """A bot whose columns were added by hand, halfway, is taken over as well; what it closed stays closed."""
    bot = small(file)
    bot.run(ALTERED)
    bot.run("UPDATE conversations SET is_active = 0 WHERE conversation_id = 'conv_anna'")
    before = bot.dump()
    assert run("migrate").returncode == 0
    assert Bot(file, "").dump("legacy_") == before
    found = {row["id"]: (row["is_active"], row["closed_reason"]) for row in rows(url(file), CONVERSATIONS)}
    assert found == {"conv_anna": (False, "idle_timeout"), "conv_empty": (True, None)}


def test_two_numbers_of_one_person(run: Runner, file: Path) -> None:
    """Two conversations under two spellings are one person's: the newest stays open, the other is history."""
    bot = Bot(file)
    bot.talk("+393331111111", "conv_old", ("user", "primo", "2026-01-10T10:00:00"))
    bot.talk("00393331111111", "conv_new", ("user", "secondo", "2026-02-10T10:00:00"))
    bot.talk("+393332222222", "conv_old", ("user", "di un altro", "2026-01-11T10:00:00"))
    assert "conversations whose id belongs to somebody else" in run("migrate").stdout
    found = [
        (row["id"], row["number"], row["is_active"], row["closed_reason"], row["parent_conversation_id"])
        for row in rows(url(file), CONVERSATIONS)
    ]
    assert found == [("conv_old", 1, False, "imported", None), ("conv_new", 2, True, None, "conv_old")]
    assert [row["conversation_id"] for row in rows(url(file), MESSAGES)] == ["conv_old", "conv_new", None]


def test_without_an_index(run: Runner, file: Path) -> None:
    """A bot without an index, and with a table of its own beside, is read all the same."""
    bot = grown(file, people=30, messages=300)
    bot.run("DROP INDEX idx_messages_phone; CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1)")
    count = len(bot.dump()[1])
    assert run("migrate").returncode == 0
    assert len(rows(url(file), MESSAGES)) == count > 200


@pytest.mark.parametrize("altered", [False, True])
def test_down_and_up_again(run: Runner, file: Path, altered: bool) -> None:
    """Down to nothing the file is the bot's again, row for row; up again it says the same as before."""
    bot = grown(file, people=20, messages=400)
    bot.run(ALTERED if altered else "")
    before = bot.dump()
    run("migrate")
    after = content(url(file))
    down = [sys.executable, "-m", "alembic", "downgrade", "base"]
    subprocess.run(down, cwd=ROOT, env=run.environment, check=True, capture_output=True)  # noqa: S603
    assert bot.dump() == before
    with closing(sqlite3.connect(file)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"conversations", "messages", "profiles", "alembic_version", "sqlite_sequence"}
    run("migrate")
    assert content(url(file)) == after
    assert len(backups(file)) == 3  # before each: what was written here since is not lost by going down


def installation(run: Runner, url_: str) -> Runner:
    """A migrated installation of its own."""
    made = Runner(run.folder, {**run.environment, "DATABASE_URL": url_})
    assert made("migrate").returncode == 0
    return made


def test_import(run: Runner, tmp_path: Path, empty_url: str) -> None:
    """The bot's file goes into a running installation as it would in place, and a second time changes nothing."""
    bot = grown(tmp_path / "bot.db", people=40, messages=1200)
    before = bot.path.read_bytes()
    made = installation(run, empty_url)
    dry = made("import-legacy", str(bot.path), "--dry-run")
    assert dry.stdout.splitlines()[-1] == "A dry run: nothing was written."
    assert content(empty_url) == [[], [], []]
    done = made("import-legacy", str(bot.path))
    assert dry.stdout.splitlines()[:-1] == done.stdout.splitlines()
    imported = content(empty_url)
    assert len(imported[1]) == len(bot.dump()[1]) > 1000
    again = made("import-legacy", str(bot.path))
    assert ("taken" in again.stdout, f"{len(imported[1]):,}  messages that are known" in again.stdout) == (False, True)
    assert content(empty_url) == imported
    assert bot.path.read_bytes() == before
    shutil.copy(bot.path, tmp_path / "place.db")
    installation(run, url(tmp_path / "place.db"))
    # A conversation that nobody knows the beginning of began when it was taken over, if it has no message.
    assert undated(content(url(tmp_path / "place.db"))) == undated(imported)


def undated(found: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Content without the times of conversations that have no message."""
    conversations, *rest = found
    times = ("created_at", "last_message_at", "last_inbound_at", "first_seen_at", "last_seen_at", "closed_at")
    plain = [row if row["message_count"] else {**row, **dict.fromkeys(times)} for row in conversations]
    return [plain, *rest]


def test_import_of_what_came_since(run: Runner, tmp_path: Path, empty_url: str) -> None:
    """While the old bot still runs, the import is repeated: new messages go to their conversations, once."""
    bot = small(tmp_path / "bot.db")
    made = installation(run, empty_url)
    made("import-legacy", str(bot.path))
    bot.talk("+393331111111", None, ("user", "Novità?", "2026-07-05T10:00:00"))
    bot.talk("+393332222222", "conv_found", ("user", "Rieccomi", "2026-10-26T10:00:00"))
    bot.run("UPDATE profiles SET email = 'a@molino.it', updated_at = '2026-07-06' WHERE phone_number = '393331111111'")
    again = made("import-legacy", str(bot.path))
    lines = [line.split(maxsplit=2) for line in again.stdout.splitlines()]
    taken = {line[2]: int(line[1]) for line in lines if line[0] in ("taken", "joined")}
    assert taken == {
        "conversations": 1,
        "messages": 2,
        "numbers that another spelling stands for": 2,
        "profiles added to one that is there": 1,
        "messages that found their conversation": 2,
    }
    fresh = installation(run, url(tmp_path / "fresh.db"))
    fresh("import-legacy", str(bot.path))
    assert undated(content(empty_url)) == undated(content(url(tmp_path / "fresh.db")))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda _path: None, "there is no such file", id="no file"),
        pytest.param(lambda path: path.write_text("ciao " * 999), "not a database", id="a text"),
        pytest.param(lambda path: path.touch(), "it is empty", id="an empty file"),
        pytest.param(lambda path: Bot(path, "CREATE TABLE a (b)"), "it has a, and no", id="another application's"),
    ],
)
def test_import_of_something_else(run: Runner, file: Path, tmp_path: Path, make: Any, said: str) -> None:
    """What is not the bot's is one line."""
    made = installation(run, url(file))
    make(tmp_path / "bot.db")
    done = made("import-legacy", str(tmp_path / "bot.db"))
    assert (done.returncode > 0, said in done.stderr, len(done.stderr.splitlines())) == (True, True, 1)


def test_import_into_itself(run: Runner, bot: Bot, file: Path) -> None:
    """The installation's own database is not imported into itself; before `migrate` nothing is imported."""
    assert "in place" in run("import-legacy", str(file)).stderr
    other = small(run.folder / "other.db")
    assert "convo-service migrate" in run("import-legacy", str(other.path)).stderr


def test_a_zone_that_is_none(run: Runner) -> None:
    """LEGACY_TIMEZONE has to be a zone."""
    done = run("migrate", LEGACY_TIMEZONE="Europe/Roma")
    assert (done.returncode, done.stderr) == (
        2, "LEGACY_TIMEZONE: Value error, must be a time zone such as Europe/Rome\n",
    )  # fmt: skip


def killed(run: Runner, *arguments: str, when: Callable[[], bool], after: float = 0) -> None:
    """Start a command and kill it when something is so, or some seconds later; it may have ended before."""
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, *arguments], cwd=run.folder, env=run.environment, stdout=subprocess.DEVNULL
    )
    while not when() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_in_place(run: Runner, file: Path, tmp_path: Path) -> None:
    """An upgrade that is killed leaves the bot's file as it was; the next one goes through, with one backup."""
    bot = grown(file, people=60, messages=6000)
    shutil.copy(file, tmp_path / "calm.db")
    installation(run, url(tmp_path / "calm.db"))
    before = bot.dump()
    for attempt in range(3):
        killed(run, "migrate", when=lambda: len(backups(file)) > 0, after=0.1 * attempt)
        assert bot.dump() == before
    assert run("migrate").returncode == 0
    assert undated(content(url(file))) == undated(content(url(tmp_path / "calm.db")))
    assert len(backups(file)) == 1
    assert sorted(path.name for path in file.parent.glob("*.partial")) == []


def test_killed_import(run: Runner, file: Path, tmp_path: Path) -> None:
    """An import that is killed has taken whole people; the next one takes the rest, and nothing twice."""
    bot = grown(tmp_path / "bot.db", people=60, messages=9000)
    made = installation(run, url(file))

    def people() -> int:
        with closing(sqlite3.connect(file)) as connection:
            return int(connection.execute("SELECT count(*) FROM users").fetchone()[0])

    seen = [0]
    while people() == seen[-1] and len(seen) < 4:
        killed(made, "import-legacy", str(bot.path), when=lambda: people() > seen[-1])
        seen.append(people())
    assert seen[0] < seen[-1]
    assert made("import-legacy", str(bot.path)).returncode == 0
    calm = installation(run, url(tmp_path / "calm.db"))
    calm("import-legacy", str(bot.path))
    assert undated(content(url(file))) == undated(content(url(tmp_path / "calm.db")))


def test_revision(run: Runner, bot: Bot) -> None:
    """The revision that takes the bot over is one of the scripts, so an installed service knows it."""
    assert migrations.knows("0008")
