"""The command line as an operator uses it: real processes, their output, their exit codes."""

import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import httpx
import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from convo_service.cli import app
from convo_service.cli.examples import TYPED
from tests.cli.shell import COMMAND, Runner

KEY = "k" * 40


def test_help(run: Runner) -> None:
    """`--help` names the commands."""
    shown = run("--help")
    assert shown.returncode == 0
    for name in ("serve", "migrate", "demo", "keys", "openapi"):
        assert name in shown.stdout


def commands() -> dict[str, TyperCommand]:
    """Every command by its whole name."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    return dict(_below(root, ""))


def _below(group: TyperGroup, before: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, one in group.commands.items():
        if isinstance(one, TyperGroup):
            yield from _below(one, f"{before}{name} ")
        elif isinstance(one, TyperCommand):
            yield f"{before}{name}", one


def test_every_command_is_shown_with_examples() -> None:
    """Each example below a command's help is a call of that command that its options understand."""
    assert set(TYPED) - {""} == set(commands())
    for name, lines in TYPED.items():
        for line in lines:
            for called in re.findall(r"convo-service ([^|>&)]+)", line):
                words = shlex.split(called)
                known = next(one for one in commands() if f"{' '.join(words)} ".startswith(f"{one} "))
                assert not name or name in (known, "worker")
                commands()[known].make_context(known, words[len(known.split()) :])


@pytest.mark.parametrize("name", ["", *sorted(set(TYPED) - {""})])
def test_help_of_each(run: Runner, name: str) -> None:
    """`--help` of each command ends with how it is typed, has no colours without a terminal, and needs no settings."""
    shown = run(*name.split(), "--help", CONVERSATION_TIMEOUT_HOURS="-1", COLUMNS="200")
    assert (shown.returncode, shown.stderr, "\x1b" in shown.stdout) == (0, "", False)
    assert all(line in shown.stdout for line in TYPED[name])
    assert ("Exit codes: 0 done" in shown.stdout) == (not name)


