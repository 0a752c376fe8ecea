"""`sweep`, `worker`, `doctor` and `config` as an operator uses them."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.cli.shell import COMMAND, Runner

KEY = "k" * 40
SECRETS = {
    "OPENAI_API_KEY": "sk-canary-1",
    "KEY_PEPPER": "canary-2",
    "BOOTSTRAP_ADMIN_KEY": "canary-3" * 5,
    "ROLLOUT_USERS": "+393331112222,+393331112223",
    "OPENAI_BASE_URL": "http://canary-4:canary-5@127.0.0.1:9/v1?key=canary-6",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://canary-10:canary-11@127.0.0.1:9",
    "DATABASE_URL": "postgresql://canary-7:canary-8@127.0.0.1:9/convo?password=canary-9",
}


@pytest.fixture
def served(run: Runner) -> Iterator[Runner]:
    """An installation in which somebody said something in March."""
    assert run("migrate").returncode == 0
    process, base = serve(run, WORKER_ENABLED="false")
    with process:
        try:
            body = {
                "identity": "+393331112222",
                "message": {"id": "wamid.1", "text": "ciao", "sent_at": "2026-03-02T09:00:00Z"},
            }
            answer = httpx.post(
                f"{base}/conversations", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
            )
            assert answer.status_code == 201, answer.text
            yield run
        finally:
            process.send_signal(signal.SIGTERM)
            run.look(process.communicate(timeout=60)[1])


def serve(run: Runner, **more: str) -> tuple[subprocess.Popen[str], str]:
    """Start `serve` with the emulator on a free port, and wait until it answers."""
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, "serve", "--emulator", "--port", "0"],
        cwd=run.folder,
        env={**run.environment, "BOOTSTRAP_ADMIN_KEY": KEY, **more},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return process, found.group()
    raise AssertionError("serve did not start")


def conversation(base: str) -> dict[str, object]:
    """The only one."""
    answer = httpx.get(f"{base}/conversations", headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
    (found,) = answer.json()["data"]
    return dict(found)


def test_sweep(served: Runner) -> None:
    """Nothing at first; two days after it was received the conversation is closed, once."""
    assert served("sweep").stdout == "nothing was due\n"
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 49 * 3600))
    assert served("sweep", "--now", later).stdout == "1 closed\n"
    assert served("sweep", "--now", later).stdout == "nothing was due\n"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        pytest.param("tomorrow", "a date and time", id="no time"),
        pytest.param("2026-03-02T09:00", "needs a zone", id="no zone"),
        pytest.param("0001-01-01T00:00+14:00", "a date and time", id="before all time"),
    ],
)
def test_a_time_that_is_none(run: Runner, now: str, said: str) -> None:
    """It is refused with a sentence."""
    assert run("migrate").returncode == 0
    refused = run("sweep", "--now", now)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_rebuild_analytics(served: Runner) -> None:
    """Everything is counted anew but what came in the last minutes; nothing but the counts is printed."""
    done = served("analytics", "rebuild", "--json")
    assert (json.loads(done.stdout), done.stderr) == ({"messages": 0, "conversations": 1, "calls": 0}, "")
    assert served("analytics", "rebuild").stdout == "0 messages, 1 conversations, 0 calls\n"


def test_rebuild_without_a_database(run: Runner) -> None:
    """It says what to do."""
    refused = run("analytics", "rebuild")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "convo-service migrate" in refused.stderr


def test_worker(served: Runner) -> None:
    """It sweeps again and again, and ends on SIGTERM without an error."""
    environment = {**served.environment, "SWEEP_INTERVAL_SECONDS": "0.1", "LOG_LEVEL": "debug"}
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, "worker"], cwd=served.folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    passes = [
        line for line, _ in zip((line for line in process.stderr if "sweep_done" in line), range(3), strict=False)
    ]
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    assert (len(passes), process.returncode, "Traceback" in rest) == (3, 0, False)
    served.look(*passes, rest)


def test_serve_sweeps(run: Runner) -> None:
    """The worker runs inside `serve` unless it is switched off; here a window of a second ends."""
    assert run("migrate").returncode == 0
    process, base = serve(run, SWEEP_INTERVAL_SECONDS="0.1", CONVERSATION_TIMEOUT_HOURS="0.0003")
    with process:
        try:
            body = {"identity": "+393331112222", "message": {"id": "wamid.1", "text": "ciao"}}
            httpx.post(f"{base}/conversations", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
            until = time.monotonic() + 60
            while (found := conversation(base))["is_active"] and time.monotonic() < until:
                time.sleep(0.1)
            assert (found["is_active"], found["closed_reason"]) == (False, "idle_timeout")
        finally:
            process.send_signal(signal.SIGTERM)


def test_config(run: Runner) -> None:
    """Every setting with its source: the environment goes before `.env`, blanks are unset, secrets are masked."""
    (run.folder / ".env").write_text("SUMMARY_TOKENS=200\nTOPICS=\nOPENAI_MODEL=gpt-a\nLOG_LEVEL=debug\n")
    found = run("config", "--json", **SECRETS, OPENAI_MODEL="gpt-b", SUMMARY_LANGUAGE="  ")
    assert found.returncode == 0, found.stderr
    rows = {one["name"]: (one["value"], one["source"]) for one in json.loads(found.stdout)}
    assert rows["SUMMARY_TOKENS"] == ("200", ".env")
    assert rows["OPENAI_MODEL"] == ("gpt-b", "environment")
    assert rows["TOPICS"] == ("off", "default")
    assert rows["SUMMARY_LANGUAGE"] == ("it", "default")
    assert rows["OPENAI_API_KEY"] == ("********", "environment")
    assert rows["ROLLOUT_USERS"] == ("******** (2)", "environment")
    assert rows["OPENAI_BASE_URL"] == ("http://127.0.0.1:9/v1", "environment")
    assert rows["DATABASE_URL"] == ("postgresql+asyncpg://127.0.0.1:9/convo", "environment")
    shown = run("config", **SECRETS).stdout
    assert len(shown.splitlines()) == len(rows)
    assert [secret for secret in ("canary", "3331112222") if secret in found.stdout + shown] == []


def test_config_that_is_wrong(run: Runner) -> None:
    """A value that cannot be is named."""
    refused = run("config", SUMMARY_TOKENS="many")
    assert (refused.returncode, "SUMMARY_TOKENS" in refused.stderr) == (2, True)
