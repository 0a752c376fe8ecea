"""The typed client against the real service."""

import httpx
import pytest
from fastapi import FastAPI

from convo_service.client import ConvoClient, ProblemError
from convo_service.schemas import AppendedMessage, GetOrCreate, InboundMessage, ProfileUpdate
from convo_service.services.keys import Scope
from tests.conftest import Clock


@pytest.fixture
async def key(app: FastAPI, clock: Clock) -> str:
    """A gateway's key."""
    _, key = await app.state.services.keys.create("client", Scope.GATEWAY, now=clock())
    return str(key)


async def test_a_gateways_day(app: FastAPI, key: str) -> None:
    """A gateway gets the conversation, appends the reply, fills the profile, closes and resets."""
    async with ConvoClient("http://convo", key, transport=httpx.ASGITransport(app=app)) as convo:
        message = InboundMessage(id="wamid.1", text="ciao")
        got = await convo.get_or_create(GetOrCreate(identity="+393331234567", message=message))
        assert (got.created, got.input) == (True, "ciao")
        stored = await convo.append(got.conversation.id, [AppendedMessage(direction="outbound", text="Buongiorno")])
        assert [one.text for one in stored.data] == ["Buongiorno"]
        user = await convo.look_up("+39 333 1234567")
        profile = await convo.put_profile(user.id, ProfileUpdate(name="Maria"))
        assert profile.name == "Maria"
        assert (await convo.close(got.conversation.id)).is_active is False
        assert (await convo.reset(user.id)).created_reason == "operator"


async def test_problems(app: FastAPI, key: str) -> None:
    """A refusal comes out as an error that holds the problem."""
    async with ConvoClient("http://convo", key, transport=httpx.ASGITransport(app=app)) as convo:
        with pytest.raises(ProblemError) as caught:
            await convo.look_up("+390000000")
    assert (caught.value.problem.status, caught.value.problem.code) == (404, "user_not_found")


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("\u00b2", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("9" * 10, None)]
)
async def test_an_answer_that_is_not_ours(header: str, seconds: int | None) -> None:
    """A proxy's page is a refusal like any other, and a Retry-After that is no number of seconds is none."""

    def proxy(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            502, headers=[(b"Retry-After", header.encode("latin-1"))], text="<html>Bad Gateway</html>"
        )

    async with ConvoClient("http://convo", "k", transport=httpx.MockTransport(proxy)) as convo:
        with pytest.raises(ProblemError) as caught:
            await convo.look_up("+390000000")
    problem = caught.value.problem
    assert (problem.status, problem.code, problem.title, problem.instance) == (
        502,
        "http_502",
        "Bad Gateway",
        "/users/lookup",
    )
    assert caught.value.retry_after == seconds
