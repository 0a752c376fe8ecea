"""The canaries that go through all tests: they see a leak wherever there is one."""

import asyncio
import gc
import logging

import pytest
from fastapi import FastAPI

from convo_service.errors import ConvoError
from convo_service.telemetry import get_logger
from tests.canaries import Canaries, watched
from tests.gateway import Gateway

PHONE = "+393337731773"
TEXT = "canarino giallo però 7731"


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(lambda: get_logger().debug("leaked", text=TEXT), id="a field of ours"),
        pytest.param(lambda: logging.getLogger("a.library").debug("got %s", PHONE[1:]), id="a line of a library"),
    ],
)
def test_a_leak_into_the_log(leak: object) -> None:
    """A text or a number in any line, at the lowest level, fails the test that sent it."""
    assert callable(leak)
    with pytest.raises(AssertionError, match="in the log"), watched() as canaries:  # noqa: PT012 - fails at its end
        canaries.learn({}, f'{{"identity": "{PHONE}", "message": {{"text": "{TEXT}"}}}}'.encode())
        leak()


async def test_an_error_that_nobody_fetched(canaries: Canaries, caplog: pytest.LogCaptureFixture) -> None:
    """What asyncio says of a task that failed, and of a callback, does not hold what the error says."""

    def fail() -> None:
        raise ValueError(TEXT)

    async def failing() -> None:
        fail()

    canaries.sent.add(TEXT)
    task = asyncio.create_task(failing())
    await asyncio.wait({task})
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)
    said = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert len(said) == 2
    assert TEXT in said[0]  # there is something to be left out


@pytest.mark.parametrize("leaked", [TEXT, PHONE, "Bearer"])
async def test_a_leak_into_an_error(app: FastAPI, gateway: Gateway, canaries: Canaries, leaked: str) -> None:
    """A text, a number or a key in an error's body is found."""
    secret = gateway.http.headers["Authorization"].removeprefix("Bearer ") if leaked == "Bearer" else leaked

    async def leaking() -> None:
        raise ConvoError(f"no {secret}")

    app.add_api_route("/leaking", leaking)
    await gateway.say(TEXT, identity=PHONE)
    await gateway.http.get("/leaking")
    assert len(canaries.found) == 1
    canaries.found.clear()


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        pytest.param("/users/usr_nobody/messages", "/users/usr_nobody/messages", id="an id stands"),
        pytest.param(f"/users/{PHONE}/messages", "/users/{user_id}/messages", id="a number does not"),
        pytest.param("/users/mario.rossi/messages", "/users/{user_id}/messages", id="nor any other identity"),
        pytest.param("/conversations/conv_x/chain", "/conversations/conv_x/chain", id="a conversation"),
        pytest.param("/nowhere", "/nowhere", id="no path of ours"),
        pytest.param(f"/nowhere/{PHONE}", "/", id="no path of ours, with a number in it"),
        pytest.param("/nowhere/mario@rossi.it", "/", id="no path of ours, with an e-mail in it"),
    ],
)
async def test_instance(gateway: Gateway, path: str, instance: str) -> None:
    """An error names the path with opaque ids only, whatever stood in it."""
    answer = await gateway.http.get(path)
    assert answer.json()["instance"] == instance
