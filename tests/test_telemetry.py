"""Logs: fields, no message text, and one line for each new conversation."""

import json
import logging
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
import structlog
from fastapi import FastAPI

from convo_service.db.engine import Database
from convo_service.telemetry import configure_logging, failure
from tests.gateway import Gateway, assert_problem

CANARY = "canarino-giallo-7731"
PHONE = "+393337731773"


@pytest.fixture(autouse=True)
def _json_logs() -> Iterator[None]:
    """Logs as a server writes them, and the way back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_conversation_created(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Each new conversation logs its reason, and neither the text nor the phone number, at the lowest level."""
    configure_logging(format_="json", level="debug")
    answer = await gateway.say(CANARY, identity=PHONE)
    await gateway.post(CANARY + "\x00", identity=PHONE)
    await gateway.http.get(f"/users/{PHONE}/messages")
    output = capsys.readouterr().err
    lines = [json.loads(line) for line in output.splitlines()]
    created = [line for line in lines if line["event"] == "conversation_created"]
    assert [(line["reason"], line["conversation"]) for line in created] == [
        ("first_contact", answer["conversation"]["id"])
    ]
    assert all(line["request_id"] for line in created)
    assert [line["status"] for line in lines if line["event"] == "request_done"] == [201, 422, 404]
    assert CANARY not in output
    assert PHONE not in output


async def test_probes_are_quiet(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """A health check every few seconds leaves no line in the log; any other request does."""
    configure_logging(format_="json")
    for path in ("/livez", "/readyz", "/users"):
        assert (await gateway.http.get(path)).status_code == 200
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["route"] for line in lines] == ["/users"]


async def test_a_database_that_does_not_answer(
    gateway: Gateway, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault that passes is a 503 with Retry-After; the log names its class and not the driver's words."""
    configure_logging(format_="json")
    async with database.write.begin() as tx:
        if (await tx.connection()).dialect.name == "postgresql":
            await tx.execute(sa.text("LOCK TABLE users, identities IN ACCESS EXCLUSIVE MODE"))
        answer = await gateway.post(CANARY, identity=PHONE)  # waits for five seconds: SQLite has one writer
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "5"
    output = capsys.readouterr().err
    assert "database_failed" in output
    assert CANARY not in output


async def test_a_database_of_another_shape(
    gateway: Gateway, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no repeat can mend is a 500 and a crash in the log, still without the driver's words."""
    configure_logging(format_="json")
    async with database.write.begin() as tx:
        await tx.execute(sa.text("ALTER TABLE messages RENAME TO mislaid"))
    answer = await gateway.post(CANARY, identity=PHONE)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    output = capsys.readouterr().err
    assert "request_crashed" in output
    assert CANARY not in output


async def test_a_bug(app: FastAPI, http: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected error is a 500 with the request's id, without its cause; the log names class and place."""
    configure_logging(format_="json")

    async def broken() -> None:
        raise RuntimeError(CANARY)

    app.add_api_route("/broken", broken)
    answer = await http.get("/broken", headers={"X-Request-Id": "r-1"})
    problem = assert_problem(answer, 500, "internal_error")
    assert (problem["request_id"], answer.headers["x-request-id"]) == ("r-1", "r-1")
    output = capsys.readouterr().err
    assert "RuntimeError" in output
    assert CANARY not in output + answer.text


def test_exceptions_without_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is logged as class and lines of code: its message may hold what a user wrote."""
    configure_logging(format_="json")
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("some.library").exception("it broke")
    line = json.loads(capsys.readouterr().err)
    assert (line["error"], line["event"]) == ("ValueError", "it broke")
    assert "test_telemetry.py" in line["frames"][-1]
    assert CANARY not in str(line)


def test_failure_names_the_cause() -> None:
    """The class of the original error is named, its message is not."""
    error = ValueError(CANARY)
    error.__cause__ = OSError(CANARY)
    assert failure(error) == {"error": "ValueError", "cause": "OSError"}
