"""What the bot's file has goes into a running installation: once, whole, and as often as it is asked."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.bot import Bot, content, grown, small, undated, url
from tests.cli.shell import Runner, installation, killed


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


def test_import_into_itself(run: Runner, file: Path) -> None:
    """The installation's own database is not imported into itself; before `migrate` nothing is imported."""
    small(file)
    assert "in place" in run("import-legacy", str(file)).stderr
    other = small(run.folder / "other.db")
    assert "convo-service migrate" in run("import-legacy", str(other.path)).stderr


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


def test_import_of_a_file_that_is_held(run: Runner, file: Path, tmp_path: Path) -> None:
    """A file that another process holds is waited for a few seconds, and then it is said."""
    made = installation(run, url(file))
    bot = small(tmp_path / "bot.db")
    with closing(sqlite3.connect(bot.path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        done = made("import-legacy", str(bot.path))
    assert (done.returncode, "another process" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)


def test_import_after_adoption(run: Runner, file: Path) -> None:
    """The copy that an upgrade in place leaves has nothing that was not taken."""
    small(file)
    run("migrate")
    after = content(url(file))
    (backup,) = file.parent.glob("*.backup")
    assert "taken" not in run("import-legacy", str(backup)).stdout
    assert content(url(file)) == after


def test_a_dry_run_says_what_a_real_one_does(run: Runner, tmp_path: Path) -> None:
    """One id of OpenAI's under many people, further apart than a batch, is one person's in a dry run as well."""
    bot = Bot(tmp_path / "bot.db")
    bot.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) "
        "INSERT INTO conversations SELECT '+39333' || printf('%07d', i), 'conv_' || (i % 7), '2026-01-01 10:00' FROM n"
    )
    made = installation(run, url(tmp_path / "new.db"))
    dry = made("import-legacy", str(bot.path), "--dry-run").stdout.splitlines()
    assert dry[:-1] == made("import-legacy", str(bot.path)).stdout.splitlines()
    assert "1,193  conversations whose id belongs to somebody else" in dry[-3]
