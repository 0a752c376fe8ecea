"""Migrations: up, down, up on both databases, no drift, and rows that are moved come out right."""

import asyncio
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from convo_service.db import migrations
from convo_service.db.models import Base
from tests.bot import content
from tests.databases import on

ROOT = Path(__file__).resolve().parents[1]


def tables(url: str) -> set[str]:
    """The tables that exist."""
    return on(url, lambda connection: set(sa.inspect(connection).get_table_names())) - {"alembic_version"}


def drift(connection: sa.Connection) -> list[Any]:
    """What the models say and the tables do not, and the other way round."""
    options = {"include_name": migrations.is_modelled}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


def test_head() -> None:
    """The code names the revision that the scripts end with."""
    script = ScriptDirectory(str(migrations.scripts()))
    assert script.get_heads() == [migrations.HEAD]


def test_up_down_up(empty_url: str) -> None:
    """Every revision can be taken back and taken again; at the end the tables are what the models say."""
    config = migrations.config(empty_url)
    revisions = [script.revision for script in ScriptDirectory(str(migrations.scripts())).walk_revisions()][::-1]
    for revision in revisions:
        before = tables(empty_url)
        command.upgrade(config, revision)
        command.downgrade(config, "-1")
        assert tables(empty_url) == before
        command.upgrade(config, revision)
    assert on(empty_url, drift) == []
    command.downgrade(config, "base")
    assert tables(empty_url) == set()


def test_the_first_revision_is_the_bot(empty_url: str) -> None:
    """The first revision makes the tables as the existing bot has them."""
    command.upgrade(migrations.config(empty_url), "0001")

    def columns(connection: sa.Connection) -> dict[str, list[str]]:
        found = sa.inspect(connection)
        return {
            table: [column["name"] for column in found.get_columns(table)]
            for table in ("conversations", "messages", "profiles")
        }

    assert on(empty_url, columns) == {
        "conversations": ["phone_number", "conversation_id", "created_at"],
        "messages": ["id", "phone_number", "sender", "message", "timestamp"],
        "profiles": ["phone_number", "name", "last_name", "ragione_sociale", "email", "found_all_info"],
    }


def test_backfill_of_last_message_at(empty_url: str) -> None:
    """The second revision fills last_message_at from the newest message, else from the conversation's creation."""
    config = migrations.config(empty_url)
    command.upgrade(config, "0001")

    def fill(connection: sa.Connection) -> None:
        for statement in (
            "INSERT INTO conversations VALUES ('+391', 'conv_1', '2026-01-01 10:00:00')",
            "INSERT INTO conversations VALUES ('+392', 'conv_2', '2026-01-02 10:00:00')",
            "INSERT INTO messages (phone_number, sender, message, timestamp) "
            "VALUES ('+391', 'user', 'ciao', '2026-01-05 08:00:00')",
            "INSERT INTO messages (phone_number, sender, message, timestamp) "
            "VALUES ('+391', 'bot', 'Buongiorno', '2026-01-05 08:00:05')",
        ):
            connection.execute(sa.text(statement))

    on(empty_url, fill)
    command.upgrade(config, "0002")
    query = sa.text(
        "SELECT conversation_id, last_message_at, is_active, parent_conversation_id FROM conversations ORDER BY 1"
    )
    rows = on(empty_url, lambda connection: connection.execute(query).all())
    assert [(row[0], str(row[1])[:19], bool(row[2]), row[3]) for row in rows] == [
        ("conv_1", "2026-01-05 08:00:05", True, None),
        ("conv_2", "2026-01-02 10:00:00", True, None),
    ]


ANNA = (
    "INSERT INTO conversations (phone_number, conversation_id, created_at) "
    "VALUES ('+39333111', 'conv_1', '2026-07-01 10:00:00')",
    "INSERT INTO messages (phone_number, sender, message, timestamp) "
    "VALUES ('39333111', 'user', 'ciao', '2026-07-01 10:00:00')",
    "INSERT INTO messages (phone_number, sender, message, timestamp) "
    "VALUES ('+39333111', 'bot', NULL, '2026-10-25 02:30:00')",
    "INSERT INTO profiles (phone_number, name) VALUES ('+39333111', 'Anna')",
)


