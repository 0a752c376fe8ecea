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
