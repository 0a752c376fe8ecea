"""The existing bot comes along: in place, from its file, again, and after being killed."""

import fcntl
import glob
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.bot import (
    ALTERED,
    CONVERSATIONS,
    MESSAGES,
    PROFILES,
    SCHEMA,
    Bot,
    content,
    grown,
    rows,
    small,
    undated,
    url,
)
from tests.cli.shell import COMMAND, Runner, installation, killed

SQLITE_HEADER = 100  # bytes; a journal mode stands there
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bot(file: Path) -> Bot:
    """A bot with a little of everything, where the installation will have its database."""
    return small(file)


def backups(file: Path) -> list[Path]:
    """The copies that were made of a file."""
    return sorted(file.parent.glob(f"{glob.escape(file.name)}.*.backup"))


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
        ("+393332222222", None, "Siete aperti?", "2026-10-25 00:30:00.000000"),
        ("+393332222222", None, "", "2026-10-25 00:30:00.000000"),
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
        "times missing or unreadable, taken from a message beside": ("repaired", 1),
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
        pytest.param(SCHEMA + "CREATE VIEW users AS SELECT 1 AS a", "it has users beside", id="a view"),
        pytest.param(SCHEMA + "CREATE TABLE legacy_messages (a)", "it has legacy_messages beside", id="another name"),
        pytest.param(
            SCHEMA + "CREATE INDEX ix_conversations_id ON conversations (conversation_id)",
            "ix_conversations_id",
            id="an index",
        ),
        pytest.param("PRAGMA encoding = 'UTF-16le';" + SCHEMA, "its texts are in UTF-16le", id="UTF-16"),
        pytest.param("CREATE TABLE orders (id INTEGER)", "it has orders, and no", id="another application's"),
        pytest.param(SCHEMA.replace("sender", "author"), "no column sender", id="a bot's, but not this one's"),
        pytest.param(SCHEMA + "CREATE TABLE users (id INTEGER)", "it has users beside", id="a name that is needed"),
    ],
)
def test_a_foreign_database(run: Runner, file: Path, script: str, said: str) -> None:
    """A database that is neither empty nor the bot's is refused, and not a byte of it changes."""
    Bot(file, script)
    before = file.read_bytes()
    done = run("migrate")
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert (file.read_bytes(), [path.name for path in file.parent.iterdir()]) == (before, ["convo.db"])


@pytest.mark.parametrize(
    ("script", "more", "said"),
    [
        pytest.param(
            "CREATE TABLE orders (id INTEGER)", {}, "neither empty nor the bot's: it has orders", id="foreign"
        ),
        pytest.param(SCHEMA, {"LEGACY_TIMEZONE": "Europe/Roma"}, "LEGACY_TIMEZONE: must be a time zone", id="a zone"),
        pytest.param(SCHEMA, {"ROLLOUT_USERS": "a\x01b"}, "ROLLOUT_USERS: ", id="a user"),
        pytest.param(
            "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('9999')",
            {},
            "at revision 9999, which this code does not know",
            id="a newer one",
        ),
        pytest.param(
            "", {"DATABASE_URL": "sqlite:////proc/none/convo.db"}, "cannot be used: No such file", id="no folder"
        ),
        pytest.param("", {"DATABASE_URL": "postgresql://127.0.0.1:9/d"}, "nobody answers there", id="no server"),
    ],
)
def test_alembic_says_it_in_words(run: Runner, file: Path, script: str, more: dict[str, str], said: str) -> None:
    """Plain `alembic upgrade head` ends in one line with the reason, and leaves the file as it was."""
    Bot(file, script)
    before = file.read_bytes()
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env={**run.environment, **more}, capture_output=True, text=True
    )
    assert (done.returncode > 0, said in done.stdout + done.stderr, "Traceback" in done.stderr) == (True, True, False)
    assert file.read_bytes()[SQLITE_HEADER:] == before[SQLITE_HEADER:]


def test_a_bot_in_the_middle_of_a_write(run: Runner, bot: Bot, file: Path) -> None:
    """While the bot holds its file nothing is changed, and who is asked to stop is said."""
    before = bot.dump()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        done = run("migrate")
    assert (done.returncode, "is the bot stopped?" in done.stderr, bot.dump()) == (1, True, before)


