"""The command line as an operator uses it: real processes, their output, their exit codes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-m", "convo_service.cli"]
KEY = "k" * 40


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with a database of this test's own and nothing else of ours."""
    kept = {name: os.environ[name] for name in os.environ if name in {"PATH", "HOME", "LANG"} or "COVERAGE" in name}
    return {**kept, "DATABASE_URL": f"sqlite:///{tmp_path / 'data' / 'convo.db'}"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> "Runner":
    """A shell."""
    return Runner(tmp_path, environment)


class Runner:
    """Runs `convo-service` in an empty folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def __call__(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        environment = {**self.environment, **more}
        return subprocess.run(  # noqa: S603
            [*COMMAND, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60
        )


def test_help(run: "Runner") -> None:
    """`--help` names the commands."""
    shown = run("--help")
    assert shown.returncode == 0
    for name in ("serve", "migrate", "demo", "keys", "openapi"):
        assert name in shown.stdout


def test_help_loads_little() -> None:
    """`--help` imports neither the web framework nor the ORM nor OpenAI."""
    code = (
        "import sys, convo_service.cli; print(sorted({'fastapi','sqlalchemy','openai','alembic'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert shown.stdout.strip() == "[]"


def test_migrate_and_keys(run: "Runner") -> None:
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
    ],
)
def test_usage_errors(run: "Runner", arguments: list[str], more: dict[str, str], said: str) -> None:
    """What is wrong with the call or the settings is one line, and exit code 2."""
    done = run(*arguments, **more)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert not (run.folder / "data" / "convo.db").exists()


def test_serve_needs_openai_or_the_emulator(run: "Runner") -> None:
    """`serve` without a key and without `--emulator` stops with exit code 2."""
    run("migrate")
    done = run("serve")
    assert (done.returncode, "--emulator" in done.stderr) == (2, True)


def test_unknown_scope(run: "Runner") -> None:
    """An unknown scope names the known ones."""
    run("migrate")
    done = run("keys", "create", "--name", "x", "--scope", "root")
    assert (done.returncode, "gateway, dashboard, admin" in done.stderr) == (2, True)


def test_no_database(run: "Runner") -> None:
    """A database that does not answer is one line, without its password, and exit code 1."""
    done = run("migrate", DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/x")
    assert (done.returncode, "Traceback" in done.stderr, "geheim" in done.stderr) == (1, False, False)
    assert "ConnectionRefusedError" in done.stderr


def test_openapi(run: "Runner") -> None:
    """The document is printed without a database."""
    assert "/conversations" in json.loads(run("openapi").stdout)["paths"]


def test_serve_with_the_emulator(run: "Runner") -> None:
    """`serve --emulator` says loudly what it is, answers, stops on SIGTERM, and knows everything after a restart."""
    run("migrate")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    seen: set[str] = set()
    for text in ("ciao", "ancora"):
        environment = {**run.environment, "BOOTSTRAP_ADMIN_KEY": KEY}
        serve = [*COMMAND, "serve", "--emulator", "--port", str(port)]
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