def execute(*statements: str) -> Callable[[sa.Connection], None]:
    """Run statements."""

    def run(connection: sa.Connection) -> None:
        for statement in statements:
            connection.execute(sa.text(statement))

    return run


@pytest.mark.parametrize("versioned", [True, False])
def test_rows_of_the_bot(empty_url: str, versioned: bool) -> None:
    """The bot's rows are taken over on both databases, stay in their own tables, and survive the way down and up."""
    config = migrations.config(empty_url)
    command.upgrade(config, "0001")
    on(empty_url, execute(*ANNA, *(() if versioned else ("DROP TABLE alembic_version",))))
    command.upgrade(config, "head")
    (conversation,), messages, (profile,) = taken = content(empty_url)
    assert (conversation["id"], conversation["identity"], conversation["is_active"]) == ("conv_1", "+39333111", True)
    assert conversation["is_taken"] is True
    assert [(row["direction"], row["text"], row["sent_at"]) for row in messages] == [
        ("inbound", "ciao", "2026-07-01 08:00:00.000000"),
        ("outbound", "", "2026-10-25 00:30:00.000000"),
    ]
    assert profile["name"] == "Anna"
    count = sa.text("SELECT count(*) FROM legacy_messages")
    assert on(empty_url, lambda connection: connection.scalar(count)) == 2
    for revision in ("0007", "0006", "0005", "0004", "0003", "0002", "0001", "base"):
        command.downgrade(config, revision)
        command.upgrade(config, "head")
        assert content(empty_url) == taken
    assert on(empty_url, drift) == []


@pytest.mark.parametrize("empty_url", ["postgres"], indirect=True)
def test_a_foreign_database(empty_url: str) -> None:
    """A database that is neither empty nor the bot's is refused, and nothing is left in it."""
    on(empty_url, execute("CREATE TABLE orders (id INTEGER)"))
    with pytest.raises(CommandError, match="it has orders, and no conversations, messages, profiles"):
        command.upgrade(migrations.config(empty_url), "head")
    assert on(empty_url, lambda connection: sa.inspect(connection).get_table_names()) == ["orders"]


@pytest.mark.parametrize("empty_url", ["postgres"], indirect=True)
def test_the_script_takes_no_rows(empty_url: str) -> None:
    """The printed script works on a database without rows of the bot's, and stops at one that has some."""
    script = offline(empty_url).stdout
    at = script.index("ALTER TABLE conversations RENAME")
    with pytest.raises(asyncpg.RaiseError, match="not by its --sql"):
        asyncio.run(run_script(empty_url, script[:at] + "; ".join(ANNA) + ";" + script[at:]))
    asyncio.run(run_script(empty_url, script))
    assert on(empty_url, drift) == []


async def run_script(url: str, script: str) -> None:
    """Run a whole script as a database administrator does, and leave it at the first error."""
    parsed = sa.make_url(url)
    connection = await asyncpg.connect(host=str(parsed.query["host"]), user="postgres", database=parsed.database)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def test_plain_alembic(tmp_path: Path) -> None:
    """`alembic upgrade head` from a checkout migrates the database that DATABASE_URL names."""
    path = tmp_path / "plain.db"
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{path}"}
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=environment, check=True)
    assert "openings" in tables(f"sqlite+aiosqlite:///{path}")


def test_offline_sql() -> None:
    """`alembic upgrade head --sql` prints the script for a database administrator, without any database."""
    done = offline("postgresql://nobody@nowhere/d")
    assert done.returncode == 0
    assert "CREATE UNIQUE INDEX uq_conversations_active" in done.stdout


