"""`doctor`: each fault is really made, and is found with what to do about it."""

import asyncio
import json
import re
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from convo_service.db import migrations
from convo_service.db.engine import Database
from convo_service.db.models import RemoteGarbage
from convo_service.llm.emulator import Emulator
from convo_service.services import checkup
from convo_service.settings import Settings
from tests.cli.shell import COMMAND, Runner
from tests.conftest import Clock
from tests.gateway import Gateway

SECRETS = {"DATABASE_URL": "postgresql://canary-user:canary-password@127.0.0.1:9/convo", "OPENAI_API_KEY": "sk-canary"}
ENVELOPE = {"type": "invalid_request_error", "param": None}
MODEL = {"id": "gpt-test", "object": "model", "created": 0, "owned_by": "x"}
Check = dict[str, str]


def checks(done: "subprocess.CompletedProcess[str]") -> dict[str, Check]:
    """What was found, by what it is about; of several the worst."""
    order = ["ok", "warning", "problem"]
    found: dict[str, Check] = {}
    for one in sorted(json.loads(done.stdout), key=lambda one: order.index(one["verdict"])):
        found[one["about"]] = one
    assert (done.returncode == 1) == any(one["verdict"] == "problem" for one in found.values())
    assert (done.stderr, all(one["advice"] for one in found.values() if one["verdict"] != "ok")) == ("", True)
    return found


@contextmanager
def an_openai(*answers: tuple[int, str, Any], age: timedelta = timedelta(0)) -> Iterator[str]:
    """A server that answers what it is asked for a path's last part but one; else a page of its own."""
    told = {part: (status, body) for status, part, body in answers}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = told.get(self.path.split("/")[-2], (404, "<html>Nothing here</html>"))
            text = body if isinstance(body, str) else json.dumps(body)
            self.send_response_only(status)
            self.send_header("Date", format_datetime(datetime.now(UTC) - age, usegmt=True))
            self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def refusal(message: str, code: str | None = None) -> dict[str, Any]:
    """As OpenAI refuses."""
    return {"error": {**ENVELOPE, "message": message, "code": code}}


NO_CONVERSATION = (404, "conversations", refusal(f"Conversation with id 'conv_{'0' * 48}' not found."))


@pytest.fixture
def migrated_run(run: Runner) -> Runner:
    """An installation without faults but those that a test makes."""
    assert run("migrate").returncode == 0
    run.environment.update(OPENAI_API_KEY="sk-x", OPENAI_MODEL="gpt-test")
    return run


def test_doctor(run: Runner) -> None:
    """What is wrong is said with what to do, and the exit code is 1; without a database the rest is looked at still."""
    found = run("doctor")
    assert found.returncode == 1
    assert "is not there. Run: convo-service migrate." in found.stdout
    assert "OPENAI_API_KEY is not set" in found.stdout
    assert not (run.folder / "data" / "convo.db").exists()
    run("migrate")
    shown = checks(run("doctor", "--json"))
    assert (shown["database"]["verdict"], shown["keys"]["verdict"]) == ("ok", "warning")