def test_two_upgrades_at_once(run: Runner, bot: Bot, file: Path) -> None:
    """Two that start together do the work once, with one backup."""
    both = [
        subprocess.Popen([*COMMAND, "migrate"], cwd=run.folder, env=run.environment, stdout=subprocess.PIPE)  # noqa: S603
        for _ in range(2)
    ]
    said = [one.communicate(timeout=60)[0].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert (sum("people" in one for one in said), len(backups(file))) == (1, 1)


def waits(process: int) -> bool:
    """Whether a process stands in front of a lock, as the system tells."""
    return any("->" in line and f" {process} " in line for line in Path("/proc/locks").read_text().splitlines())


@pytest.mark.parametrize("interrupted", [False, True])
def test_waiting_for_another_upgrade(run: Runner, bot: Bot, file: Path, interrupted: bool) -> None:
    """Who comes second waits without touching anything, goes on when the first has ended, and can be stopped."""
    folder = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, "migrate"], cwd=run.folder, env=run.environment, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 30
    while not waits(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert waits(process.pid)
    assert backups(file) == []
    if interrupted:
        process.send_signal(signal.SIGINT)
    else:
        os.close(folder)
    said = process.communicate(timeout=120)[1]
    if interrupted:
        os.close(folder)
    expected = (130, "Stopped, and nothing was changed.\n", 0) if interrupted else (0, "", 1)
    assert (process.returncode, said, len(backups(file))) == expected


STRANGE = """
CREATE TABLE Conversations (extra, Conversation_ID, created_at, PHONE_NUMBER INTEGER);
CREATE TABLE messages (timestamp, message, sender, phone_number TEXT COLLATE NOCASE, id);
CREATE TABLE profiles (phone_number, name, last_name, ragione_sociale, email);
CREATE VIEW everything AS SELECT * FROM messages;
INSERT INTO conversations VALUES (1, 'conv_anna', '2026-07-01T10:00:00', 393331111111);
INSERT INTO conversations VALUES (1, 'conv_bsuid', '2026-07-01T10:00:00', 'IT.abc123');
INSERT INTO messages VALUES ('2026-07-01T10:00:00', X'636974E0', 'user', '+393331111111', 'primo');
INSERT INTO messages VALUES ('2026-07-01T10:00:00', 'ciao', 'user', 393331111111, NULL);
INSERT INTO messages VALUES ('2026-07-01T10:00:00', 'ciao', 'user', 393331111111, NULL);
INSERT INTO messages VALUES ('2026-07-01T10:00:01', 'a' || char(0) || 'b', 'bot', '39 333 111 1111', 2.5);
INSERT INTO messages VALUES ('2026-07-01T10:00:00', 'sono IT.abc123', 'user', 'IT.abc123', 7);
INSERT INTO profiles VALUES (393331111111, 'Anna', NULL, NULL, NULL);
"""


def test_a_strange_bot(run: Runner, file: Path) -> None:
    """Types, collations, ids, orders and cases of columns are a bot's own affair; the same row twice is one message."""
    Bot(file, STRANGE)
    assert run("migrate").returncode == 0
    said = {(row["conversation_id"], row["text"]) for row in rows(url(file), MESSAGES)}
    assert said == {
        ("conv_anna", "cit\ufffd"),
        ("conv_anna", "ciao"),
        ("conv_anna", "ab"),
        ("conv_bsuid", "sono IT.abc123"),
    }
    assert len(rows(url(file), MESSAGES)) == 4
    assert rows(url(file), PROFILES)[0]["name"] == "Anna"


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


def test_a_zone_that_is_none(run: Runner) -> None:
    """LEGACY_TIMEZONE has to be a zone."""
    done = run("migrate", LEGACY_TIMEZONE="Europe/Roma")
    assert (done.returncode, done.stderr) == (2, "LEGACY_TIMEZONE: must be a time zone such as Europe/Rome\n")


def test_killed_in_place(run: Runner, tmp_path: Path) -> None:
    """An upgrade that is killed leaves the bot's file as it was; the next one goes through, with one backup."""
    file = tmp_path / "il bot [1].db"
    run = Runner(run.folder, {**run.environment, "DATABASE_URL": f"sqlite:///{file}"})
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