def test_no_offline_sql_for_sqlite(tmp_path: Path) -> None:
    """A SQLite database gets no script of PostgreSQL's: a table there is altered by reading and copying it."""
    done = offline(f"sqlite:///{tmp_path / 'offline.db'}")
    said = done.stdout + done.stderr
    assert (done.returncode != 0, "without --sql" in said, len(said.splitlines())) == (True, True, 1)
    assert list(tmp_path.iterdir()) == []


def test_no_offline_sql_downwards() -> None:
    """A script cannot know which tables are the bot's own, so it drops none."""
    done = offline("postgresql://nobody@nowhere/d", "downgrade", "0008:base")
    assert (done.returncode != 0, "without --sql" in done.stdout + done.stderr) == (True, True)
    assert "DROP" not in done.stdout


def offline(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask for the script of a database's upgrade, or of something else."""
    run = [sys.executable, "-m", "alembic", *(arguments or ("upgrade", "head")), "--sql"]
    environment = {**os.environ, "DATABASE_URL": url}
    return subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True)  # noqa: S603


UPGRADE = """
import sys
from alembic import command
from convo_service.db import migrations
config = migrations.config(sys.argv[1])
if sys.argv[2:]:
    config.set_main_option("version_locations", sys.argv[2])
command.upgrade(config, "head")
"""
SLOW = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "0001", None, None, None
def upgrade():
    op.execute("SELECT pg_sleep(5.5)")
    op.execute("CREATE TABLE seen AS SELECT name, setting FROM pg_settings WHERE name LIKE '%timeout'")