def test_what_programs_read(run: Runner) -> None:
    """`--json` gives keys and sweeps as one document, without any key in it."""
    run("migrate")
    key = run("keys", "create", "--name", "gàteway", "--scope", "gateway").stdout.splitlines()[-1]
    listed = run("keys", "list", "--json").stdout
    (row,) = json.loads(listed)
    assert (row["name"], row["is_live"], row["expires_at"], key in listed) == ("gàteway", True, None, False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", row["created_at"])
    assert json.loads(run("sweep", "--json").stdout) == {}


@pytest.mark.parametrize(
    ("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["on a terminal", "NO_COLOR"]
)
def test_colours(run: Runner, more: dict[str, str], coloured: bool) -> None:
    """On a terminal help has colours, unless NO_COLOR says that nobody wants them."""
    ours, theirs = os.openpty()
    environment = {**run.environment, "TERM": "xterm-256color", **more}
    shown = subprocess.Popen([*COMMAND, "doctor", "--help"], env=environment, stdout=theirs, cwd=run.folder)  # noqa: S603
    os.close(theirs)
    said = b""
    with suppress(OSError):  # a terminal whose other end is closed
        while piece := os.read(ours, 4096):
            said += piece
    os.close(ours)
    assert shown.wait() == 0
    assert bool(re.search(rb"\x1b\[[0-9;]*3[1-7]m", said)) == coloured


def test_help_loads_little() -> None:
    """`--help` imports neither the web framework nor the ORM nor OpenAI, nor even asyncio, which costs as well."""
    code = (
        "import sys, convo_service.cli; "
        "print(sorted({'fastapi', 'sqlalchemy', 'openai', 'alembic', 'asyncio'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert shown.stdout.strip() == "[]"


def test_serve_loads_what_it_needs() -> None:
    """The app that `serve` makes has loaded neither OpenAI's SDK, which waits until it is needed, nor Alembic."""
    code = (
        "import sys; from convo_service.app import create_app; from convo_service.settings import Settings; "
        "create_app(Settings(_env_file=None)); print(sorted({'openai', 'httpx2', 'alembic'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert shown.stdout.strip() == "[]"


def test_migrate_and_keys(run: Runner) -> None:
    """A database is made, keys are made, listed and revoked; the key stands alone on the last line."""
    assert "revision" in run("migrate").stdout
    assert run("migrate").returncode == 0
    made = run("keys", "create", "--name", "gateway", "--scope", "gateway")
    key = made.stdout.splitlines()[-1]
    assert re.fullmatch(r"csk_[0-9a-z]{47}", key)
    listed = run("keys", "list").stdout
    assert ("active" in listed, key[:12] in listed, key in listed) == (True, True, False)
    assert run("keys", "revoke", key[:12]).returncode == 0
    assert "revoked" in run("keys", "list").stdout
    assert run("keys", "revoke", "key_nobody").returncode == 1
    pepper = run.folder / "data" / "convo.db.pepper"
    assert pepper.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "more", "said"),
    [
        pytest.param(["serve"], {}, "convo-service migrate", id="serve before migrate"),
        pytest.param(["keys", "list"], {}, "convo-service migrate", id="keys before migrate"),
        pytest.param(["migrate"], {"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL: ", id="an unknown database"),
        pytest.param(
            ["migrate"], {"CONVERSATION_TIMEOUT_HOURS": "-1"}, "CONVERSATION_TIMEOUT_HOURS: ", id="a bad knob"
        ),
        pytest.param(["openapi"], {"CONVERSATION_TIMEOUT_HOURS": "-1"}, "CONVERSATION_TIMEOUT_HOURS: ", id="openapi"),
        pytest.param(["migrate"], {"DATABASE_URL": "postgresql://u:geheim@h:p/d"}, "DATABASE_URL: ", id="a bad port"),
        pytest.param(
            ["migrate"],
            {"DATABASE_URL": "postgresql://u:geheim@h/d?pasword=geheim"},
            "DATABASE_URL: ",
            id="an argument",
        ),
        pytest.param(["serve"], {"ROLLOUT_USERS": "+393331234567,a\x01b"}, "ROLLOUT_USERS: ", id="an identity"),
        pytest.param(["serve", "--port", "99999"], {}, "--port", id="a port that is none"),
    ],
)
def test_usage_errors(run: Runner, arguments: list[str], more: dict[str, str], said: str) -> None:
    """What is wrong with the call or the settings is one line, and exit code 2."""
    done = run(*arguments, **more)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert "geheim" not in done.stderr
    assert not (run.folder / "data" / "convo.db").exists()


def test_a_dotenv_in_another_encoding(run: Runner) -> None:
    """A `.env` that is not UTF-8 is one line."""
    (run.folder / ".env").write_bytes(b"RESET_COMMANDS=/gi\xf9\n")
    done = run("migrate")
    assert (done.returncode, done.stderr.splitlines()) == (2, [".env: it is not UTF-8"])


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        pytest.param(["migrate"], {"DATABASE_URL": "sqlite:////proc/nope/x.db"}, id="no such folder can be made"),
        pytest.param(["migrate"], {"DATABASE_URL": "sqlite:////proc"}, id="a folder"),
        pytest.param(
            ["migrate"], {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d?ssl=geheim"}, id="an argument's value"
        ),
        pytest.param(["demo", "--database", "/proc/nope/x.db"], {}, id="the demo without a folder"),
        pytest.param(["demo", "--database", "/proc"], {}, id="the demo in a folder"),
    ],
)
def test_unusable_databases(run: Runner, arguments: list[str], more: dict[str, str]) -> None:
    """A database that cannot be made or opened is one line, and exit code 1."""
    done = run(*arguments, **more)
    assert (done.returncode, len(done.stderr.splitlines()), "geheim" in done.stderr) == (1, 1, False), done.stderr


def test_a_database_that_is_ahead(run: Runner) -> None:
    """An update that is taken back leaves a database that the older code says it works with."""
    run("migrate")
    with closing(sqlite3.connect(run.folder / "data" / "convo.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999from' || substr(version_num, 1, 4)")
    for command in (["migrate"], ["keys", "list"], ["sweep"]):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    assert "this code works with it" in run("migrate").stdout


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_newer_database(run: Runner, command: str) -> None:
    """Code that is older than the database says so, and which revision the database is at."""
    run("migrate")
    with closing(sqlite3.connect(run.folder / "data" / "convo.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    done = run(command)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "9999" in done.stderr
    assert "older" in done.stderr


@pytest.mark.parametrize("name", ["", " ", "a\x01b", "a\udcffb", "n" * 129])
def test_names_of_keys(run: Runner, name: str) -> None:
    """A key's name is 1 to 128 printable characters."""
    run("migrate")
    done = run("keys", "create", "--name", name, "--scope", "gateway")
    assert (done.returncode, done.stdout, "--name" in done.stderr) == (2, "", True)
    assert len(done.stderr.splitlines()) == 1


def test_revoking_what_nobody_can_type(run: Runner) -> None:
    """A key that cannot be written in UTF-8 is a key that does not exist."""
    run("migrate")
    done = run("keys", "revoke", "a\udcffb")
    assert (done.returncode, "No key has this id" in done.stderr) == (1, True)


def test_serve_needs_openai_or_the_emulator(run: Runner) -> None:
    """`serve` without a key and without `--emulator` stops with exit code 2."""
    run("migrate")
    done = run("serve")
    assert (done.returncode, "--emulator" in done.stderr) == (2, True)


def test_unknown_scope(run: Runner) -> None:
    """An unknown scope names the known ones."""
    run("migrate")
    done = run("keys", "create", "--name", "x", "--scope", "root")
    assert (done.returncode, "gateway, dashboard, admin" in done.stderr) == (2, True)


def test_no_database(run: Runner) -> None:
    """A database that does not answer is one line, without its password, and exit code 1."""
    done = run("migrate", DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/x")
    assert (done.returncode, "Traceback" in done.stderr, "geheim" in done.stderr) == (1, False, False)
    assert "nobody answers there" in done.stderr


def test_a_password_among_the_arguments(run: Runner) -> None:
    """What is shown of a database is its driver, host, port and name."""
    done = run("migrate", DATABASE_URL="postgresql://maria@127.0.0.1:1/x?password=geheim")
    assert (done.returncode, "geheim" in done.stderr, "maria" in done.stderr) == (1, False, False)
    assert "postgresql+asyncpg://127.0.0.1:1/x" in done.stderr


def test_openapi(run: Runner) -> None:
    """The document is printed without a database."""
    assert "/conversations" in json.loads(run("openapi").stdout)["paths"]


@pytest.mark.parametrize("option", ["--emulator", "--emulator-without-key"])
def test_serve_with_the_emulator(run: Runner, option: str) -> None:
    """`serve --emulator` says loudly what it is, answers, stops on SIGTERM, and knows everything after a restart."""
    run("migrate")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    seen: set[str] = set()
    for text in ("ciao", "ancora"):
        environment = {**run.environment, "BOOTSTRAP_ADMIN_KEY": KEY}
        serve = [*COMMAND, "serve", option, "--port", str(port)]
        process = subprocess.Popen(serve, cwd=run.folder, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603
        try:
            seen.add(_say(port, text))
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
        assert "EMULATOR: no model is behind this service" in errors
        assert process.returncode == -signal.SIGTERM, errors  # uvicorn passes the signal on after a clean stop
        assert "Application shutdown complete" in errors
    assert len(seen) == 1
    assert (run.folder / "data" / "convo.db.emulator").exists()


@pytest.mark.parametrize("line", ['OPENAI_API_KEY="sk-test"', "export openai_api_key = sk-test # mine"])
def test_the_emulator_leaves_when_a_key_is_there(run: Runner, line: str) -> None:
    """`serve --emulator-without-key` takes OpenAI as soon as the settings hold a key, however `.env` writes it."""
    run("migrate")
    (run.folder / ".env").write_text(line)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = run("serve", "--emulator-without-key", "--port", str(taken.getsockname()[1]))
    assert ("EMULATOR" in done.stderr, "address already in use" in done.stderr) == (False, True)


def _say(port: int, text: str) -> str:
    """Send a message as soon as the service is ready, and return the id of the conversation."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {KEY}"}) as http:
        for _ in range(200):
            try:
                if http.get("/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        message = {"id": f"wamid.{text}", "text": text}
        answer = http.post("/conversations", json={"identity": "+393331234567", "message": message})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["conversation"]["id"])