def test_doctor_against_an_openai(run: Runner) -> None:
    """With a key that is taken nothing is a problem; the address without its /v1 is one."""
    run("migrate")
    emulator = Path(__file__).resolve().parents[2] / "bench" / "emulator_app.py"
    start = [COMMAND[0], "-m", "uvicorn", "--app-dir", str(emulator.parent), "emulator_app:app", "--port", "0"]
    process = subprocess.Popen(start, env=run.environment, cwd=run.folder, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stderr is not None
    more = {"OPENAI_API_KEY": "sk-x", "OPENAI_MODEL": "gpt-test"}
    with process:
        try:
            base = next(found.group() for line in process.stderr if (found := re.search(r"http://[\d.:]+\d", line)))
            shown = run("doctor", OPENAI_BASE_URL=f"{base}/v1", **more)
            without = run("doctor", OPENAI_BASE_URL=base, **more)
        finally:
            process.terminate()
    assert "ok       OpenAI     the key is taken, gpt-test is there" in shown.stdout
    assert shown.returncode == 0
    assert "it ends in /v1" in without.stdout
    assert without.returncode == 1


def test_doctor_and_a_database_that_is_away(run: Runner) -> None:
    """One line, and no secret in it."""
    found = run("doctor", **SECRETS)
    assert found.returncode == 1
    assert "nobody answers there" in found.stdout
    assert "Traceback" not in found.stderr
    assert "canary" not in found.stdout + found.stderr


@pytest.mark.parametrize(
    ("answers", "verdict", "said"),
    [
        pytest.param(
            [(401, "models", refusal("Incorrect API key", "invalid_api_key"))], "problem", "refused", id="key"
        ),
        pytest.param(
            [(404, "models", refusal("no such model", "model_not_found")), NO_CONVERSATION],
            "problem",
            "gpt-test is not there",
            id="an unknown model",
        ),
        pytest.param([(200, "models", "<html>Welcome</html>")], "problem", "no OpenAI", id="a page"),
        pytest.param([(404, "models", {"detail": "Not Found"})], "problem", "no OpenAI", id="another service"),
        pytest.param([(200, "models", {"ok": True})], "problem", "no OpenAI", id="JSON of another kind"),
        pytest.param([(200, "models", MODEL)], "problem", "no conversations", id="models alone"),
        pytest.param([(500, "models", refusal("down"))], "problem", "answered 500", id="a failure"),
        pytest.param([(200, "models", MODEL), NO_CONVERSATION], "ok", "the key is taken", id="all well"),
    ],
)
def test_who_is_at_the_base_url(
    migrated_run: Runner, answers: list[tuple[int, str, Any]], verdict: str, said: str
) -> None:
    """Whether it is an OpenAI at all, takes the key, has the model and keeps conversations."""
    with an_openai(*answers) as url:
        found = checks(migrated_run("doctor", "--json", OPENAI_BASE_URL=f"{url}/v1"))["OpenAI"]
    assert (found["verdict"], said in found["detail"]) == (verdict, True), found


def test_nobody_is_at_the_base_url(migrated_run: Runner) -> None:
    """A port that nobody listens on."""
    found = checks(migrated_run("doctor", "--json", OPENAI_BASE_URL="http://127.0.0.1:9/v1"))["OpenAI"]
    assert (found["verdict"], found["detail"]) == ("problem", "cannot be reached")


@pytest.mark.parametrize(
    ("age", "verdict", "said"),
    [
        pytest.param(timedelta(0), "ok", "agrees", id="together"),
        pytest.param(timedelta(hours=1), "warning", "ahead of", id="ahead"),
        pytest.param(timedelta(hours=-1), "warning", "behind", id="behind"),
    ],
)
def test_openais_clock(migrated_run: Runner, age: timedelta, verdict: str, said: str) -> None:
    """OpenAI's answer has a date, and this machine should agree."""
    with an_openai((200, "models", MODEL), NO_CONVERSATION, age=age) as url:
        found = checks(migrated_run("doctor", "--json", OPENAI_BASE_URL=f"{url}/v1"))["time"]
    assert (found["verdict"], said in found["detail"]) == (verdict, True), found


def test_prices_and_turns(migrated_run: Runner) -> None:
    """A model whose price nobody knows has its tokens counted and no money; without a model there are no turns."""
    with an_openai((200, "models", MODEL), NO_CONVERSATION) as url:
        base = f"{url}/v1"
        known = checks(migrated_run("doctor", "--json", OPENAI_BASE_URL=base))
        without = checks(migrated_run("doctor", "--json", OPENAI_BASE_URL=base, OPENAI_MODEL=""))
    assert (known["price"]["verdict"], "turns" in known) == ("warning", False)
    assert (without["turns"]["verdict"], without["summaries"]["verdict"], "price" in without) == (
        "warning",
        "warning",
        False,
    )


@pytest.mark.parametrize(
    ("revision", "said", "advice"),
    [
        pytest.param("-1", "this code at", "Run: convo-service migrate", id="behind"),
        pytest.param("base", "was never migrated", "Run: convo-service migrate", id="never migrated"),
    ],
)
def test_a_database_that_is_behind(migrated_run: Runner, revision: str, said: str, advice: str) -> None:
    """An older database wants a migration."""
    url = f"sqlite+aiosqlite:///{migrated_run.folder / 'data' / 'convo.db'}"
    command.downgrade(migrations.config(url), revision)
    found = checks(migrated_run("doctor", "--json", OPENAI_BASE_URL="http://127.0.0.1:9/v1"))["database"]
    assert (found["verdict"], said in found["detail"], found["advice"]) == ("problem", True, advice), found


def test_a_database_that_is_ahead(migrated_run: Runner) -> None:
    """A newer database wants newer code."""
    with closing(sqlite3.connect(migrated_run.folder / "data" / "convo.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    found = checks(migrated_run("doctor", "--json", OPENAI_BASE_URL="http://127.0.0.1:9/v1"))["database"]
    assert (found["verdict"], "newer" in found["advice"]) == ("problem", True)


def test_a_disk_without_room(migrated_run: Runner) -> None:
    """A file system that takes nothing more, such as /proc, which never does."""
    found = checks(migrated_run("doctor", "--json", DATABASE_URL="sqlite:////proc/convo.db"))["disk"]
    assert found["verdict"] == "problem"


async def test_two_clocks(database: Database, settings: Settings, clock: Clock) -> None:
    """Leases go by the database's clock, windows by the machine's: a minute apart is too much."""
    for apart, verdict in ((0, "ok"), (60, "problem"), (-60, "problem")):
        now = datetime.now(UTC) + timedelta(seconds=apart)
        found = {one.about: one async for one in checkup.of_database(database, settings, now)}["clock"]
        assert found.verdict == verdict


async def look(run: Runner, settings: Settings) -> dict[str, Check]:
    """What `doctor` finds on the database of a test's service."""
    more = {"DATABASE_URL": settings.database_url, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "sk-x"}
    return checks(await asyncio.to_thread(run, "doctor", "--json", **more))


async def test_nobody_sweeps(gateway: Gateway, run: Runner, settings: Settings) -> None:
    """A conversation whose window ended in March, and that nobody has closed."""
    assert (await look(run, settings))["worker"]["verdict"] == "ok"
    await gateway.say("ciao")
    found = (await look(run, settings))["worker"]
    assert (found["verdict"], "convo-service worker" in found["advice"]) == ("warning", True)


async def test_an_opening_that_nobody_finishes(
    gateway: Gateway, run: Runner, settings: Settings, emulator: Emulator, database: Database, clock: Clock
) -> None:
    """A user who waits for a conversation that OpenAI did not give, for longer than ten minutes."""
    emulator.fail_next("conversations.create", status=500)
    assert (await gateway.post("ciao")).status_code == 503
    at_once = {one.about: one async for one in checkup.of_database(database, settings, clock())}
    assert at_once["openings"].verdict == "ok"
    found = (await look(run, settings))["openings"]
    assert (found["verdict"], found["detail"][:2]) == ("problem", "1 ")


@pytest.mark.parametrize(
    ("tries", "age", "verdict", "said"),
    [
        pytest.param(0, -60, "ok", "1 to be deleted", id="it rests still"),
        pytest.param(0, 3600, "warning", "by now", id="nobody deletes it"),
        pytest.param(6, -3600, "warning", "1 of 1 could not", id="OpenAI does not take it"),
    ],
)
async def test_garbage(
    run: Runner, settings: Settings, database: Database, tries: int, age: int, verdict: str, said: str
) -> None:
    """What should be gone at OpenAI and is not."""
    at = datetime.now(UTC).timestamp() - age
    async with database.write.begin() as tx:
        tx.add(RemoteGarbage(remote_id="conv_a", why="erased", not_before=at, tries=tries))
    found = (await look(run, settings))["garbage"]
    assert (found["verdict"], said in found["detail"]) == (verdict, True), found


async def test_a_pepper_beside_the_keys(run: Runner, settings: Settings, database: Database) -> None:
    """On PostgreSQL a pepper that nobody set lies in the database that it is to protect."""
    found = (await look(run, settings))["pepper"]
    assert found["verdict"] == ("ok" if settings.is_sqlite else "warning")