"""


def upgrade_twice(*arguments: str) -> None:
    """Two replicas start at once, and each migrates."""
    run = [sys.executable, "-c", UPGRADE, *arguments]
    both = [subprocess.Popen(run, stderr=subprocess.PIPE, text=True) for _ in range(2)]  # noqa: S603
    errors = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], errors


def test_two_upgrades_at_once(empty_url: str) -> None:
    """Replicas that start together migrate one after the other."""
    upgrade_twice(empty_url)
    assert on(empty_url, drift) == []


@pytest.mark.parametrize("empty_url", ["postgres"], indirect=True)
def test_a_slow_upgrade(empty_url: str, tmp_path: Path) -> None:
    """An upgrade may take longer than a request, and the next one waits for it; a table's lock it asks briefly."""
    (tmp_path / "20261122_0001_slow.py").write_text(SLOW)
    upgrade_twice(empty_url, str(tmp_path))
    query = sa.text("SELECT name, setting FROM seen")
    seen = {row.name: row.setting for row in on(empty_url, lambda connection: connection.execute(query).all())}
    assert (seen["statement_timeout"], seen["idle_in_transaction_session_timeout"]) == ("0", "0")
    assert seen["lock_timeout"] == "5000"


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    """An installed wheel finds its migrations: it migrates a database without a checkout."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    code = "from convo_service.cli import main; main()"
    measured_elsewhere = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    environment = {
        **measured_elsewhere,
        "PYTHONPATH": str(site),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'wheel.db'}",
    }
    run = [sys.executable, "-c", code, "migrate"]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert (
        str(site)
        in subprocess.run(
            [sys.executable, "-c", "from convo_service.db.migrations import scripts; print(scripts())"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert "openings" in tables(f"sqlite+aiosqlite:///{tmp_path / 'wheel.db'}")
    source, installed = (folder / "convo_service" / "dashboard" for folder in (ROOT / "src", site))
    for folder in ("templates", "static"):  # a builder leaves out what git ignores
        wanted = {path.relative_to(source) for path in (source / folder).rglob("*.*")}
        assert wanted == {path.relative_to(installed) for path in (installed / folder).rglob("*.*")}


BEFORE_SIZES = (
    "INSERT INTO users (id, cohort, first_seen_at, last_seen_at, conversation_count, message_count) "
    "VALUES ('usr_1', 'window', '2026-07-01 10:00:00', '2026-07-01 10:00:00', 1, 2)",
    "INSERT INTO conversations (user_id, id, number, topic, cohort, identity, is_active, created_at, last_message_at, "
    "last_inbound_at, inbound_received_at, created_reason, timeout_seconds, message_count) VALUES ('usr_1', 'conv_1', "
    "1, 'general', 'window', '+391', true, '2026-07-01 10:00:00', '2026-07-01 10:00:00', '2026-07-01 10:00:00', "
    "'2026-07-01 10:00:00', 'first_contact', 172800, 2)",
    "INSERT INTO messages (user_id, id, topic, conversation_id, direction, text, command_length, sent_at, received_at, "
    "late, usage) VALUES ('usr_1', 'msg_1', 'general', 'conv_1', 'inbound', '/new ciao!', 5, '2026-07-01 10:00:00', "
    "'2026-07-01 10:00:00', false, NULL)",
    "INSERT INTO messages (user_id, id, topic, conversation_id, direction, text, command_length, sent_at, received_at, "
    "late, usage) VALUES ('usr_1', 'msg_2', 'general', 'conv_1', 'outbound', 'Buongiorno', 0, '2026-07-01 10:00:05', "
    '\'2026-07-01 10:00:05\', false, \'{"model": "m", "input_tokens": 120, "output_tokens": 7, "cost_usd": 0.5}\')',
    "INSERT INTO seeds (user_id, conversation_id, text, generator, tokens, entries, covered_count) "
    "VALUES ('usr_1', 'conv_1', 'Note', 'digest', 40, '[]', 0)",
)


def test_sizes_and_reports(empty_url: str) -> None:
    """Talk that is stored already has its size, and what gateways reported stands in the ledger."""
    config = migrations.config(empty_url)
    command.upgrade(config, "0012")
    on(empty_url, execute(*BEFORE_SIZES))
    command.upgrade(config, "head")

    def read(statement: str) -> list[Any]:
        return [tuple(row) for row in on(empty_url, lambda connection: connection.execute(sa.text(statement)).all())]

    assert read("SELECT talk_tokens FROM users") == [(2 + 4 + 3 + 4,)]
    assert read("SELECT talk_tokens, start_tokens FROM conversations") == [(13, 44)]
    assert read(
        "SELECT id, kind, subject_id, model, input_tokens, cached_input_tokens, output_tokens, cost_usd "
        "FROM model_calls"
    ) == [("call_2", "reported", "msg_2", "m", 120, 0, 7, 0.5)]


def test_a_reserve_is_not_lost(empty_url: str) -> None:
    """Code that knows no reserve has its conversations deleted at OpenAI."""
    config = migrations.config(empty_url)
    command.upgrade(config, "0019")
    on(empty_url, execute("INSERT INTO remote_reserve (remote_id, made_at) VALUES ('conv_1', 1.5)"))
    command.downgrade(config, "-1")
    found = sa.text("SELECT remote_id, why, not_before, tries FROM remote_garbage")
    rows = on(empty_url, lambda connection: connection.execute(found).all())
    assert [tuple(row) for row in rows] == [("conv_1", "downgraded", 0, 0)]


def test_a_key_with_an_end_is_not_prolonged(empty_url: str) -> None:
    """Code that knows no end of a key refuses one that has it, and takes the others."""
    config = migrations.config(empty_url)
    command.upgrade(config, "0021")
    row = "('key_{0}', 'x', 'admin', 'csk_{0}', 'd', '2026-10-01 00:00:00+00:00', {1})"
    ends = {"a": "'2026-11-01 00:00:00+00:00'", "b": "'2099-01-01 00:00:00+00:00'", "c": "NULL"}
    rows = ", ".join(row.format(name, end) for name, end in ends.items())
    columns = "id, name, scope, prefix, digest, created_at, expires_at"
    on(empty_url, execute(f"INSERT INTO api_keys ({columns}) VALUES {rows}"))  # noqa: S608
    command.downgrade(config, "-1")
    found = sa.text("SELECT id FROM api_keys WHERE revoked_at IS NULL")
    assert on(empty_url, lambda connection: [row[0] for row in connection.execute(found)]) == ["key_c"]
